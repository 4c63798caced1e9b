// SPDX-License-Identifier: Apache-2.0
// See service_rules.h.
#include "machine/network/service_rules.h"

#include <algorithm>

#include "core/base/random.h"
#include "core/base/text.h"
#include "machine/network/endpoints.h"
#include "machine/network/netlink.h"
#include "machine/network/pod_network.h"

namespace caisson::network {
namespace {

constexpr int kSlots = 60;  // divides evenly by 1-6, 10 and 12 endpoints

std::vector<Backend> slots_of(const std::vector<Backend>& backends, bool sticky) {
  std::vector<Backend> out;
  for (int slot = 0; slot < kSlots; ++slot) {
    if (!sticky) {
      out.push_back(backends[static_cast<std::size_t>(slot) % backends.size()]);
      continue;
    }
    out.push_back(*std::max_element(backends.begin(), backends.end(), [&](const Backend& a, const Backend& b) {
      const std::string suffix = "/" + std::to_string(slot);
      return fnv32a(a.str() + suffix) < fnv32a(b.str() + suffix);
    }));
  }
  return out;
}

std::string slot_text(int slot) {
  static constexpr char kDigits[] = "0123456789abcdef";
  return {'0', 'x', kDigits[slot / 16], kDigits[slot % 16]};
}

// One port as it is seen from outside: the addresses that lead to it, all by the same slots.
struct FrontPort {
  std::vector<std::string> addresses;
  const ServicePort& port;
  bool sticky;
  std::string key(const std::string& address) const {
    return address + " . " + port.protocol + " . " + std::to_string(port.port);
  }
  std::string node_key() const { return port.protocol + " . " + std::to_string(port.node_port); }
};

void add_port(ServiceRules& out, const FrontPort& front, const std::vector<Backend>& backends) {
  if (backends.empty()) return;
  const ServicePort& port = front.port;
  const std::vector<Backend> slots = slots_of(backends, front.sticky);
  for (int slot = 0; slot < kSlots; ++slot) {
    const Backend& to = slots[static_cast<std::size_t>(slot)];
    const std::string target = to.ip + " . " + std::to_string(to.port);
    for (const auto& address : front.addresses) out.cluster[front.key(address) + " . " + slot_text(slot)] = target;
    if (port.node_port) out.node[front.node_key() + " . " + slot_text(slot)] = target;
  }
  if (port.node_port) out.node_ports.insert(front.node_key());
  if (front.sticky) {
    for (const auto& address : front.addresses) out.sticky.insert(front.key(address));
    if (port.node_port) out.sticky_node.insert(front.node_key());
  }
  for (const Backend& backend : backends) {
    out.addresses.insert(backend.ip);
    if (port.protocol == "udp") out.udp_addresses.insert(backend.ip);
  }
}

// loadBalancerSourceRanges, merged: nftables takes no intervals that overlap.
std::vector<std::string> source_ranges(const kube::Object& service) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
  for (const Value& text : service.spec()["loadBalancerSourceRanges"].items()) {
    const auto cidr = parse_cidr(trim(text.as_string()));
    if (cidr.ok()) ranges.emplace_back(cidr->first(), cidr->first() + cidr->size() - 1);
  }
  std::sort(ranges.begin(), ranges.end());
  std::vector<std::pair<std::uint64_t, std::uint64_t>> merged;
  for (const auto& one : ranges) {
    if (!merged.empty() && one.first <= merged.back().second + 1)
      merged.back().second = std::max(merged.back().second, one.second);
    else
      merged.push_back(one);
  }
  std::vector<std::string> out;
  for (const auto& [first, last] : merged)
    out.push_back(format_ipv4(static_cast<std::uint32_t>(first)) + "-" + format_ipv4(static_cast<std::uint32_t>(last)));
  return out;
}

// Who is not named is kept out; a list without a single IPv4 range keeps everybody out.
void limit_sources(ServiceRules& out, const kube::Object& service, const FrontPort& front) {
  if (service.spec()["loadBalancerSourceRanges"].empty()) return;
  for (const auto& address : balanced_addresses(service)) {
    out.limited.insert(front.key(address));
    for (const auto& range : source_ranges(service)) out.let_in.insert(front.key(address) + " . " + range);
  }
}

class Script {
 public:
  explicit Script(std::string table) : table_(std::move(table)) {}

  void change_map(const char* name, const std::map<std::string, std::string>& before,
                  const std::map<std::string, std::string>& after) {
    std::string gone, added;
    for (const auto& [key, value] : before) {
      const auto now = after.find(key);
      if (now == after.end() || now->second != value) append(gone, key);
    }
    for (const auto& [key, value] : after) {
      const auto was = before.find(key);
      if (was == before.end() || was->second != value) append(added, key + " : " + value);
    }
    statement("delete", name, gone);
    statement("add", name, added);
  }

  void change_set(const char* name, const std::set<std::string>& before, const std::set<std::string>& after) {
    std::string gone, added;
    for (const auto& key : before)
      if (!after.contains(key)) append(gone, key);
    for (const auto& key : after)
      if (!before.contains(key)) append(added, key);
    statement("delete", name, gone);
    statement("add", name, added);
  }

  std::string text;

