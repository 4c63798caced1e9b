// SPDX-License-Identifier: Apache-2.0
// What Service and EndpointSlice objects say, in the words that services, DNS and ingress share. Pure functions; any
// thread. Source: Kubernetes' EndpointSlice API (discovery.k8s.io/v1): only endpoints that are ready and not
// terminating are used.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "cluster/kube/object.h"

namespace caisson::network {

inline constexpr std::string_view kServiceNameLabel = "kubernetes.io/service-name";

struct Backend {
  std::string ip;
  int port = 0;
  std::string str() const { return ip + ":" + std::to_string(port); }
  auto operator<=>(const Backend&) const = default;
};

struct ServicePort {
  std::string name;
  std::string protocol;  // "tcp", "udp"
  int port = 0;
  int node_port = 0;  // 0: none
};
std::vector<ServicePort> service_ports(const kube::Object& service);  // SCTP is left out
bool is_headless(const kube::Object& service);
bool has_cluster_ip(const kube::Object& service);

// The addresses outside the service range that lead to it too: externalIPs, and those that a load balancer gave it.
std::vector<std::string> external_addresses(const kube::Object& service);
std::vector<std::string> balanced_addresses(const kube::Object& service);  // only the latter

// Ready backends of one port of a service, sorted and without duplicates.
std::vector<Backend> ready_backends(const std::vector<kube::Object>& slices, const ServicePort& port);

struct Endpoint {
  std::string ip, hostname;
};
std::vector<Endpoint> ready_endpoints(const std::vector<kube::Object>& slices);  // sorted by address

// The service's key of a slice; an empty name when it has none.
kube::ObjectKey service_of(const kube::Object& slice);

// The index of EndpointSlices by their service that the room's reconcilers share: "namespace/name".
inline constexpr char kServiceIndex[] = "service";
std::vector<std::string> service_index(const kube::Object& slice);

}  // namespace caisson::network
