// SPDX-License-Identifier: Apache-2.0
// Needs root: load balancers' addresses from object to connection, with a neighbour on an Ethernet of their own.
#include <doctest/doctest.h>
#include <poll.h>

#include "core/base/file.h"
#include "machine/network/arp.h"
#include "machine/network/network.h"
#include "machine/network/pod_network.h"
#include "machine/network/testing/namespace.h"
#include "machine/network/testing/nginx.h"
#include "machine/network/testing/objects.h"

using namespace caisson;
using namespace caisson::network;
using namespace caisson::network::testing;

namespace {

constexpr char kInstance[] = "7e57ba";
constexpr Duration kSoon = std::chrono::seconds(10);

const kube::Resource kPools{"metallb.io", "v1beta1", "IPAddressPool", "ipaddresspools"};
const kube::Resource kAdvertisements{"metallb.io", "v1beta1", "L2Advertisement", "l2advertisements"};

kube::Object web(const std::string& spec = "") {
  return object_of(
      "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop, uid: u1}\nspec: {type: LoadBalancer, "
      "clusterIP: 10.43.0.7, ports: [{name: http, port: 80, nodePort: 30080}]" +
      (spec.empty() ? "" : ", " + spec) + "}\n");
}

kube::Object slice(const std::vector<std::string>& ready) {
  std::string text =
      "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\n"
      "metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web}}\n"
      "ports: [{name: http, port: 8080, protocol: TCP}]\nendpoints:\n";
  for (const auto& ip : ready) text += "- {addresses: [" + ip + "], conditions: {ready: true}}\n";
  return object_of(ready.empty() ? text + "  []\n" : text);
}

std::vector<std::string> messages(Objects& cluster) {
  std::vector<std::string> out;
  for (const auto& event : cluster.all(schema::kEvents)) out.push_back(event["message"].str());
  return out;
}

bool any_has(const std::vector<std::string>& texts, std::string_view part) {
  return std::any_of(texts.begin(), texts.end(), [&](const auto& t) { return t.find(part) != t.npos; });
}

struct Agent {
  kube::Runtime runtime;
  std::shared_ptr<Services> services;
  Agent(kube::Client& client, const std::string& node)
      : runtime(client, system_clock(), {.threads = 2, .crash_file = {}}) {
    auto made = add_services(runtime, {.instance = kInstance, .node_address = node});
    REQUIRE_MESSAGE(made.ok(), (made.ok() ? "" : made.error().message));
    services = *made;
    add_load_balancer(runtime, {.instance = kInstance, .node_name = "n1"});
    runtime.start();
    settle();
  }
  void settle() {
    REQUIRE(runtime.wait_synced(kSoon));
    REQUIRE(runtime.wait_idle(kSoon, std::chrono::milliseconds(100)));
    REQUIRE(services->wait_applied(kSoon).ok());
  }
};

// A host and a neighbour on one Ethernet, 192.168.77.1 and .2.
struct Lan {
  Namespace host, neighbour, pod;
  Lan() {
    host.run([this] {
      auto opened = Netlink::open();
      Netlink nl = std::move(opened).value();
      REQUIRE(nl.set_up((*nl.find_link("lo"))->index).ok());
      const UniqueFd far(::open(neighbour.path().c_str(), O_RDONLY));
      REQUIRE(nl.add_veth("up0", "eth0", far.get(), 1500).ok());
      const int up = (*nl.find_link("up0"))->index;
      REQUIRE(nl.add_address(up, *parse_cidr("192.168.77.1/24")).ok());
      REQUIRE(nl.set_up(up).ok());
      auto there = Netlink::open_in(neighbour.path());
      Netlink other = std::move(there).value();
      const int eth0 = (*other.find_link("eth0"))->index;
      REQUIRE(other.add_address(eth0, *parse_cidr("192.168.77.2/24")).ok());
      REQUIRE(other.set_up(eth0).ok());
    });
  }
  std::string ask_from_neighbour(const std::string& ip, int port) {
    std::string out;
    neighbour.run([&] { out = ask(ip, port); });
    return out;
  }
};

}  // namespace