 private:
  static void append(std::string& list, const std::string& element) { list += (list.empty() ? "" : ", ") + element; }
  void statement(const char* verb, const char* name, const std::string& elements) {
    if (!elements.empty()) text += std::string(verb) + " element " + table_ + " " + name + " { " + elements + " }\n";
  }
  std::string table_;
};

std::set<std::string> pairs_of(const std::set<std::string>& addresses) {
  std::set<std::string> out;
  for (const auto& address : addresses) out.insert(address + " . " + address);
  return out;
}

}  // namespace

ServiceRules rules_of(const kube::Object& service, const std::vector<kube::Object>& slices) {
  ServiceRules out;
  if (!has_cluster_ip(service)) return out;
  const bool sticky = service.spec()["sessionAffinity"].as_string() == "ClientIP";
  std::vector<std::string> addresses = external_addresses(service);
  out.external.insert(addresses.begin(), addresses.end());
  addresses.push_back(service.spec()["clusterIP"].str());
  for (const ServicePort& port : service_ports(service)) {
    const FrontPort front{addresses, port, sticky};
    add_port(out, front, ready_backends(slices, port));
    limit_sources(out, service, front);
  }
  return out;
}

std::string make_table(const TableOptions& options) {
  const std::string table = options.table();
  static constexpr std::string_view kText = R"(
add table TABLE
delete table TABLE
table TABLE {
  map ep { type ipv4_addr . inet_proto . inet_service . mark : ipv4_addr . inet_service; size 1048576; }
  map np { type inet_proto . inet_service . mark : ipv4_addr . inet_service; size 262144; }
  set node_ports { type inet_proto . inet_service; }
  set sticky { type ipv4_addr . inet_proto . inet_service; }
  set sticky_node { type inet_proto . inet_service; }
  set hairpin { type ipv4_addr . ipv4_addr; }
  set external { type ipv4_addr; }
  set limited { type ipv4_addr . inet_proto . inet_service; }
  set let_in { type ipv4_addr . inet_proto . inet_service . ipv4_addr; flags interval; }

  chain to_service {
    meta mark set numgen random mod 60
    meta l4proto { tcp, udp } ip daddr . meta l4proto . th dport @sticky meta mark set jhash ip saddr mod 60
    meta l4proto { tcp, udp } dnat ip to ip daddr . meta l4proto . th dport . meta mark map @ep
    meta mark set 0
  }
  chain to_node_port {
    meta mark set numgen random mod 60
    meta l4proto . th dport @sticky_node meta mark set jhash ip saddr mod 60
    meta l4proto { tcp, udp } dnat ip to meta l4proto . th dport . meta mark map @np
    meta mark set 0
  }
  chain to_external {
    meta l4proto { tcp, udp } ip daddr . meta l4proto . th dport @limited ip daddr . meta l4proto . th dport . ip saddr != @let_in drop
    goto to_service
  }
  chain translate {
    ip daddr SERVICES goto to_service
    ip daddr @external goto to_external
    meta l4proto { tcp, udp } fib daddr type local meta l4proto . th dport @node_ports goto to_node_port
  }
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    jump translate
  }
  chain output {
    type nat hook output priority -100; policy accept;
    jump translate
  }
  chain translated {
    meta mark set 0
    ip saddr . ip daddr @hairpin snat to NODE
    ip saddr 127.0.0.0/8 snat to NODE
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip daddr PODS ct status dnat jump translated
    ip saddr PODS ip daddr != { PODS, SERVICES } oifname != "cIDv*" masquerade
  }

  chain refuse {
    meta l4proto tcp reject with tcp reset
    reject with icmp type port-unreachable
  }
  chain nobody {
    ip daddr SERVICES goto refuse
    ip daddr @external goto refuse
    ip daddr PODS rt nexthop NOWHERE goto refuse
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    jump nobody
  }
  chain local_output {
    type filter hook output priority filter; policy accept;
    jump nobody
  }
  chain input {
    type filter hook input priority filter; policy accept;
    iifname "cIDv*" ip daddr 127.0.0.0/8 ct direction original drop
  }
}
)";
  std::string text(kText);
  text = replace_all(std::move(text), "TABLE", table);
  text = replace_all(std::move(text), "SERVICES", options.service_cidr);
  text = replace_all(std::move(text), "PODS", options.pod_cidr);
  text = replace_all(std::move(text), "NODE", options.node_address);
  text = replace_all(std::move(text), "NOWHERE", kNowhere);
  return replace_all(std::move(text), "cIDv", "c" + options.instance + "v");
}

std::string change_elements(const TableOptions& options, const ServiceRules& before, const ServiceRules& after,
                            const SharedAddresses& shared) {
  Script script(options.table());
  script.change_map("ep", before.cluster, after.cluster);
  script.change_map("np", before.node, after.node);
  script.change_set("node_ports", before.node_ports, after.node_ports);
  script.change_set("sticky", before.sticky, after.sticky);
  script.change_set("sticky_node", before.sticky_node, after.sticky_node);
  script.change_set("limited", before.limited, after.limited);
  script.change_set("let_in", before.let_in, after.let_in);
  script.change_set("external", shared.external_removed, shared.external_added);
  script.change_set("hairpin", pairs_of(shared.endpoints_removed), pairs_of(shared.endpoints_added));
  return script.text;
}

}  // namespace caisson::network
