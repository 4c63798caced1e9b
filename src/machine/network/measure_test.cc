// SPDX-License-Identifier: Apache-2.0
// Figures for docs/benchmarks.md, by script/bench network; left out of ordinary runs. Needs root and nginx.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>

#include "core/base/file.h"
#include "core/document/yaml.h"
#include "machine/network/network.h"
#include "machine/network/nginx.h"
#include "machine/network/pod_network.h"
#include "machine/network/testing/namespace.h"
#include "machine/network/testing/objects.h"

using namespace caisson;
using namespace caisson::network;
using namespace caisson::network::testing;

namespace {

constexpr char kMeasured[] = "7e57ce";
constexpr Duration kLong = std::chrono::seconds(30);
constexpr int kRounds = 41;

kube::Object read_object(const std::string& text) {
  const auto value = yaml::read(text);
  REQUIRE_MESSAGE(value.ok(), (value.ok() ? "" : value.error().message));
  return kube::Object(*value);
}

std::string ip_of(int service, int endpoint) {
  return "10.42." + std::to_string(1 + service / 40) + "." + std::to_string(1 + service % 40 * 6 + endpoint);
}

// Service N has the endpoints `first` to `first` + 4.
void put_service(Objects& cluster, int n, int first) {
  const std::string name = "s" + std::to_string(n);
  std::string endpoints;
  for (int i = first; i < first + 5; ++i)
    endpoints += "- {addresses: [" + ip_of(n, i) + "], conditions: {ready: true}}\n";
  cluster.put(schema::kEndpointSlices,
              read_object("apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\nmetadata: {name: " +
                          name + "-1, namespace: shop, labels: {kubernetes.io/service-name: " + name +
                          "}}\nports: [{name: http, port: 8080, protocol: TCP}]\nendpoints:\n" + endpoints));
  if (first > 0) return;
  cluster.put(schema::kServices,
              read_object("apiVersion: v1\nkind: Service\nmetadata: {name: " + name +
                          ", namespace: shop}\nspec: {clusterIP: 10.43." + std::to_string(1 + n / 200) + "." +
                          std::to_string(1 + n % 200) + ", ports: [{name: http, port: 80}]}\n"));
  cluster.put(schema::kIngresses,
              read_object("apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: " + name +
                          ", namespace: shop}\nspec: {rules: [{host: " + name +
                          ".localhost, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: " + name +
                          ", port: {name: http}}}}]}}]}\n"));
}

double ms_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}
void tell(const char* what, int services, std::vector<double>& times) {
  std::sort(times.begin(), times.end());
  std::printf("%s, %d services of 5 endpoints: least %.1f, median %.1f, P90 %.1f ms\n", what, services, times[0],
              times[times.size() / 2], times[times.size() * 9 / 10]);
}

void measure_changes(const std::string& directory, const std::string& node, int services) {
  Objects cluster;
  for (int n = 0; n < services; ++n) put_service(cluster, n, 0);
  kube::Runtime runtime(cluster, system_clock(), {.threads = 2, .crash_file = {}});
  auto rules = add_services(runtime, {.instance = kMeasured, .node_address = node});
  REQUIRE_MESSAGE(rules.ok(), (rules.ok() ? "" : rules.error().message));
  auto ingress = add_ingress(runtime, {.instance = kMeasured, .directory = directory + "/nginx"});
  REQUIRE_MESSAGE(ingress.ok(), (ingress.ok() ? "" : ingress.error().message));
  const auto began = std::chrono::steady_clock::now();
  runtime.start();
  REQUIRE(runtime.wait_synced(kLong));
  REQUIRE((*rules)->wait_applied(kLong).ok());
  REQUIRE((*ingress)->wait_applied(kLong).ok());
  std::printf("first rules and routes of %d services: %.0f ms\n", services, ms_since(began));
  REQUIRE(runtime.wait_idle(kLong, std::chrono::milliseconds(200)));
  std::vector<double> in_nftables, in_nginx;
  for (int round = 0; round < kRounds; ++round) {  // an endpoint goes and another comes
    const int n = round * 37 % services;
    const auto start = std::chrono::steady_clock::now();
    put_service(cluster, n, 1);
    REQUIRE((*rules)->wait_withdrawn(ip_of(n, 0), kLong));
    in_nftables.push_back(ms_since(start));
    REQUIRE((*ingress)->wait_withdrawn(ip_of(n, 0), kLong));
    in_nginx.push_back(ms_since(start));
    REQUIRE(runtime.wait_idle(kLong, std::chrono::milliseconds(20)));
    put_service(cluster, n, 0);
    REQUIRE(runtime.wait_idle(kLong, std::chrono::milliseconds(50)));
  }
  tell("endpoint changed to nftables", services, in_nftables);
  tell("endpoint changed to nftables and nginx", services, in_nginx);
}

}  // namespace

TEST_CASE("measure: an endpoint that changes comes into force" * doctest::skip()) {
  for (const int services : {10, 1000}) {
    const TempDir dir = TempDir::make().value();
    REQUIRE(::chmod(dir.path().c_str(), 0755) == 0);
    const Namespace host;
    host.run([&] {
      Netlink nl = Netlink::open().value();
      REQUIRE(nl.set_up((*nl.find_link("lo"))->index).ok());
      const PodNetwork network =
          PodNetwork::open({.instance = kMeasured, .state_dir = dir.path() + "/network"}).value();
      measure_changes(dir.path(), network.node_address(), services);
      CHECK(cleanup(kMeasured, dir.path()).ok());
    });
  }
}
