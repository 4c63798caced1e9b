// SPDX-License-Identifier: Apache-2.0
#include "machine/network/address_pools.h"

#include <doctest/doctest.h>

#include "core/document/yaml.h"
#include "machine/network/netlink.h"

using namespace caisson;
using namespace caisson::network;

namespace {

kube::Object object_of(const std::string& yaml) {
  auto value = yaml::read(yaml);
  REQUIRE_MESSAGE(value.ok(), (value.ok() ? "" : value.error().message));
  return kube::Object(*value);
}

AddressPool pool_of(const std::string& name, const std::string& spec, const std::string& labels = "") {
  const auto pool = parse_pool(object_of("metadata: {name: " + name + ", namespace: metallb-system, labels: {" +
                                         labels + "}}\nspec: {" + spec + "}\n"));
  REQUIRE_MESSAGE(pool.ok(), (pool.ok() ? "" : pool.error().message));
  return *pool;
}

struct Wish {
  std::string name;
  std::string annotations = "", spec = "", has = "", labels = "", created = "2026-01-01T00:00:00Z";
};
kube::Object service_of(const Wish& wish) {
  return object_of("metadata:\n  name: " + wish.name + "\n  namespace: shop\n  creationTimestamp: \"" + wish.created +
                   "\"\n  labels: {" + wish.labels + "}\n  annotations: {" + wish.annotations +
                   "}\nspec: {type: LoadBalancer, selector: {app: " + wish.name + "}" +
                   (wish.spec.empty() ? ", ports: [{port: 80}]" : ", " + wish.spec) + "}\n" +
                   (wish.has.empty() ? "" : "status: {loadBalancer: {ingress: [{ip: " + wish.has + "}]}}\n"));
}

std::map<std::string, Assignment> assign(const std::vector<AddressPool>& pools, const std::vector<Wish>& wishes,
                                         const std::map<std::string, Value>& namespaces = {}) {
  std::vector<kube::Object> services;
  for (const auto& wish : wishes) services.push_back(service_of(wish));
  std::map<std::string, Assignment> out;
  for (const auto& [key, one] : assign_addresses(services, {pools, namespaces})) out[key.name] = one;
  return out;
}

}  // namespace

TEST_CASE("a range is two addresses or a CIDR, and anything else is quoted") {
  CHECK(*parse_range("192.168.1.240-192.168.1.250") ==
        AddressRange{*parse_ipv4("192.168.1.240"), *parse_ipv4("192.168.1.250")});
  CHECK(*parse_range(" 10.0.0.1 - 10.0.0.1 ") == AddressRange{*parse_ipv4("10.0.0.1"), *parse_ipv4("10.0.0.1")});
  CHECK(*parse_range("10.1.0.0/30") == AddressRange{*parse_ipv4("10.1.0.0"), *parse_ipv4("10.1.0.3")});
  CHECK(*parse_range("0.0.0.0/0") == AddressRange{0, 0xffffffff});
  for (const char* bad : {"10.0.0.9", "10.0.0.9-10.0.0.1", "fc00::/64", "10.0.0.0/33", "", "a-b", "10.0.0.1-"}) {
    const auto range = parse_range(bad);
    REQUIRE_FALSE(range.ok());
    CHECK(range.error().message == "\"" + std::string(bad) + "\" is neither a range of IPv4 addresses nor a CIDR");
  }
}

TEST_CASE("services get free addresses of a pool, the oldest first, and keep what they have") {
  const std::vector<AddressPool> pools{pool_of("lan", "addresses: [10.0.0.1-10.0.0.3]")};
  auto got = assign(pools, {{.name = "new", .created = "2026-02-01T00:00:00Z"}, {.name = "old"}});
  CHECK(got["old"].address == "10.0.0.1");
  CHECK(got["new"].address == "10.0.0.2");
  CHECK(got["new"].pool == "lan");
  got = assign(pools, {{.name = "old"}, {.name = "new", .has = "10.0.0.1", .created = "2026-02-01T00:00:00Z"}});
  CHECK(got["new"].address == "10.0.0.1");
  CHECK(got["old"].address == "10.0.0.2");
  // The pool has changed: what is outside it goes.
  got = assign(pools, {{.name = "moved", .has = "10.9.9.9"}});
  CHECK(got["moved"].address == "10.0.0.1");
}

