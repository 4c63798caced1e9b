// SPDX-License-Identifier: Apache-2.0
// Needs root: services, DNS and ingress together, as the agent runs them, in network namespaces of their own.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include "core/base/file.h"
#include "core/document/yaml.h"
#include "machine/network/dns_message.h"
#include "machine/network/network.h"
#include "machine/network/nft.h"
#include "machine/network/nginx.h"
#include "machine/network/pod_network.h"
#include "machine/network/testing/namespace.h"
#include "machine/network/testing/objects.h"

using namespace caisson;
using namespace caisson::network;
using namespace caisson::network::testing;

namespace {

constexpr char kInstance[] = "7e57cd";
constexpr Duration kSoon = std::chrono::seconds(10);

kube::Object object_of(const std::string& yaml) {
  auto value = yaml::read(yaml);
  REQUIRE_MESSAGE(value.ok(), (value.ok() ? "" : value.error().message));
  return kube::Object(*value);
}

kube::Object slice(const std::vector<std::string>& ready, const std::vector<std::string>& terminating = {}) {
  std::string text =
      "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\n"
      "metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web}}\n"
      "ports: [{name: http, port: 8080, protocol: TCP}]\nendpoints:\n";
  for (const auto& ip : ready) text += "- {addresses: [" + ip + "], conditions: {ready: true}}\n";
  for (const auto& ip : terminating)
    text += "- {addresses: [" + ip + "], conditions: {ready: false, terminating: true}}\n";
  return object_of(text);
}

// What an agent's process holds; destroyed and made again it is a restarted agent.
struct Agent {
  kube::Runtime runtime;
  std::shared_ptr<Services> services;
  std::shared_ptr<Dns> dns;
  std::shared_ptr<Ingress> ingress;

  Agent(kube::Client& client, const std::string& data, const std::string& node)
      : runtime(client, system_clock(), {.threads = 2, .crash_file = {}}) {
    auto made = add_services(runtime, {.instance = kInstance, .node_address = node});
    REQUIRE_MESSAGE(made.ok(), (made.ok() ? "" : made.error().message));
    services = *made;
    auto names = add_dns(runtime, {.address = node, .registry_address = "10.43.0.3"});
    REQUIRE_MESSAGE(names.ok(), (names.ok() ? "" : names.error().message));
    dns = *names;
    auto web = add_ingress(runtime, {.instance = kInstance, .directory = data + "/nginx"});
    REQUIRE_MESSAGE(web.ok(), (web.ok() ? "" : web.error().message));
    ingress = *web;
    runtime.start();
  }
  void settle() {
    REQUIRE(runtime.wait_synced(kSoon));
    REQUIRE(services->wait_applied(kSoon).ok());
    REQUIRE(ingress->wait_applied(kSoon).ok());
  }
};

}  // namespace

TEST_CASE(
    "an agent brings services, names and ingress into force, withdraws an endpoint that terminates, and restarts "
    "unnoticed") {
  auto dir = TempDir::make();
  REQUIRE(dir.ok());
  REQUIRE(::chmod((*dir).path().c_str(), 0755) == 0);
  Namespace host, in_a, in_b;
  host.run([&] {
    auto netlink = Netlink::open();
    Netlink nl = std::move(netlink).value();
    REQUIRE(nl.set_up((*nl.find_link("lo"))->index).ok());
    auto opened = PodNetwork::open({.instance = kInstance, .state_dir = (*dir).path() + "/network"});
    REQUIRE_MESSAGE(opened.ok(), (opened.ok() ? "" : opened.error().message));
    PodNetwork network = std::move(opened).value();
    const std::string a = *network.attach("uid-a", in_a.path()), b = *network.attach("uid-b", in_b.path());
    PodServer server_a(in_a, "a", 8080), server_b(in_b, "b", 8080);

    Objects cluster;
    cluster.put(schema::kServices, object_of("apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\n"
                                             "spec: {clusterIP: 10.43.0.7, ports: [{name: http, port: 80}]}\n"));
    cluster.put(schema::kEndpointSlices, slice({a, b}));
    cluster.put(
        schema::kIngresses,
        object_of(
            "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: shop, namespace: shop, annotations: "
            "{nginx.ingress.kubernetes.io/mirror-target: x}}\nspec: {rules: [{host: shop.localhost, http: {paths: "
            "[{path: /, pathType: Prefix, backend: {service: {name: web, port: {name: http}}}}]}}]}\n"));
    {
      Agent agent(cluster, (*dir).path(), network.node_address());
      CHECK_FALSE(
          (agent.services->generation() == 0 && agent.services->withdrawn("10.42.0.99")));  // nothing is known yet
      agent.settle();
      CHECK(agent.services->withdrawn("10.42.0.99"));
      CHECK_FALSE(agent.services->withdrawn(a));
      CHECK(who(ask("10.43.0.7", 80)) != "");
      CHECK(ask("127.0.0.1", 80, "shop.localhost").find("GET / HTTP/1.1") != std::string::npos);
      REQUIRE(agent.runtime.wait_idle(kSoon, std::chrono::milliseconds(100)));
      CHECK(cluster.all(schema::kIngresses)[0].status()["loadBalancer"]["ingress"][0]["ip"].as_string() == "127.0.0.1");

      const auto withdrawal = both(agent.services, agent.ingress);
      CHECK_FALSE(withdrawal->withdrawn(a));
      cluster.put(schema::kEndpointSlices, slice({b}, {a}));
      CHECK(withdrawal->wait_withdrawn(a, kSoon));
      for (int i = 0; i < 10; ++i) {
        CHECK(who(ask("10.43.0.7", 80)) == "b");
        CHECK(who(ask("127.0.0.1", 80, "shop.localhost")) == "b");
      }
    }
    // The agent is gone: rules, nginx and its table stay.
    CHECK(who(ask("10.43.0.7", 80)) == "b");
    CHECK(who(ask("127.0.0.1", 80, "shop.localhost")) == "b");
    const Result<std::string> pid = read_file((*dir).path() + "/nginx/nginx.pid");
    {
      Agent agent(cluster, (*dir).path(), network.node_address());
      CHECK(who(ask("127.0.0.1", 80, "shop.localhost")) == "b");
      agent.settle();
      CHECK(*read_file((*dir).path() + "/nginx/nginx.pid") == *pid);
      // Somebody flushed the ruleset: the next change makes it whole.
      auto nft = Nft::open();
      Nft tables = std::move(nft).value();
      REQUIRE(tables.run("flush ruleset").ok());
      cluster.put(schema::kEndpointSlices, slice({a}));
      REQUIRE(agent.services->wait_withdrawn(b, kSoon));
      CHECK(who(ask("10.43.0.7", 80)) == "a");
      cluster.erase(schema::kServices, {"shop", "web"});
      REQUIRE(agent.services->wait_withdrawn(a, kSoon));
      CHECK(ask("10.43.0.7", 80) == "refused");
    }
    const auto clean = cleanup(kInstance, (*dir).path());
    CHECK_MESSAGE(clean.ok(), (clean.ok() ? "" : clean.error().message));
    CHECK(ask("127.0.0.1", 80) == "refused");
  });
}
