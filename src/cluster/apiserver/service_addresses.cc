// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/service_addresses.h"

#include <arpa/inet.h>

#include <set>

#include "core/base/random.h"
#include "core/base/text.h"

namespace caisson::apiserver {
namespace {

using schema::FieldError;

std::optional<std::uint32_t> parse_ip(std::string_view text) {
  in_addr address{};
  if (inet_pton(AF_INET, std::string(text).c_str(), &address) != 1) return std::nullopt;
  return ntohl(address.s_addr);
}

std::string format_ip(std::uint32_t ip) {
  char text[INET_ADDRSTRLEN];
  const in_addr address{htonl(ip)};
  return inet_ntop(AF_INET, &address, text, sizeof text);
}

bool wants_ip(const Value& spec) {
  return spec["type"].as_string() != "ExternalName" && spec["clusterIP"].as_string() != "None";
}
bool wants_node_ports(const Value& spec) {
  const std::string_view type = spec["type"].as_string();
  return type == "NodePort" || (type == "LoadBalancer" && spec["allocateLoadBalancerNodePorts"].as_bool(true));
}

void drop_ports(Value& spec) {
  Value& ports = spec.edit("ports");
  for (std::size_t i = 0; i < ports.size(); ++i) ports.edit(i).erase("nodePort");
}

// dropTypeDependentFields: a change of type takes away what only the old type had, unless the client changed it too.
void drop_by_type(const Value& before, Value& spec) {
  const std::string_view type = spec["type"].as_string();
  if (type == "ExternalName") {
    for (const char* field : {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"})
      if (spec[field] == before[field] || std::string_view(field) == "internalTrafficPolicy") spec.erase(field);
  }
  if (type != "NodePort" && type != "LoadBalancer") {
    if (!before.is_null() && before["type"].as_string() != type && before["ports"].size() == spec["ports"].size())
      drop_ports(spec);
    spec.erase("externalTrafficPolicy");
  }
  if (type != "LoadBalancer") {
    spec.erase("healthCheckNodePort");
    spec.erase("allocateLoadBalancerNodePorts");
    spec.erase("loadBalancerClass");
  }
}

}  // namespace

struct ServiceAddresses::Taken {
  std::set<std::uint32_t> ips;
  std::set<std::pair<int, std::string>> ports;  // with protocol
  bool port(int number, const std::string& protocol) const { return ports.contains({number, protocol}); }
  bool port(int number) const {
    const auto it = ports.lower_bound({number, ""});
    return it != ports.end() && it->first == number;
  }
};

Result<std::unique_ptr<ServiceAddresses>> ServiceAddresses::make(store::Store& store, const std::string& cidr,
                                                                 int first, int last) {
  const auto slash = cidr.find('/');
  const auto ip = parse_ip(cidr.substr(0, slash));
  const auto bits = slash == std::string::npos ? std::nullopt : parse_int(cidr.substr(slash + 1));
  if (!ip || !bits || *bits < 12 || *bits > 28)
    return Error{ErrorCode::bad_request, "service range " + cidr + " is no IPv4 range between /12 and /28"};
  const std::uint32_t size = 1u << (32 - *bits);
  return std::unique_ptr<ServiceAddresses>(new ServiceAddresses(store, *ip & ~(size - 1), size, first, last));
}

std::string ServiceAddresses::at(std::uint32_t offset) const {
  return format_ip(base_ + offset);
}

ServiceAddresses::Taken ServiceAddresses::taken(const Request& request) const {
  Taken taken;
  const auto listing = store_.list("services");
  if (!listing.ok()) return taken;
  for (const store::ItemPtr& item : listing->items) {
    if (item->ns() == request.ns && item->name() == request.name) continue;  // its own are not in its way
    const Value service = item->value();
    const Value& spec = service["spec"];
    if (const auto ip = parse_ip(spec["clusterIP"].as_string())) taken.ips.insert(*ip);
    if (const std::int64_t health = spec["healthCheckNodePort"].as_int(); health > 0)
      taken.ports.insert({static_cast<int>(health), "TCP"});
    for (const Value& port : spec["ports"].items())
      if (port["nodePort"].as_int() > 0)
        taken.ports.insert({static_cast<int>(port["nodePort"].as_int()), port["protocol"].str()});
  }
  return taken;
}

Result<void> ServiceAddresses::assign_ip(Request& request, const Taken& taken, const Value& before, Value& spec) const {
  if (spec["clusterIP"].as_string().empty() && !spec["clusterIPs"][0].as_string().empty())
    spec.set("clusterIP", spec["clusterIPs"][0]);
  if (spec["clusterIP"].as_string().empty() && wants_ip(before) && !before["clusterIP"].as_string().empty() &&
      before["type"].as_string() != "ExternalName")
    spec.set("clusterIP", before["clusterIP"]);
  const std::string asked = spec["clusterIP"].str();
  const std::string had = before["type"].as_string() == "ExternalName" ? "" : before["clusterIP"].str();
  if (!had.empty() && asked != had)
    return request.invalid({{FieldError::Type::invalid, "spec.clusterIPs[0]", Value(std::vector<Value>{Value(asked)}),
                             "may not change once set"}},
                           request.name);
  if (!asked.empty() && asked != "None") {
    const auto refuse = [&](const std::string& why) {
      const std::vector<FieldError> errors{{FieldError::Type::invalid, "spec.clusterIPs",
                                            Value(std::vector<Value>{Value(asked)}),
                                            "failed to allocate IP " + asked + ": " + why}};
      return request.invalid(errors, request.name);
    };
    const auto ip = parse_ip(asked);
    if (!ip) return {};  // validation says it better
    if (*ip <= base_ || *ip >= base_ + size_ - 1)
      return refuse("the provided network does not match the current range");
    if (taken.ips.contains(*ip)) return refuse("provided IP is already allocated");
  } else if (asked.empty()) {
    // The lower part is for addresses that people choose.
    const std::uint32_t reserved = std::min(std::max(16u, size_ / 16), 256u), usable = size_ - 2;
    const std::uint32_t start = static_cast<std::uint32_t>(random_u64() % (usable - reserved));
    std::uint32_t ip = 0;
    for (std::uint32_t i = 0; i < usable && ip == 0; ++i) {
      const std::uint32_t candidate = base_ + 1 + (reserved + start + i) % usable;
      if (!taken.ips.contains(candidate)) ip = candidate;
    }
    if (ip == 0)
      return request.fail(ErrorCode::internal,
                          "Internal error occurred: failed to allocate a serviceIP: range is full");
    spec.set("clusterIP", format_ip(ip));
  }
  spec.set("clusterIPs", Value(std::vector<Value>{spec["clusterIP"]}));
  if (spec["ipFamilies"].empty()) spec.set("ipFamilies", Value(std::vector<Value>{"IPv4"}));
  if (spec["ipFamilyPolicy"].is_null()) spec.set("ipFamilyPolicy", "SingleStack");
  return {};
}

Result<void> ServiceAddresses::assign_ports(Request& request, const Taken& taken, const Value& before,
                                            Value& spec) const {
  Taken all = taken;
  const std::size_t count = spec["ports"].size();
  for (std::size_t i = 0; i < count; ++i) {
    const Value port = spec["ports"][i];
    std::int64_t number = port["nodePort"].as_int();
    const std::string protocol = port["protocol"].str(), field = "spec.ports[" + std::to_string(i) + "].nodePort";
    if (number == 0)  // an update that leaves it out keeps it
      for (const Value& old : before["ports"].items())
        if (old["port"] == port["port"] && old["protocol"] == port["protocol"]) number = old["nodePort"].as_int();
    if (number != 0) {
      std::string why;
      if (all.port(static_cast<int>(number), protocol)) why = "provided port is already allocated";
      if (number < port_first_ || number > port_last_)
        why = "provided port is not in the valid range. The range of valid ports is " + std::to_string(port_first_) +
              "-" + std::to_string(port_last_);
      if (!why.empty()) return request.invalid({{FieldError::Type::invalid, field, Value(number), why}}, request.name);
    } else {
      const int span = port_last_ - port_first_ + 1;
      const int start = static_cast<int>(random_u64() % static_cast<unsigned>(span));
      for (int k = 0; k < span && number == 0; ++k)
        if (const int candidate = port_first_ + (start + k) % span; !all.port(candidate)) number = candidate;
      if (number == 0)
        return request.fail(ErrorCode::internal,
                            "Internal error occurred: failed to allocate a nodePort: range is full");
    }
    all.ports.insert({static_cast<int>(number), protocol});
    spec.edit("ports").edit(i).set("nodePort", number);
  }
  if (spec["externalTrafficPolicy"].is_null()) spec.set("externalTrafficPolicy", "Cluster");
  return {};
}

// One family of addresses is served: IPv4.
Result<void> ServiceAddresses::check_families(Request& request, const Value& spec) {
  std::vector<FieldError> errors;
  for (std::size_t i = 0; i < spec["ipFamilies"].size(); ++i)
    if (spec["ipFamilies"][i].as_string() == "IPv6")
      errors.push_back({FieldError::Type::invalid, "spec.ipFamilies[" + std::to_string(i) + "]", spec["ipFamilies"][i],
                        "not configured on this cluster"});
  if (spec["ipFamilyPolicy"].as_string() == "RequireDualStack")
    errors.push_back({FieldError::Type::invalid, "spec.ipFamilyPolicy", spec["ipFamilyPolicy"],
                      "this cluster is not configured for dual-stack services"});
  if (errors.empty()) return {};
  return request.invalid(errors, request.name);
}

Result<void> ServiceAddresses::assign_health_port(Request& request, const Taken& taken, const Value& before,
                                                  Value& spec) const {
  if (spec["type"].as_string() != "LoadBalancer" || spec["externalTrafficPolicy"].as_string() != "Local") return {};
  if (spec["healthCheckNodePort"].as_int() == 0 && before["healthCheckNodePort"].as_int() != 0)
    spec.set("healthCheckNodePort", before["healthCheckNodePort"]);
  if (spec["healthCheckNodePort"].as_int() != 0) return {};
  const int span = port_last_ - port_first_ + 1;
  const int start = static_cast<int>(random_u64() % static_cast<unsigned>(span));
  for (int k = 0; k < span; ++k) {
    const int candidate = port_first_ + (start + k) % span;
    const auto own = spec["ports"].items();
    const bool used =
        std::any_of(own.begin(), own.end(), [&](const Value& p) { return p["nodePort"].as_int() == candidate; });
    if (used || taken.port(candidate)) continue;
    spec.set("healthCheckNodePort", candidate);
    return {};
  }
  return request.fail(ErrorCode::internal, "Internal error occurred: failed to allocate a nodePort: range is full");
}

Result<void> ServiceAddresses::assign(Request& request, const Value& before, Value& service) const {
  const std::string kept = request.name;
  if (request.name.empty()) request.name = service["metadata"]["name"].str();
  const Value old = before["spec"];
  Value spec = service["spec"];
  if (!old.is_null()) drop_by_type(old, spec);
  TRY(check_families(request, spec));
  const Taken all = taken(request);
  Result<void> done;
  if (spec["type"].as_string() != "ExternalName") done = assign_ip(request, all, old, spec);
  if (done.ok() && wants_node_ports(spec)) done = assign_ports(request, all, old, spec);
  if (done.ok()) done = assign_health_port(request, all, old, spec);
  request.name = kept;
  if (!done.ok()) return done;
  service.set("spec", std::move(spec));
  return {};
}

}  // namespace caisson::apiserver