TEST_CASE("what can't be given says why and what to do") {
  const std::vector<AddressPool> pools{pool_of("lan", "addresses: [10.0.0.1/32]"),
                                       pool_of("dear", "addresses: [10.5.0.0/30], autoAssign: false")};
  CHECK(assign({}, {{.name = "a"}})["a"].problem.starts_with("there is no address pool: create an IPAddressPool"));
  auto got = assign(pools, {{.name = "a"}, {.name = "b"}});
  CHECK(got["b"].problem ==
        "no free address in pool lan (1 of 1 in use): add addresses to a pool, or remove a Service");
  got = assign(pools, {{.name = "a", .annotations = "metallb.io/loadBalancerIPs: 10.7.0.1"}});
  CHECK(got["a"].problem == "requested address 10.7.0.1 is in no IPAddressPool");
  got = assign(pools, {{.name = "a", .annotations = "metallb.io/loadBalancerIPs: 'fc00::1'"}});
  CHECK(got["a"].problem.starts_with("requested address \"fc00::1\" is no IPv4 address"));
  got = assign(pools, {{.name = "a", .spec = "loadBalancerIP: 10.5.0.2, ports: [{port: 80}]"},
                       {.name = "b", .annotations = "metallb.universe.tf/loadBalancerIPs: 10.5.0.2"}});
  CHECK(got["a"].address == "10.5.0.2");
  CHECK(got["b"].problem.starts_with("requested address 10.5.0.2 belongs to service shop/a;"));
  got = assign(pools, {{.name = "a", .annotations = "metallb.io/address-pool: dear"},
                       {.name = "b", .annotations = "metallb.io/address-pool: absent"}});
  CHECK(got["a"].address == "10.5.0.0");
  CHECK(got["b"].problem.starts_with("pool absent does not exist"));
  got = assign({pools[1]}, {{.name = "a"}});
  CHECK(got["a"].problem.starts_with("no IPAddressPool is for this Service"));
}

TEST_CASE("a certain address goes to who asks for it, before others are given any") {
  const std::vector<AddressPool> pools{pool_of("lan", "addresses: [10.0.0.1-10.0.0.9]")};
  const auto got = assign(
      pools,
      {{.name = "any"},
       {.name = "certain", .annotations = "metallb.io/loadBalancerIPs: 10.0.0.1", .created = "2026-03-01T00:00:00Z"}});
  CHECK(got.at("certain").address == "10.0.0.1");
  CHECK(got.at("any").address == "10.0.0.2");
}

TEST_CASE("two services share an address on different ports when both allow it with one key") {
  const std::vector<AddressPool> pools{pool_of("lan", "addresses: [10.0.0.1-10.0.0.9]")};
  const std::string key = "metallb.io/allow-shared-ip: k";
  const std::string local = ", externalTrafficPolicy: Local";
  auto got =
      assign(pools, {{.name = "a", .annotations = key},
                     {.name = "b", .annotations = key, .spec = "ports: [{port: 81}]"},
                     {.name = "c", .annotations = key},
                     {.name = "d", .annotations = key, .spec = "ports: [{port: 80, protocol: UDP}]"},
                     {.name = "e", .annotations = key, .spec = "ports: [{port: 82}]" + local},
                     {.name = "f", .annotations = "metallb.io/allow-shared-ip: other", .spec = "ports: [{port: 83}]"}});
  CHECK(got["b"].address == got["a"].address);
  CHECK(got["c"].address == "10.0.0.2");        // the same port
  CHECK(got["d"].address == got["a"].address);  // another protocol
  CHECK(got["e"].address != got["a"].address);  // Local of other pods
  CHECK(got["f"].address != got["a"].address);
}

