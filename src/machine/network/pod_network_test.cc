// SPDX-License-Identifier: Apache-2.0
// Needs root: links, services and conntrack with real nftables, in network namespaces of its own.
#include <doctest/doctest.h>

#include <cstring>

#include "core/base/random.h"
#include "core/document/yaml.h"
#include "machine/network/ipam.h"
#include "machine/network/nft.h"
#include "machine/network/pod_network.h"
#include "machine/network/service_rules.h"
#include "machine/network/sysctl.h"
#include "machine/network/testing/namespace.h"

using namespace caisson;
using namespace caisson::network;
using caisson::network::testing::ask;
using caisson::network::testing::Namespace;
using caisson::network::testing::PodServer;
using caisson::network::testing::who;

namespace {

constexpr char kInstance[] = "7e57ab";

PodNetwork::Options options_in(const TempDir& dir) {
  return {.instance = kInstance,
          .pod_cidr = "10.42.0.0/16",
          .service_cidr = "10.43.0.0/16",
          .state_dir = dir.path() + "/network"};
}

TableOptions table_options() {
  return {kInstance, "10.42.0.0/16", "10.43.0.0/16", "10.42.0.1"};
}

kube::Object object_of(const std::string& yaml) {
  auto value = yaml::read(yaml);
  REQUIRE_MESSAGE(value.ok(), (value.ok() ? "" : value.error().message));
  return kube::Object(*value);
}

kube::Object web_service(const std::string& extra = "") {
  return object_of("metadata: {name: web, namespace: shop}\nspec:\n  clusterIP: 10.43.0.7\n" + extra +
                   "  ports:\n  - {name: http, port: 80, protocol: TCP, nodePort: 30080}\n  - {name: dns, port: 53, "
                   "protocol: UDP}\n");
}

kube::Object web_slice(const std::vector<std::string>& ready) {
  std::string text =
      "addressType: IPv4\nmetadata: {name: web-1, namespace: shop}\nports:\n"
      "- {name: http, port: 8080, protocol: TCP}\n- {name: dns, port: 8080, protocol: UDP}\nendpoints:\n";
  for (const auto& ip : ready) text += "- {addresses: [" + ip + "], conditions: {ready: true}}\n";
  return object_of(text);
}

// A host namespace with lo up, and an "outside" namespace behind a link with the default route.
struct World {
  Namespace host, outside, a, b;
  World() {
    host.run([this] {
      auto netlink = Netlink::open();
      REQUIRE(netlink.ok());
      Netlink nl = std::move(netlink).value();
      REQUIRE(write_sysctl("net.ipv4.ip_forward", "0").ok());  // a new namespace inherits what this machine has now
      REQUIRE(nl.set_up((*nl.find_link("lo"))->index).ok());
      const UniqueFd out(::open(outside.path().c_str(), O_RDONLY));
      REQUIRE(nl.add_veth("up0", "eth0", out.get(), 1400).ok());
      const int up = (*nl.find_link("up0"))->index;
      REQUIRE(nl.add_address(up, *parse_cidr("192.168.77.1/24")).ok());
      REQUIRE(nl.set_up(up).ok());
      auto far = Netlink::open_in(outside.path());
      Netlink there = std::move(far).value();
      const int eth0 = (*there.find_link("eth0"))->index;
      REQUIRE(there.add_address(eth0, *parse_cidr("192.168.77.2/24")).ok());
      REQUIRE(there.set_up(eth0).ok());
      REQUIRE(nl.set_route({Route::Kind::unicast, {0, 0}, up, *parse_ipv4("192.168.77.2"), 0}).ok());
    });
  }
};

// A connection of this thread's namespace that is used again and again.
class Kept {
 public:
  Kept(const std::string& ip, int port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval time_max{3, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &time_max, sizeof time_max);
    const sockaddr_in to = caisson::network::testing::address_of(ip, port);
    CHECK(::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
  }
  // "answered", or why not.
  std::string send_and_wait() const {
    constexpr std::string_view kRequest = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    char buffer[4096];
    if (::send(fd_.get(), kRequest.data(), kRequest.size(), MSG_NOSIGNAL) < 0) return std::strerror(errno);
    const ssize_t got = ::recv(fd_.get(), buffer, sizeof buffer, 0);
    return got > 0 ? "answered" : got == 0 ? "closed" : std::strerror(errno);
  }

 private:
  UniqueFd fd_;
};

void apply(Nft& nft, ServiceRules& now, const ServiceRules& next) {
  const auto text =
      change_elements(table_options(), now, next, {next.addresses, now.addresses, next.external, now.external});
  const auto done = nft.run(text);
  REQUIRE_MESSAGE(done.ok(), (done.ok() ? "" : done.error().message));
  now = next;
}

}  // namespace

TEST_CASE("an address that was freed is given again last, and a restart remembers who has which") {
  auto dir = TempDir::make();
  REQUIRE(dir.ok());
  const std::string path = (*dir).path() + "/pods";
  const Cidr range = *parse_cidr("10.9.0.0/24");
  {
    auto opened = Ipam::open(path, range);
    REQUIRE(opened.ok());
    Ipam ipam = std::move(opened).value();
    CHECK(format_ipv4(*ipam.take("a", {})) == "10.9.0.2");
    CHECK(format_ipv4(*ipam.take("b", {})) == "10.9.0.3");
    CHECK(format_ipv4(*ipam.take("a", {})) == "10.9.0.2");
    REQUIRE(ipam.give_back("a").ok());
    CHECK(ipam.take("c", *parse_ipv4("10.9.0.3")).error().code == ErrorCode::already_exists);
    CHECK(ipam.take("c", *parse_ipv4("10.9.0.1")).error().code == ErrorCode::invalid);
  }
  auto opened = Ipam::open(path, range);
  REQUIRE(opened.ok());
  Ipam again = std::move(opened).value();
  CHECK(format_ipv4(*again.find("b")) == "10.9.0.3");
  CHECK(format_ipv4(*again.take("d", {})) == "10.9.0.4");
  for (int i = 0; i < 251; ++i) REQUIRE(again.take("pod" + std::to_string(i), {}).ok());
  CHECK(again.take("one too many", {}).error().code == ErrorCode::unavailable);
}

TEST_CASE("pods reach each other, the host and the outside, and nothing is left after cleanup") {
  auto dir = TempDir::make();
  REQUIRE(dir.ok());
  World world;
  world.host.run([&] {
    CHECK(*read_sysctl("net.ipv4.ip_forward") == "0");
    {
      auto opened = PodNetwork::open(options_in(*dir));
      REQUIRE_MESSAGE(opened.ok(), (opened.ok() ? "" : opened.error().message));
      PodNetwork network = std::move(opened).value();
      CHECK(network.node_address() == "10.42.0.1");
      const auto a = network.attach("uid-a", world.a.path());
      REQUIRE_MESSAGE(a.ok(), (a.ok() ? "" : a.error().message));
      const auto b = network.attach("uid-b", world.b.path());
      REQUIRE(b.ok());
      CHECK(*network.attach("uid-a", world.a.path()) == *a);
      auto nft = Nft::open();
      REQUIRE(nft.ok());
      Nft tables = std::move(nft).value();
      const auto made = tables.run(make_table(table_options()));
      REQUIRE_MESSAGE(made.ok(), (made.ok() ? "" : made.error().message));
      PodServer in_a(world.a, "a", 80), in_b(world.b, "b", 80), far(world.outside, "outside", 80),
          here(world.host, "host", 81);
      REQUIRE(in_a.ready());
      CHECK(ask(*a, 80).starts_with("a 10.42.0.1"));
      world.a.run([&] {
        CHECK(ask(*b, 80).starts_with("b " + *a));
        CHECK(ask("10.42.0.1", 81).starts_with("host " + *a));
        CHECK(ask("192.168.77.2", 80).starts_with("outside 192.168.77.1"));  // masqueraded
        CHECK(ask("10.42.0.99", 80) == "refused");                           // no such pod
        CHECK(ask("10.43.0.99", 80) == "refused");
      });
    }
    // A restarted agent knows its pods and keeps their links.
    auto reopened = PodNetwork::open(options_in(*dir));
    REQUIRE(reopened.ok());
    PodNetwork network = std::move(reopened).value();
    CHECK(network.attached().size() == 2);
    REQUIRE(network.keep_only({"uid-b"}).ok());
    CHECK(network.attached().size() == 1);
    auto clean = cleanup(kInstance, (*dir).path());
    CHECK_MESSAGE(clean.ok(), (clean.ok() ? "" : clean.error().message));
    CHECK(*read_sysctl("net.ipv4.ip_forward") == "0");
    auto netlink = Netlink::open();
    Netlink nl = std::move(netlink).value();
    CHECK((*nl.links()).size() == 2);  // lo and up0
    const auto routes = nl.routes();
    for (const Route& route : *routes)
      CHECK_MESSAGE((route.to.prefix == 0 || !route.to.overlaps(*parse_cidr("10.42.0.0/15"))), route.to.str());
    auto opened = Nft::open();
    Nft nft = std::move(opened).value();
    CHECK(*nft.run("list ruleset") == "");
  });
}

TEST_CASE("nodes of one instance give addresses from parts of the range, and their pods reach each other") {
  auto dir = TempDir::make();
  REQUIRE(dir.ok());
  World world;
  world.host.run([&] {
    const auto part = [&](const std::string& cidr, const std::string& state) {
      PodNetwork::Options options = options_in(*dir);
      options.node_cidr = cidr;
      options.state_dir = (*dir).path() + "/" + state;
      return PodNetwork::open(options);
    };
    CHECK(part("10.42.64.0/18", "second").error().code == ErrorCode::unavailable);  // nobody made the bridge yet
    CHECK(part("10.44.0.0/18", "far").error().code == ErrorCode::invalid);
    CHECK(part("10.42.0.0/15", "wide").error().code == ErrorCode::invalid);
    auto opened_first = part("10.42.0.0/18", "network");
    REQUIRE_MESSAGE(opened_first.ok(), (opened_first.ok() ? "" : opened_first.error().message));
    PodNetwork first = std::move(opened_first).value();
    auto opened_second = part("10.42.64.0/18", "second");
    REQUIRE_MESSAGE(opened_second.ok(), (opened_second.ok() ? "" : opened_second.error().message));
    PodNetwork second = std::move(opened_second).value();
    CHECK(first.node_address() == "10.42.0.1");
    CHECK(second.node_address() == "10.42.64.1");
    const auto a = first.attach("uid-a", world.a.path()), b = second.attach("uid-b", world.b.path());
    REQUIRE(a.ok());
    REQUIRE(b.ok());
    CHECK(*a == "10.42.0.2");
    CHECK(*b == "10.42.64.2");
    auto nft_opened = Nft::open();
    Nft nft = std::move(nft_opened).value();
    REQUIRE(nft.run(make_table(table_options())).ok());
    PodServer in_a(world.a, "a", 80), in_b(world.b, "b", 80), here(world.host, "host", 81);
    CHECK(ask(*b, 80).starts_with("b 10.42.0.1"));  // the host is one, whichever node the pod is on
    world.a.run([&] { CHECK(ask(*b, 80).starts_with("b " + *a)); });
    world.b.run([&] {
      CHECK(ask(*a, 80).starts_with("a " + *b));
      CHECK(ask("10.42.64.1", 81).starts_with("host " + *b));
      CHECK(ask("10.42.64.99", 80) == "refused");
    });
    REQUIRE(second.keep_only({}).ok());  // its own pods only
    CHECK(first.attached().size() == 1);
    const auto clean = cleanup(kInstance, (*dir).path());
    CHECK_MESSAGE(clean.ok(), (clean.ok() ? "" : clean.error().message));
  });
}

TEST_CASE("a range that this host routes elsewhere is refused by name") {
  auto dir = TempDir::make();
  REQUIRE(dir.ok());
  World world;
  world.host.run([&] {
    PodNetwork::Options options = options_in(*dir);
    options.pod_cidr = "192.168.0.0/16";
    const auto opened = PodNetwork::open(options);
    REQUIRE_FALSE(opened.ok());
    CHECK(opened.error().message ==
          "pod range 192.168.0.0/16 overlaps this host's route to 192.168.77.0/24 (link up0)");
  });
}

TEST_CASE("whichever of two instances goes down last puts the host's settings back") {
  for (const bool first_goes_first : {true, false}) {
    auto one = TempDir::make(), two = TempDir::make();
    REQUIRE(one.ok());
    REQUIRE(two.ok());
    World world;
    world.host.run([&] {
      REQUIRE(PodNetwork::open({.instance = "aaaaaa",
                                .pod_cidr = "10.42.0.0/16",
                                .service_cidr = "10.43.0.0/16",
                                .state_dir = (*one).path() + "/network"})
                  .ok());
      const auto second = PodNetwork::open({.instance = "bbbbbb",
                                            .pod_cidr = "10.44.0.0/16",
                                            .service_cidr = "10.45.0.0/16",
                                            .state_dir = (*two).path() + "/network"});
      REQUIRE_MESSAGE(second.ok(), (second.ok() ? "" : second.error().message));
      const auto down = [&](bool first) {
        return first ? cleanup("aaaaaa", (*one).path()) : cleanup("bbbbbb", (*two).path());
      };
      REQUIRE(down(first_goes_first).ok());
      CHECK(*read_sysctl("net.ipv4.ip_forward") == "1");
      REQUIRE(down(!first_goes_first).ok());
      CHECK(*read_sysctl("net.ipv4.ip_forward") == "0");
    });
  }
}

TEST_CASE("a service spreads over its ready endpoints, answers its own pod, and changes with its endpoints") {
  auto dir = TempDir::make();
  REQUIRE(dir.ok());
  World world;
  world.host.run([&] {
    auto opened = PodNetwork::open(options_in(*dir));
    REQUIRE(opened.ok());
    PodNetwork network = std::move(opened).value();
    const auto a = network.attach("uid-a", world.a.path());
    const auto b = network.attach("uid-b", world.b.path());
    REQUIRE(b.ok());
    auto nft_opened = Nft::open();
    Nft nft = std::move(nft_opened).value();
    REQUIRE(nft.run(make_table(table_options())).ok());
    PodServer in_a(world.a, "a", 8080), in_b(world.b, "b", 8080);
    ServiceRules now;
    apply(nft, now, rules_of(web_service(), {web_slice({*a, *b})}));
    const auto count = [](const std::string& ip, int port) {
      std::map<std::string, int> out;
      for (int i = 0; i < 40; ++i) ++out[who(ask(ip, port))];
      return out;
    };
    std::map<std::string, int> seen;
    world.a.run([&] { seen = count("10.43.0.7", 80); });  // half of it is hairpin
    CHECK(seen["a"] + seen["b"] == 40);
    CHECK(seen["a"] > 3);
    CHECK(seen["b"] > 3);
    seen = count("10.43.0.7", 80);  // from the host
    CHECK(seen["a"] + seen["b"] == 40);
    CHECK(who(ask("127.0.0.1", 30080)) != "refused");
    CHECK(who(ask("127.0.0.1", 30080)) != "");
    world.outside.run([&] {
      CHECK(ask("192.168.77.1", 30080).find(" 192.168.77.2\n") != std::string::npos);
    });  // its address is kept

    apply(nft, now, rules_of(web_service(), {web_slice({*b})}));
    CHECK(count("10.43.0.7", 80)["b"] == 40);
    apply(nft, now, rules_of(web_service("  sessionAffinity: ClientIP\n"), {web_slice({*a, *b})}));
    CHECK(count("10.43.0.7", 80).size() == 1);
    apply(nft, now, rules_of(web_service(), {web_slice({})}));
    CHECK(ask("10.43.0.7", 80) == "refused");
    CHECK(ask("127.0.0.1", 30080) == "refused");
    world.a.run([&] { CHECK(ask("10.43.0.7", 80) == "refused"); });
  });
}

TEST_CASE("a kept connection to a pod that is gone is reset by its next packet, whichever way it came") {
  auto dir = TempDir::make();
  REQUIRE(dir.ok());
  World world;
  world.host.run([&] {
    auto opened = PodNetwork::open(options_in(*dir));
    REQUIRE(opened.ok());
    PodNetwork network = std::move(opened).value();
    const auto a = network.attach("uid-a", world.a.path());
    REQUIRE(network.attach("uid-b", world.b.path()).ok());
    auto nft_opened = Nft::open();
    Nft nft = std::move(nft_opened).value();
    REQUIRE(nft.run(make_table(table_options())).ok());
    PodServer in_a(world.a, "a", 8080);
    ServiceRules now;
    apply(nft, now, rules_of(web_service(), {web_slice({*a})}));
    Kept host_node_port("127.0.0.1", 30080), host_cluster_ip("10.43.0.7", 80), host_direct(*a, 8080);
    std::optional<Kept> pod_cluster_ip, pod_direct, outside_node_port;
    world.b.run([&] { pod_cluster_ip.emplace("10.43.0.7", 80), pod_direct.emplace(*a, 8080); });
    world.outside.run([&] { outside_node_port.emplace("192.168.77.1", 30080); });
    const std::vector<const Kept*> all = {&host_node_port,  &host_cluster_ip, &host_direct,
                                          &*pod_cluster_ip, &*pod_direct,     &*outside_node_port};
    for (const Kept* one : all) CHECK(one->send_and_wait() == "answered");
    apply(nft, now, rules_of(web_service(), {web_slice({})}));
    for (const Kept* one : all) CHECK(one->send_and_wait() == "answered");  // withdrawn, but not gone
    REQUIRE(network.detach("uid-a").ok());  // as if the end that its kernel told had been lost
    for (std::size_t i = 0; i < all.size(); ++i) {
      CAPTURE(i);
      CHECK(all[i]->send_and_wait() == "Connection reset by peer");
    }
  });
}

TEST_CASE("a UDP client that keeps its port moves to a living endpoint when its own goes") {
  auto dir = TempDir::make();
  REQUIRE(dir.ok());
  World world;
  world.host.run([&] {
    auto opened = PodNetwork::open(options_in(*dir));
    REQUIRE(opened.ok());
    PodNetwork network = std::move(opened).value();
    const auto a = network.attach("uid-a", world.a.path());
    const auto b = network.attach("uid-b", world.b.path());
    REQUIRE(b.ok());
    auto nft_opened = Nft::open();
    Nft nft = std::move(nft_opened).value();
    REQUIRE(nft.run(make_table(table_options())).ok());
    PodServer in_a(world.a, "a", 8080), in_b(world.b, "b", 8080);
    ServiceRules now;
    apply(nft, now, rules_of(web_service(), {web_slice({*a})}));
    const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const timeval time_max{3, 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &time_max, sizeof time_max);
    const auto to = caisson::network::testing::address_of("10.43.0.7", 53);
    REQUIRE(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
    const auto answer = [&] {
      char buffer[64];
      (void)!::send(fd.get(), "?", 1, 0);
      const ssize_t got = ::recv(fd.get(), buffer, sizeof buffer, 0);
      return std::string(buffer, got > 0 ? static_cast<std::size_t>(got) : 0);
    };
    CHECK(answer() == "a");
    apply(nft, now, rules_of(web_service(), {web_slice({*b})}));
    const auto forgotten = forget_udp_connections(*parse_ipv4(*a));
    REQUIRE_MESSAGE(forgotten.ok(), (forgotten.ok() ? "" : forgotten.error().message));
    CHECK(*forgotten == 1);
    CHECK(answer() == "b");
  });
}

TEST_CASE("an endpoint that is not ready or is terminating gets no slot") {
  const kube::Object slice = object_of(
      "addressType: IPv4\nmetadata: {name: w, namespace: shop}\nports: [{name: http, port: 8080}]\nendpoints:\n"
      "- {addresses: [10.42.0.2], conditions: {ready: true}}\n- {addresses: [10.42.0.3], conditions: {ready: false}}\n"
      "- {addresses: [10.42.0.4], conditions: {ready: true, terminating: true}}\n- {addresses: [10.42.0.5]}\n");
  const ServiceRules rules = rules_of(web_service(), {slice});
  CHECK(rules.addresses == std::set<std::string>{"10.42.0.2", "10.42.0.5"});
  CHECK(rules.cluster.size() == 60);
  CHECK(rules.node.size() == 60);
}
