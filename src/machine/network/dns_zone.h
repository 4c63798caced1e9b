// SPDX-License-Identifier: Apache-2.0
// What cluster names mean: the Kubernetes DNS-Based Service Discovery specification 1.1.0, IPv4. Pure functions over
// the objects; any thread.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cluster/kube/object.h"
#include "machine/network/dns_message.h"

namespace caisson::network::dns {

struct ZoneSource {
  std::string domain = "cluster.local";
  std::string registry_address;  // of registry.caisson.internal; "": the name isn't ours
  std::function<std::optional<kube::Object>(const kube::ObjectKey&)> service;
  std::function<std::vector<kube::Object>(const kube::ObjectKey&)> slices;
  std::function<std::optional<kube::Object>(const std::string& cluster_ip)> service_by_ip;
};

struct ZoneAnswer {
  bool ours = false;  // false: ask the host's resolvers
  Answer answer;
  std::vector<std::string> resolvers;  // whom to ask instead of the host's; "10.0.0.1" or "10.0.0.1:5353"
  std::string alias;  // an ExternalName's target: the answer begins with its CNAME and must be completed
};
ZoneAnswer resolve(const ZoneSource& source, const std::string& name, std::uint16_t type);

}  // namespace caisson::network::dns
