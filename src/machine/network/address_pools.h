// SPDX-License-Identifier: Apache-2.0
// Which address a Service of type LoadBalancer gets, and on which links it is announced. Pure functions; any thread.
// Source: MetalLB 0.15, its kinds IPAddressPool and L2Advertisement (metallb.io/v1beta1) and the annotations of
// Services (metallb.io/loadBalancerIPs, address-pool, allow-shared-ip; metallb.universe.tf/… too). IPv4. As there,
// only pools and advertisements of namespace metallb-system count.
#pragma once
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/kube/object.h"
#include "cluster/kube/selector.h"

namespace caisson::network {

inline constexpr std::string_view kPoolNamespace = "metallb-system";
inline constexpr std::string_view kLoadBalancerClass = "metallb";  // what spec.loadBalancerClass may name, or nothing

struct AddressRange {
  std::uint32_t first = 0, last = 0;
  bool operator==(const AddressRange&) const = default;
};
// "192.168.1.240-192.168.1.250", "192.168.1.0/28", "192.168.1.9/32". Errors: invalid, which quotes the text.
Result<AddressRange> parse_range(std::string_view text);

struct AddressPool {
  std::string name;
  Value labels;
  std::vector<AddressRange> ranges;
  bool auto_assign = true, avoid_buggy = false;  // buggy: some routers drop what ends in .0 or .255
  // serviceAllocation: who may use it. `pinned`: it names somebody, so it goes before pools for everybody.
  bool pinned = false;
  std::int64_t priority = 0;  // the smaller the earlier; 0: last
  std::set<std::string> namespaces;
  std::vector<kube::LabelSelector> namespace_selectors, service_selectors;

  bool contains(std::uint32_t address) const;
  std::uint64_t size() const;
};
// Errors: invalid, in words for an Event about the pool.
Result<AddressPool> parse_pool(const kube::Object& pool);

struct PoolWorld {
  std::vector<AddressPool> pools;
  std::map<std::string, Value> namespace_labels;
};

struct Assignment {
  std::string address, pool;  // empty: none
  std::string problem;        // why none, and what to do
  bool operator==(const Assignment&) const = default;
};
bool wants_load_balancer(const kube::Object& service);  // of this class, and not on its way out
// For every Service that wants one. What status.loadBalancer says already is kept while it may be.
std::map<kube::ObjectKey, Assignment> assign_addresses(const std::vector<kube::Object>& services,
                                                       const PoolWorld& world);

// Errors: invalid, when one of its selectors can't be read; such an advertisement announces nothing.
Result<void> check_advertisement(const kube::Object& advertisement);
// On which links the addresses of a pool are announced: names, or every link when the set is empty; nothing when no
// L2Advertisement that is for this node takes the pool.
std::optional<std::set<std::string>> announcing_links(const AddressPool& pool,
                                                      const std::vector<kube::Object>& advertisements,
                                                      const Value& node_labels);

}  // namespace caisson::network