TEST_CASE("a pool that names who may use it goes first, by priority, and serves nobody else") {
  const std::vector<AddressPool> pools{
      pool_of("all", "addresses: [10.0.0.0/24]"),
      pool_of("later", "addresses: [10.1.0.0/24], serviceAllocation: {priority: 50, namespaces: [shop]}"),
      pool_of("sooner",
              "addresses: [10.2.0.0/24], serviceAllocation: {priority: 10, namespaceSelectors: [{matchLabels: "
              "{team: a}}]}"),
      pool_of("labelled",
              "addresses: [10.3.0.0/24], serviceAllocation: {priority: 1, serviceSelectors: [{matchLabels: {x: y}}]}")};
  CHECK(assign(pools, {{.name = "a"}})["a"].pool == "later");
  CHECK(assign(pools, {{.name = "a"}}, {{"shop", Value{{"team", "a"}}}})["a"].pool == "sooner");
  CHECK(assign(pools, {{.name = "a", .labels = "x: y"}})["a"].pool == "labelled");
  CHECK(assign(pools, {{.name = "a", .annotations = "metallb.io/address-pool: labelled"}})["a"].problem ==
        "pool labelled does not exist, or its serviceAllocation leaves this Service out");
}

TEST_CASE("avoidBuggyIPs leaves .0 and .255 out") {
  const std::vector<AddressPool> pools{pool_of("lan", "addresses: [10.0.0.255-10.0.1.1], avoidBuggyIPs: true")};
  CHECK(assign(pools, {{.name = "a"}})["a"].address == "10.0.1.1");
}

TEST_CASE("another class of load balancer is not ours") {
  CHECK(wants_load_balancer(service_of({.name = "a"})));
  CHECK(wants_load_balancer(service_of({.name = "a", .spec = "loadBalancerClass: metallb"})));
  CHECK_FALSE(wants_load_balancer(service_of({.name = "a", .spec = "loadBalancerClass: example.com/f5"})));
}

TEST_CASE("an advertisement announces all pools or those it names, on all links or those it names") {
  const AddressPool pool = pool_of("lan", "addresses: [10.0.0.0/24]", "zone: a");
  const auto links = [&](const std::vector<std::string>& specs) {
    std::vector<kube::Object> objects;
    for (const auto& spec : specs) objects.push_back(object_of("metadata: {name: l2}\nspec: {" + spec + "}\n"));
    return announcing_links(pool, objects, Value{{"kubernetes.io/hostname", "n1"}});
  };
  CHECK_FALSE(links({}).has_value());
  CHECK(links({""})->empty());
  CHECK_FALSE(links({"ipAddressPools: [other]"}).has_value());
  CHECK(*links({"ipAddressPools: [lan], interfaces: [eth1]", "interfaces: [eth2]"}) ==
        std::set<std::string>{"eth1", "eth2"});
  CHECK(links({"interfaces: [eth1]", "ipAddressPoolSelectors: [{matchLabels: {zone: a}}]"})->empty());
  CHECK_FALSE(links({"ipAddressPoolSelectors: [{matchLabels: {zone: b}}]"}).has_value());
  CHECK_FALSE(links({"nodeSelectors: [{matchLabels: {kubernetes.io/hostname: n2}}]"}).has_value());
  CHECK(links({"nodeSelectors: [{matchLabels: {kubernetes.io/hostname: n1}}]"}).has_value());
}

TEST_CASE("a pool whose text can't be read is refused by name") {
  const auto refused = [](const std::string& spec) {
    const auto pool = parse_pool(object_of("metadata: {name: p}\nspec: {" + spec + "}\n"));
    return pool.ok() ? "" : pool.error().message;
  };
  CHECK(refused("addresses: []") == "spec.addresses is empty");
  CHECK(refused("addresses: [10.0.0.0/24, nonsense]") ==
        "\"nonsense\" is neither a range of IPv4 addresses nor a CIDR");
  CHECK(refused("addresses: [10.0.0.0/24], serviceAllocation: {serviceSelectors: [{matchExpressions: [{key: a, "
                "operator: Odd}]}]}") != "");
}

TEST_CASE("an advertisement whose selectors can't be read announces nothing, and says which") {
  const auto odd =
      object_of("metadata: {name: l2}\nspec: {nodeSelectors: [{matchExpressions: [{key: a, operator: Odd}]}]}\n");
  const auto checked = check_advertisement(odd);
  REQUIRE_FALSE(checked.ok());
  CHECK(checked.error().message.starts_with("spec.nodeSelectors: "));
  CHECK_FALSE(announcing_links(pool_of("lan", "addresses: [10.0.0.0/24]"), {odd}, {}).has_value());
  CHECK(check_advertisement(object_of("metadata: {name: l2}\n")).ok());
}
