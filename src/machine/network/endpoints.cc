// SPDX-License-Identifier: Apache-2.0
// See endpoints.h.
#include "machine/network/endpoints.h"

#include "core/base/text.h"
#include "machine/network/netlink.h"

namespace caisson::network {
namespace {

// conditions.ready absent counts as ready (API documentation: "nil should be interpreted as true").
bool is_ready(const Value& endpoint) {
  const Value& conditions = endpoint["conditions"];
  return conditions["ready"].as_bool(true) && !conditions["terminating"].as_bool(false);
}

std::string protocol_of(const Value& port) {
  return to_lower(port["protocol"].as_string("TCP"));
}

}  // namespace

std::vector<ServicePort> service_ports(const kube::Object& service) {
  std::vector<ServicePort> out;
  for (const Value& port : service.spec()["ports"].items()) {
    ServicePort one{port["name"].str(), protocol_of(port), static_cast<int>(port["port"].as_int()),
                    static_cast<int>(port["nodePort"].as_int())};
    if (one.protocol == "tcp" || one.protocol == "udp") out.push_back(std::move(one));
  }
  return out;
}

bool is_headless(const kube::Object& service) {
  return service.spec()["clusterIP"].as_string() == "None";
}

bool has_cluster_ip(const kube::Object& service) {
  return !service.spec()["clusterIP"].as_string().empty() && !is_headless(service) &&
         service.spec()["type"].as_string() != "ExternalName";
}

std::vector<std::string> balanced_addresses(const kube::Object& service) {
  std::vector<std::string> out;
  if (service.spec()["type"].as_string() != "LoadBalancer") return out;
  for (const Value& one : service.status()["loadBalancer"]["ingress"].items())
    if (one["ipMode"].as_string() != "Proxy" && parse_ipv4(one["ip"].as_string()).ok()) out.push_back(one["ip"].str());
  return out;
}

std::vector<std::string> external_addresses(const kube::Object& service) {
  std::vector<std::string> out = balanced_addresses(service);
  for (const Value& one : service.spec()["externalIPs"].items())
    if (parse_ipv4(one.as_string()).ok()) out.push_back(one.str());
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

std::vector<Backend> ready_backends(const std::vector<kube::Object>& slices, const ServicePort& port) {
  std::vector<Backend> out;
  for (const kube::Object& slice : slices) {
    if (slice["addressType"].as_string("IPv4") != "IPv4") continue;
    for (const Value& slice_port : slice["ports"].items()) {
      if (slice_port["name"].as_string() != port.name || protocol_of(slice_port) != port.protocol) continue;
      for (const Value& endpoint : slice["endpoints"].items()) {
        // Of an endpoint's addresses only the first is used, as by kube-proxy: they are fungible.
        if (is_ready(endpoint) && !endpoint["addresses"].empty())
          out.push_back({endpoint["addresses"][0].str(), static_cast<int>(slice_port["port"].as_int())});
      }
    }
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

std::vector<Endpoint> ready_endpoints(const std::vector<kube::Object>& slices) {
  std::vector<Endpoint> out;
  for (const kube::Object& slice : slices)
    for (const Value& endpoint : slice["endpoints"].items())
      if (is_ready(endpoint) && !endpoint["addresses"].empty())
        out.push_back({endpoint["addresses"][0].str(), endpoint["hostname"].str()});
  const auto by_ip = [](const Endpoint& a, const Endpoint& b) { return a.ip < b.ip; };
  std::sort(out.begin(), out.end(), by_ip);
  out.erase(std::unique(out.begin(), out.end(), [](const Endpoint& a, const Endpoint& b) { return a.ip == b.ip; }),
            out.end());
  return out;
}

kube::ObjectKey service_of(const kube::Object& slice) {
  return {slice.ns(), std::string(slice.label(kServiceNameLabel))};
}
std::vector<std::string> service_index(const kube::Object& slice) {
  return {service_of(slice).str()};
}

}  // namespace caisson::network
