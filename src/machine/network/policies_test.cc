// SPDX-License-Identifier: Apache-2.0
// Needs root: NetworkPolicies with real connects, in network namespaces of their own.
#include <doctest/doctest.h>

#include "core/document/yaml.h"
#include "machine/network/network.h"
#include "machine/network/nft.h"
#include "machine/network/pod_network.h"
#include "machine/network/policy_rules.h"
#include "machine/network/testing/namespace.h"
#include "machine/network/testing/objects.h"

using namespace caisson;
using namespace caisson::network;
using namespace caisson::network::testing;

namespace {

constexpr char kInstance[] = "7e57ef";
constexpr Duration kSoon = std::chrono::seconds(20);
const kube::Resource kNetworkPolicies{"networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", true};

TableOptions table_options() {
  return {kInstance, "10.42.0.0/16", "10.43.0.0/16", "10.42.0.1"};
}

kube::Object object_of(const std::string& yaml) {
  auto value = yaml::read(yaml);
  REQUIRE_MESSAGE(value.ok(), (value.ok() ? "" : value.error().message));
  return kube::Object(*value);
}

kube::Object policy(const std::string& name, const std::string& spec) {
  return object_of("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: " + name +
                   ", namespace: shop}\nspec:\n" + spec);
}

kube::Object pod(const std::string& name, const std::string& ip, const std::string& ns = "shop") {
  kube::Object out = object_of("apiVersion: v1\nkind: Pod\nmetadata: {name: " + name + ", namespace: " + ns +
                               ", uid: uid-" + name + ", labels: {app: " + name +
                               "}}\nspec: {containers: [{name: c, ports: [{name: web, containerPort: 8080}]}]}\n");
  out.edit({"status"}).set("phase", "Running");
  if (!ip.empty()) out.edit({"status"}).set("podIP", ip);
  return out;
}

kube::Object ns(const std::string& name) {
  return object_of("apiVersion: v1\nkind: Namespace\nmetadata: {name: " + name + ", labels: {team: " + name + "}}\n");
}

// A host with pods a, b (namespace shop) and c (namespace other), each with a server on 8080 and 9090.
struct World {
  Namespace host, in_a, in_b, in_c;
  TempDir dir = std::move(TempDir::make()).value();
  std::optional<PodNetwork> network;
  std::string a, b, c;
  std::vector<std::unique_ptr<PodServer>> servers;

  World() {
    host.run([this] {
      auto netlink = Netlink::open();
      Netlink nl = std::move(netlink).value();
      REQUIRE(nl.set_up((*nl.find_link("lo"))->index).ok());
      auto opened = PodNetwork::open({.instance = kInstance, .state_dir = dir.path() + "/network"});
      REQUIRE_MESSAGE(opened.ok(), (opened.ok() ? "" : opened.error().message));
      network.emplace(std::move(opened).value());
      a = *network->attach("uid-a", in_a.path());
      b = *network->attach("uid-b", in_b.path());
      c = *network->attach("uid-c", in_c.path());
    });
    for (const int port : {8080, 9090}) {
      servers.push_back(std::make_unique<PodServer>(in_a, "a", port));
      servers.push_back(std::make_unique<PodServer>(in_b, "b", port));
      servers.push_back(std::make_unique<PodServer>(in_c, "c", port));
    }
    servers.push_back(std::make_unique<PodServer>(host, "node", 53));
    servers.push_back(std::make_unique<PodServer>(host, "node", 9090));
  }
  PolicyWorld cluster(const std::vector<kube::Object>& policies) const {
    PolicyWorld out;
    out.policies = policies;
    for (const auto& object : {pod("a", a), pod("b", b), pod("c", c, "other")}) out.pods.push_back(*policy_pod(object));
    out.pods.push_back({"kube-system", "10.42.0.1", Value{{"k8s-app", "kube-dns"}}, {}, 53});
    for (const char* name : {"shop", "other", "kube-system"})
      out.namespace_labels[name] = ns(name).metadata()["labels"];
    return out;
  }
  void apply(const std::vector<kube::Object>& policies) {
    host.run([&] {
      auto opened = Nft::open();
      REQUIRE(opened.ok());
      Nft nft = std::move(opened).value();
      const std::string text = make_policy_table(table_options(), cluster(policies));
      const auto done = nft.run(text);
      REQUIRE_MESSAGE(done.ok(), (done.ok() ? "" : done.error().message) << "\n" << text);
    });
  }
  static std::string from(const Namespace& where, const std::string& ip, int port) {
    std::string answer;
    where.run([&] { answer = who(ask(ip, port)); });
    return answer;
  }
};

}  // namespace

