// SPDX-License-Identifier: Apache-2.0
// See address_pools.h.
#include "machine/network/address_pools.h"

#include <algorithm>
#include <tuple>

#include "core/base/text.h"
#include "machine/network/endpoints.h"
#include "machine/network/netlink.h"

namespace caisson::network {
namespace {

using kube::Object;
using kube::ObjectKey;

Result<std::vector<kube::LabelSelector>> selectors(const Value& list) {
  std::vector<kube::LabelSelector> out;
  for (const Value& one : list.items()) out.push_back(TRY(kube::LabelSelector::from(one)));
  return out;
}

bool any_matches(const std::vector<kube::LabelSelector>& selectors, const Value& labels) {
  return std::any_of(selectors.begin(), selectors.end(), [&](const auto& one) { return one.matches(labels); });
}

std::string_view annotation(const Object& service, std::string_view name) {
  const auto value = service.annotation("metallb.io/" + std::string(name));
  return value.empty() ? service.annotation("metallb.universe.tf/" + std::string(name)) : value;
}

std::string requested_address(const Object& service) {
  const auto list = annotation(service, "loadBalancerIPs");
  return list.empty() ? service.spec()["loadBalancerIP"].str() : std::string(list);
}

bool may_use(const AddressPool& pool, const Object& service, const PoolWorld& world) {
  if (!pool.namespaces.empty() || !pool.namespace_selectors.empty()) {
    const auto labels = world.namespace_labels.find(service.ns());
    const bool selected =
        labels != world.namespace_labels.end() && any_matches(pool.namespace_selectors, labels->second);
    if (!pool.namespaces.contains(service.ns()) && !selected) return false;
  }
  return pool.service_selectors.empty() || any_matches(pool.service_selectors, service.metadata()["labels"]);
}

bool is_buggy(const AddressPool& pool, std::uint32_t address) {
  return pool.avoid_buggy && ((address & 0xff) == 0 || (address & 0xff) == 0xff);
}

// What one address is used for, and by whom.
struct Use {
  ObjectKey service;
  std::string sharing_key, backends;  // who has the same two may share it, on other ports
  std::set<std::pair<std::string, int>> ports;
};

class Assigner {
 public:
  explicit Assigner(const PoolWorld& world) : world_(world) {
    for (const AddressPool& pool : world.pools) order_.push_back(&pool);
    std::stable_sort(order_.begin(), order_.end(), [](const AddressPool* a, const AddressPool* b) {
      const auto rank = [](const AddressPool* p) {
        return std::make_tuple(!p->pinned, p->priority == 0, p->priority, std::string_view(p->name));
      };
      return rank(a) < rank(b);
    });
  }

  // What it has, if it may keep it.
  Assignment keep(const Object& service) {
    const auto has = parse_ipv4(service.status()["loadBalancer"]["ingress"][0]["ip"].as_string());
    if (!has.ok()) return {};
    const std::string wanted = requested_address(service), pool_name(annotation(service, "address-pool"));
    if (!wanted.empty() && wanted != format_ipv4(*has)) return {};
    const AddressPool* pool = pool_of(*has);
    if (!pool || !may_use(*pool, service, world_) || (!pool_name.empty() && pool->name != pool_name)) return {};
    return take(service, *pool, *has).empty() ? Assignment{format_ipv4(*has), pool->name, ""} : Assignment{};
  }

  Assignment assign(const Object& service) {
    if (world_.pools.empty())
      return problem(
          "there is no address pool: create an IPAddressPool (metallb.io/v1beta1) in namespace " +
          std::string(kPoolNamespace) +
          " with addresses of your network that nothing else gives away, such as 192.168.1.240-192.168.1.250, "
          "and an L2Advertisement");
    const std::string wanted = requested_address(service);
    return wanted.empty() ? any_of_pools(service) : this_one(service, wanted);
  }

 private:
  static Assignment problem(std::string why) { return {"", "", std::move(why)}; }

  const AddressPool* pool_of(std::uint32_t address) const {
    for (const AddressPool* pool : order_)
      if (pool->contains(address)) return pool;
    return nullptr;
  }