TEST_CASE("a neighbour reaches a load balancer's address, which nobody has until a pool and an advertisement give it") {
  auto dir = TempDir::make();
  REQUIRE(dir.ok());
  Lan lan;
  lan.host.run([&] {
    auto opened = PodNetwork::open({.instance = kInstance, .state_dir = (*dir).path() + "/network"});
    REQUIRE_MESSAGE(opened.ok(), (opened.ok() ? "" : opened.error().message));
    PodNetwork network = std::move(opened).value();
    const std::string pod = *network.attach("uid-a", lan.pod.path());
    PodServer server(lan.pod, "pod", 8080);
    Objects cluster;
    cluster.put(schema::kServices, web());
    cluster.put(schema::kEndpointSlices, slice({pod}));
    Agent agent(cluster, network.node_address());
    CHECK(any_has(messages(cluster), "there is no address pool: create an IPAddressPool"));

    cluster.put(kPools,
                object_of("apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {name: lan, namespace: "
                          "metallb-system, uid: p1}\nspec: {addresses: [192.168.77.240-192.168.77.241]}\n"));
    agent.settle();
    const auto address = [&] {
      return cluster.get(schema::kServices, {"shop", "web"})->status()["loadBalancer"]["ingress"][0]["ip"].str();
    };
    CHECK(address() == "192.168.77.240");
    CHECK(ask("192.168.77.240", 80).starts_with("pod "));         // from this machine
    CHECK(lan.ask_from_neighbour("192.168.77.240", 80).empty());  // nobody answers for it on the wire
    CHECK(any_has(messages(cluster), "no L2Advertisement announces pool lan"));

    cluster.put(kAdvertisements,
                object_of("apiVersion: metallb.io/v1beta1\nkind: L2Advertisement\nmetadata: {name: l2, "
                          "namespace: metallb-system, uid: a1}\n"));
    agent.settle();
    CHECK(lan.ask_from_neighbour("192.168.77.240", 80)
              .starts_with("pod 192.168.77.2\n"));  // the client's address is kept
    CHECK(lan.ask_from_neighbour("192.168.77.240", 81) == "refused");
    CHECK(any_has(messages(cluster), "announcing 192.168.77.240 from node \"n1\""));

    // loadBalancerSourceRanges lets others in than the neighbour, then the neighbour, in ranges that overlap.
    auto limited = web("loadBalancerSourceRanges: [10.0.0.0/8]");
    limited.edit().set("status", cluster.get(schema::kServices, {"shop", "web"})->status());
    cluster.put(schema::kServices, limited);
    agent.settle();
    CHECK(lan.ask_from_neighbour("192.168.77.240", 80).empty());
    limited.edit({"spec"}).set("loadBalancerSourceRanges",
                               Value::list_of({"192.168.0.0/16", "192.168.77.2/32", "10.0.0.0/8"}));
    cluster.put(schema::kServices, limited);
    agent.settle();
    CHECK(lan.ask_from_neighbour("192.168.77.240", 80).starts_with("pod "));

    // Local: without a ready pod the address is not announced.
    limited.edit({"spec"}).set("externalTrafficPolicy", "Local").set("healthCheckNodePort", 31999);
    cluster.put(schema::kServices, limited);
    cluster.put(schema::kEndpointSlices, slice({}));
    agent.settle();
    CHECK(lan.ask_from_neighbour("192.168.77.1", 31999).find("\"localEndpoints\":0") != std::string::npos);
    cluster.put(schema::kEndpointSlices, slice({pod}));
    agent.settle();
    CHECK(lan.ask_from_neighbour("192.168.77.1", 31999).find("\"localEndpoints\":1") != std::string::npos);
    CHECK(lan.ask_from_neighbour("192.168.77.240", 80).starts_with("pod "));

    // It is given back with the type, and its route goes.
    cluster.put(schema::kServices,
                object_of("apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop, uid: u1}\nspec: "
                          "{type: ClusterIP, clusterIP: 10.43.0.7, ports: [{name: http, port: 80}]}\nstatus: "
                          "{loadBalancer: {ingress: [{ip: 192.168.77.240}]}}\n"));
    agent.settle();
    CHECK(address().empty());
    auto netlink = Netlink::open();
    Netlink nl = std::move(netlink).value();
    const auto routes = nl.routes();
    for (const Route& route : *routes) CHECK(route.to.str() != "192.168.77.240/32");
  });
  lan.host.run([&] { CHECK(cleanup(kInstance, (*dir).path()).ok()); });
}

TEST_CASE("externalIPs lead to the service, too") {
  auto dir = TempDir::make();
  REQUIRE(dir.ok());
  Lan lan;
  lan.host.run([&] {
    auto opened = PodNetwork::open({.instance = kInstance, .state_dir = (*dir).path() + "/network"});
    REQUIRE(opened.ok());
    PodNetwork network = std::move(opened).value();
    const std::string pod = *network.attach("uid-a", lan.pod.path());
    PodServer server(lan.pod, "pod", 8080);
    Objects cluster;
    cluster.put(schema::kServices, web("externalIPs: [192.168.77.1]"));
    cluster.put(schema::kEndpointSlices, slice({pod}));
    Agent agent(cluster, network.node_address());
    CHECK(lan.ask_from_neighbour("192.168.77.1", 80).starts_with("pod 192.168.77.2\n"));
    CHECK(cleanup(kInstance, (*dir).path()).ok());
  });
}

TEST_CASE("a new address is told to everybody on the links that announce it, and asked-for links only") {
  Lan lan;
  UniqueFd listener;
  lan.neighbour.run([&] {
    listener.reset(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(0x0806)));
    REQUIRE(listener);
  });
  const auto heard = [&](int wait_ms) {  // the sender's address of the next ARP packet
    unsigned char packet[64];
    pollfd one{listener.get(), POLLIN, 0};
    if (::poll(&one, 1, wait_ms) != 1 || ::recv(listener.get(), packet, sizeof packet, 0) < 28) return std::string();
    return std::to_string(packet[14]) + "." + std::to_string(packet[15]) + "." + std::to_string(packet[16]) + "." +
           std::to_string(packet[17]);
  };
  lan.host.run([&] {
    const auto announcer = ArpAnnouncer::make("c" + std::string(kInstance));
    REQUIRE(announcer->announce({}).ok());
    REQUIRE(announcer->announce({{*parse_ipv4("192.168.77.9"), {"other0"}}}).ok());
    CHECK(heard(200).empty());
    REQUIRE(announcer->announce({{*parse_ipv4("192.168.77.9"), {"up0"}}}).ok());
    CHECK(heard(2000) == "192.168.77.9");
    CHECK(heard(2000) == "192.168.77.9");
    REQUIRE(announcer->announce({{*parse_ipv4("192.168.77.9"), {"up0"}}, {*parse_ipv4("192.168.77.10"), {}}}).ok());
    bool told = false;
    for (int i = 0; i < 8 && !told; ++i) told = heard(2000) == "192.168.77.10";
    CHECK(told);
  });
}