TEST_CASE("a policy that isolates lets in what its rules name, and refuses the rest at once") {
  World world;
  const auto closed = policy("deny", "  podSelector: {}\n  policyTypes: [Ingress]\n");
  world.apply({});
  CHECK(World::from(world.in_c, world.a, 8080) == "a");
  world.apply({closed});
  CHECK(World::from(world.in_c, world.a, 8080) == "refused");
  CHECK(World::from(world.in_b, world.a, 8080) == "refused");
  CHECK(World::from(world.in_a, world.c, 8080) == "c");  // another namespace's pods are not isolated, nor is egress
  CHECK(World::from(world.host, world.a, 8080) == "a");  // the node reaches its pods: probes, the ingress
  // Rules add up over policies: a named port from one pod, another port from a namespace.
  world.apply(
      {closed,
       policy("web",
              "  podSelector: {matchLabels: {app: a}}\n  ingress:\n  - from: [{podSelector: {matchLabels: {app: b}}}]\n"
              "    ports: [{port: web}]\n"),
       policy("metrics",
              "  podSelector: {matchLabels: {app: a}}\n  ingress:\n"
              "  - from: [{namespaceSelector: {matchLabels: {team: other}}}]\n"
              "    ports: [{port: 9000, endPort: 9099}]\n")});
  CHECK(World::from(world.in_b, world.a, 8080) == "a");
  CHECK(World::from(world.in_b, world.a, 9090) == "refused");
  CHECK(World::from(world.in_c, world.a, 9090) == "a");
  CHECK(World::from(world.in_c, world.a, 8080) == "refused");
  CHECK(World::from(world.in_c, world.b, 8080) == "refused");
  // Both selectors in one peer must hold: no pod of `other` is called b.
  world.apply({policy(
      "both",
      "  podSelector: {matchLabels: {app: a}}\n  ingress:\n"
      "  - from: [{namespaceSelector: {matchLabels: {team: other}}, podSelector: {matchLabels: {app: b}}}]\n")});
  CHECK(World::from(world.in_b, world.a, 8080) == "refused");
  CHECK(World::from(world.in_c, world.a, 8080) == "refused");
  world.apply({policy("all", "  podSelector: {}\n  ingress: [{}]\n")});
  CHECK(World::from(world.in_c, world.a, 8080) == "a");
  world.apply({});
  world.host.run([] {
    auto opened = Nft::open();
    Nft nft = std::move(opened).value();
    CHECK(*nft.run("list ruleset") == "");
  });
}

TEST_CASE("egress is held to pods, address blocks without their exceptions, and the cluster's DNS") {
  World world;
  world.apply({policy("out",
                      "  podSelector: {matchLabels: {app: a}}\n  policyTypes: [Egress]\n  egress:\n"
                      "  - to: [{podSelector: {matchLabels: {app: b}}}]\n    ports: [{protocol: TCP, port: web}]\n"
                      "  - to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: x}}}]\n")});
  CHECK(World::from(world.in_a, world.b, 8080) == "b");
  CHECK(World::from(world.in_a, world.b, 9090) == "refused");
  CHECK(World::from(world.in_a, world.c, 8080) == "refused");
  CHECK(World::from(world.in_b, world.c, 8080) == "c");  // not selected
  CHECK(World::from(world.in_b, world.a, 8080) == "a");  // a's answers leave, its connections do not
  CHECK(World::from(world.in_a, "10.42.0.1", 53) == "refused");
  world.apply({policy("out",
                      "  podSelector: {matchLabels: {app: a}}\n  policyTypes: [Egress]\n  egress:\n"
                      "  - to: [{ipBlock: {cidr: 10.42.0.0/16, except: [" +
                          world.c +
                          "/32, 10.42.0.1/32]}}]\n"
                          "  - to: [{namespaceSelector: {}, podSelector: {matchLabels: {k8s-app: kube-dns}}}]\n")});
  CHECK(World::from(world.in_a, world.b, 9090) == "b");
  CHECK(World::from(world.in_a, world.c, 8080) == "refused");
  CHECK(World::from(world.in_a, "10.42.0.1", 53) == "node");
  CHECK(World::from(world.in_a, "10.42.0.1", 9090) == "refused");
}

TEST_CASE("a pod that has ended, or uses the node's network, is no pod to a policy") {
  kube::Object ended = pod("a", "10.42.0.9");
  ended.edit({"status"}).set("phase", "Succeeded");
  CHECK_FALSE(policy_pod(ended));
  kube::Object on_host = pod("a", "10.42.0.1");
  on_host.edit({"spec"}).set("hostNetwork", true);
  CHECK_FALSE(policy_pod(on_host));
  CHECK_FALSE(policy_pod(pod("a", "")));
  CHECK(policy_pod(pod("a", ""), "10.42.0.7")->ip == "10.42.0.7");
}

TEST_CASE("a pod is isolated before its object tells its address, and follows the policies") {
  World world;
  Objects objects;
  for (const char* name : {"shop", "other"}) objects.put(schema::kNamespaces, ns(name));
  objects.put(schema::kPods, pod("a", ""));
  objects.put(schema::kPods, pod("c", world.c, "other"));
  objects.put(kNetworkPolicies, policy("deny", "  podSelector: {}\n"));
  world.host.run([&] {
    kube::Runtime runtime(objects, system_clock(), {.threads = 2, .crash_file = {}});
    const auto made = add_policies(runtime, {.instance = kInstance, .node_address = "10.42.0.1"});
    REQUIRE_MESSAGE(made.ok(), (made.ok() ? "" : made.error().message));
    runtime.start();
    REQUIRE(runtime.wait_synced(kSoon));
    const auto admitted = (*made)->admit(pod("a", ""), world.a);
    REQUIRE_MESSAGE(admitted.ok(), (admitted.ok() ? "" : admitted.error().message));
    CHECK(World::from(world.in_c, world.a, 8080) == "refused");
    objects.put(schema::kPods, pod("a", world.a));
    REQUIRE((*made)->wait_applied(kSoon).ok());
    CHECK(World::from(world.in_c, world.a, 8080) == "refused");
    objects.erase(kNetworkPolicies, {"shop", "deny"});
    REQUIRE((*made)->wait_applied(kSoon).ok());
    CHECK(World::from(world.in_c, world.a, 8080) == "a");
  });
}