  static Use use_of(const Object& service) {
    Use use{service.key(), std::string(annotation(service, "allow-shared-ip")), "", {}};
    // With the policy Local an address leads to this node's pods only: those who share it must mean the same pods.
    if (service.spec()["externalTrafficPolicy"].as_string() == "Local")
      for (const auto& [key, value] : service.spec()["selector"].entries())
        use.backends += std::string(key) + "=" + value.str() + ",";
    for (const Value& port : service.spec()["ports"].items())
      use.ports.emplace(port["protocol"].as_string("TCP"), static_cast<int>(port["port"].as_int()));
    return use;
  }

  // Empty when the service has it now; else who is in the way.
  std::string take(const Object& service, const AddressPool& pool, std::uint32_t address) {
    Use use = use_of(service);
    for (const Use& other : used_[address]) {
      const bool shared =
          !use.sharing_key.empty() && use.sharing_key == other.sharing_key && use.backends == other.backends;
      const bool apart =
          std::none_of(use.ports.begin(), use.ports.end(), [&](const auto& p) { return other.ports.contains(p); });
      if (!shared || !apart) return other.service.str();
    }
    if (used_[address].empty()) ++taken_[pool.name];
    used_[address].push_back(std::move(use));
    return {};
  }

  Assignment this_one(const Object& service, const std::string& wanted) {
    const auto address = parse_ipv4(wanted);
    if (!address.ok())
      return problem("requested address \"" + wanted + "\" is no IPv4 address; this cluster has no other family");
    const AddressPool* pool = pool_of(*address);
    if (!pool) return problem("requested address " + wanted + " is in no IPAddressPool");
    const std::string named(annotation(service, "address-pool"));
    if (!named.empty() && named != pool->name)
      return problem("requested address " + wanted + " is in pool " + pool->name + ", not in " + named);
    if (!may_use(*pool, service, world_))
      return problem("serviceAllocation of pool " + pool->name + " leaves this Service out");
    const std::string other = take(service, *pool, *address);
    if (other.empty()) return {wanted, pool->name, ""};
    return problem("requested address " + wanted + " belongs to service " + other +
                   "; two share one when both have the same annotation metallb.io/allow-shared-ip and different ports");
  }

  Assignment any_of_pools(const Object& service) {
    const std::string named(annotation(service, "address-pool"));
    std::string tried;
    for (const AddressPool* pool : order_) {
      if (named.empty() ? !pool->auto_assign : pool->name != named) continue;
      if (!may_use(*pool, service, world_)) continue;
      for (const AddressRange& range : pool->ranges)
        for (std::uint64_t address = range.first; address <= range.last; ++address) {
          const auto one = static_cast<std::uint32_t>(address);
          if (!is_buggy(*pool, one) && take(service, *pool, one).empty()) return {format_ipv4(one), pool->name, ""};
        }
      tried += (tried.empty() ? "" : ", ") + pool->name + " (" + std::to_string(taken_[pool->name]) + " of " +
               std::to_string(pool->size()) + " in use)";
    }
    if (!tried.empty())
      return problem("no free address in pool " + tried + ": add addresses to a pool, or remove a Service");
    if (!named.empty())
      return problem("pool " + named + " does not exist, or its serviceAllocation leaves this Service out");
    return problem(
        "no IPAddressPool is for this Service: each has autoAssign: false or a serviceAllocation that leaves it out");
  }

  const PoolWorld& world_;
  std::vector<const AddressPool*> order_;
  std::map<std::uint32_t, std::vector<Use>> used_;
  std::map<std::string, std::uint64_t> taken_;  // addresses in use, by pool
};

}  // namespace

Result<AddressRange> parse_range(std::string_view text) {
  const std::string_view all = trim(text);
  const auto refuse = [&]() -> Error {
    return {ErrorCode::invalid, "\"" + std::string(all) + "\" is neither a range of IPv4 addresses nor a CIDR"};
  };
  if (const std::size_t dash = all.find('-'); dash != all.npos) {
    const auto first = parse_ipv4(trim(all.substr(0, dash))), last = parse_ipv4(trim(all.substr(dash + 1)));
    if (!first.ok() || !last.ok() || *first > *last) return refuse();
    return AddressRange{*first, *last};
  }
  const auto cidr = all.find('/') == all.npos ? Result<Cidr>(refuse()) : parse_cidr(all);
  if (!cidr.ok()) return refuse();
  return AddressRange{cidr->first(), static_cast<std::uint32_t>(cidr->first() + cidr->size() - 1)};
}

bool AddressPool::contains(std::uint32_t address) const {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const AddressRange& r) { return address >= r.first && address <= r.last; });
}

std::uint64_t AddressPool::size() const {
  std::uint64_t sum = 0;
  for (const AddressRange& range : ranges) sum += std::uint64_t(range.last) - range.first + 1;
  return sum;
}

Result<AddressPool> parse_pool(const Object& object) {
  const Value& spec = object.spec();
  AddressPool pool;
  pool.name = object.name();
  pool.labels = object.metadata()["labels"];
  pool.auto_assign = spec["autoAssign"].as_bool(true);
  pool.avoid_buggy = spec["avoidBuggyIPs"].as_bool();
  if (spec["addresses"].empty()) return Error{ErrorCode::invalid, "spec.addresses is empty"};
  for (const Value& text : spec["addresses"].items()) pool.ranges.push_back(TRY(parse_range(text.as_string())));
  const Value& allocation = spec["serviceAllocation"];
  pool.priority = allocation["priority"].as_int();
  for (const Value& ns : allocation["namespaces"].items()) pool.namespaces.insert(ns.str());
  pool.namespace_selectors = TRY(selectors(allocation["namespaceSelectors"]));
  pool.service_selectors = TRY(selectors(allocation["serviceSelectors"]));
  pool.pinned = !pool.namespaces.empty() || !pool.namespace_selectors.empty() || !pool.service_selectors.empty();
  return pool;
}

bool wants_load_balancer(const Object& service) {
  const std::string_view wanted = service.spec()["loadBalancerClass"].as_string();
  return service.spec()["type"].as_string() == "LoadBalancer" && !service.deleting() &&
         (wanted.empty() || wanted == kLoadBalancerClass);
}

std::map<ObjectKey, Assignment> assign_addresses(const std::vector<Object>& services, const PoolWorld& world) {
  std::vector<Object> wanting;
  std::copy_if(services.begin(), services.end(), std::back_inserter(wanting), wants_load_balancer);
  std::stable_sort(wanting.begin(), wanting.end(), [](const Object& a, const Object& b) {
    const auto when = [](const Object& o) { return o.metadata()["creationTimestamp"].str(); };
    return std::make_pair(when(a), a.key()) < std::make_pair(when(b), b.key());
  });
  Assigner assigner(world);
  std::map<ObjectKey, Assignment> out;
  // Those who have an address first, then those who ask for a certain one: nobody loses one to a newcomer.
  for (const Object& service : wanting) out[service.key()] = assigner.keep(service);
  for (const bool certain : {true, false})
    for (const Object& service : wanting)
      if (out[service.key()] == Assignment{} && certain == !requested_address(service).empty())
        out[service.key()] = assigner.assign(service);
  return out;
}

Result<void> check_advertisement(const Object& advertisement) {
  TRY(selectors(advertisement.spec()["ipAddressPoolSelectors"]).in("spec.ipAddressPoolSelectors"));
  TRY(selectors(advertisement.spec()["nodeSelectors"]).in("spec.nodeSelectors"));
  return {};
}

std::optional<std::set<std::string>> announcing_links(const AddressPool& pool,
                                                      const std::vector<Object>& advertisements,
                                                      const Value& node_labels) {
  std::optional<std::set<std::string>> out;
  for (const Object& advertisement : advertisements) {
    const Value& spec = advertisement.spec();
    const auto by_pool = selectors(spec["ipAddressPoolSelectors"]), by_node = selectors(spec["nodeSelectors"]);
    if (!by_pool.ok() || !by_node.ok()) continue;  // check_advertisement says why
    const auto names = spec["ipAddressPools"].items();
    const bool named =
        std::any_of(names.begin(), names.end(), [&](const Value& n) { return n.as_string() == pool.name; });
    const bool all_pools = names.empty() && by_pool->empty();
    if (!all_pools && !named && !any_matches(*by_pool, pool.labels)) continue;
    if (!by_node->empty() && !any_matches(*by_node, node_labels)) continue;
    if (spec["interfaces"].empty()) return std::set<std::string>{};  // every link
    if (!out) out.emplace();
    for (const Value& link : spec["interfaces"].items()) out->insert(link.str());
  }
  return out;
}

}  // namespace caisson::network
