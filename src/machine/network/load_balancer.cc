// SPDX-License-Identifier: Apache-2.0
// Load balancers: one reconciler with one key gives Services of type LoadBalancer their addresses (address_pools.h),
// writes them to their status, from where the services' table takes them, and has them announced (arp.h). An address is
// announced whether or not an endpoint is ready: nobody else could answer better, and a refusal is quicker than
// silence. Only with externalTrafficPolicy Local is one without a ready endpoint not announced, as by MetalLB.
#include "core/base/log.h"
#include "core/base/text.h"
#include "machine/network/address_pools.h"
#include "machine/network/arp.h"
#include "machine/network/endpoints.h"
#include "machine/network/health_ports.h"
#include "machine/network/netlink.h"
#include "machine/network/network.h"

namespace caisson::network {
namespace {

using kube::EventRecorder;
using kube::Object;
using kube::ObjectKey;

const kube::Resource& pools_resource() {
  static const kube::Resource kind{"metallb.io", "v1beta1", "IPAddressPool", "ipaddresspools"};
  return kind;
}
const kube::Resource& advertisements_resource() {
  static const kube::Resource kind{"metallb.io", "v1beta1", "L2Advertisement", "l2advertisements"};
  return kind;
}

struct Sources {
  kube::Informer& services;
  kube::Informer& slices;
  kube::Informer& namespaces;
  kube::Informer& pools;
  kube::Informer& advertisements;
};

class Balancer : public kube::Reconciler {
 public:
  Balancer(kube::Runtime& runtime, LoadBalancerOptions options, Sources sources)
      : client_(runtime.client()),
        options_(std::move(options)),
        sources_(sources),
        events_(runtime.client(), runtime.clock(), "caisson-load-balancer", options_.node_name),
        announcer_(ArpAnnouncer::make("c" + options_.instance)) {}

  std::string_view name() const override { return "network-load-balancer"; }
  Result<kube::Requeue> reconcile(const ObjectKey&) override;

 private:
  PoolWorld world();
  Result<void> write_address(const Object& service, const std::string& address);
  Result<void> write_pool_status(const AddressPool& pool, const std::map<ObjectKey, Assignment>& assigned);
  Result<Announcements> announcements(const PoolWorld& world, const std::map<ObjectKey, Assignment>& assigned);
  void answer_health_checks(const std::vector<Object>& services);
  int ready_count(const Object& service) const;
  void forget_gone(const std::vector<Object>& services);
  // An Event when `message` is not what was told of the object last; empty: nothing is to be told.
  void tell(const Object& about, EventRecorder::Type type, std::string_view reason, const std::string& message);

  kube::Client& client_;
  const LoadBalancerOptions options_;
  const Sources sources_;
  EventRecorder events_;
  std::unique_ptr<ArpAnnouncer> announcer_;
  HealthPorts health_ports_;
  std::map<std::string, std::string> told_;  // by reason and uid; of the one key's run
};

void Balancer::tell(const Object& about, EventRecorder::Type type, std::string_view reason,
                    const std::string& message) {
  std::string& told = told_[std::string(reason) + " " + about.uid()];
  if (told == message) return;
  told = message;
  if (!message.empty()) events_.record(about, type, reason, message);
}

void Balancer::forget_gone(const std::vector<Object>& services) {
  std::set<std::string> uids;
  for (const auto& objects : {services, sources_.pools.list(), sources_.advertisements.list()})
    for (const Object& object : objects) uids.insert(object.uid());
  std::erase_if(told_, [&](const auto& one) { return !uids.contains(one.first.substr(one.first.find(' ') + 1)); });
}

PoolWorld Balancer::world() {
  PoolWorld out;
  for (const Object& object : sources_.pools.list()) {
    if (object.deleting()) continue;
    if (object.ns() != kPoolNamespace) {
      tell(object, EventRecorder::Type::warning, "NotUsed",
           "only pools of namespace " + std::string(kPoolNamespace) + " count");
      continue;
    }
    auto pool = parse_pool(object);
    tell(object, EventRecorder::Type::warning, "Invalid",
         pool.ok() ? "" : pool.error().message + "; the pool is not used");
    if (pool.ok()) out.pools.push_back(std::move(pool).value());
  }
  for (const Object& object : sources_.advertisements.list()) {
    const auto checked = check_advertisement(object);
    tell(object, EventRecorder::Type::warning, "Invalid",
         checked.ok() ? "" : checked.error().message + "; the advertisement is not used");
    tell(object, EventRecorder::Type::warning, "NotUsed",
         object.ns() == kPoolNamespace ? ""
                                       : "only advertisements of namespace " + std::string(kPoolNamespace) + " count");
  }
  const bool by_labels = std::any_of(out.pools.begin(), out.pools.end(),
                                     [](const AddressPool& pool) { return !pool.namespace_selectors.empty(); });
  if (by_labels)
    for (const Object& ns : sources_.namespaces.list()) out.namespace_labels[ns.name()] = ns.metadata()["labels"];
  return out;
}

// Empty: the Service has none any more.
Result<void> Balancer::write_address(const Object& service, const std::string& address) {
  const Value& now = service.status()["loadBalancer"]["ingress"];
  const Value wanted = address.empty() ? Value() : Value(std::vector<Value>{Value{{"ip", address}, {"ipMode", "VIP"}}});
  if (address.empty() ? now.empty() : now == wanted) return {};
  kube::WriteOptions write;
  write.field_manager = "caisson-load-balancer";
  write.subresource = "status";
  const auto written = kube::modify(
      client_, schema::kServices, service.key(),
      [&](Object& object) {
        Value& balancer = object.edit({"status", "loadBalancer"});
        if (address.empty())
          balancer = Value::map();
        else
          balancer.set("ingress", wanted);
        return true;
      },
      write);
  if (!written.ok() && written.error().code != ErrorCode::not_found)  // deleted meanwhile
    return Error(written.error()).in("write the address of service " + service.key().str());
  return {};
}

Result<void> Balancer::write_pool_status(const AddressPool& pool, const std::map<ObjectKey, Assignment>& assigned) {
  std::set<std::string> used;
  for (const auto& [key, one] : assigned)
    if (one.pool == pool.name) used.insert(one.address);
  const auto count = static_cast<std::int64_t>(used.size());
  const Value wanted{{"assignedIPv4", count},
                     {"assignedIPv6", 0},
                     {"availableIPv4", static_cast<std::int64_t>(pool.size()) - count},
                     {"availableIPv6", 0}};
  const auto object = sources_.pools.find({std::string(kPoolNamespace), pool.name});
  if (!object || object->status() == wanted) return {};
  const auto written = kube::modify(client_, pools_resource(), object->key(),
                                    [&](Object& now) {
                                      now.edit().set("status", wanted);
                                      return true;
                                    },
                                    {.field_manager = "caisson-load-balancer", .subresource = "status"});
  if (!written.ok() && written.error().code != ErrorCode::not_found)
    return Error(written.error()).in("write status of pool " + pool.name);
  return {};
}

int Balancer::ready_count(const Object& service) const {
  return static_cast<int>(ready_endpoints(sources_.slices.by_index(kServiceIndex, service.key().str())).size());
}

void Balancer::answer_health_checks(const std::vector<Object>& services) {
  std::map<int, HealthCheck> checks;
  for (const Object& service : services)
    if (const int port = health_check_port(service); port > 0) checks[port] = {service.key(), ready_count(service)};
  const auto failed = health_ports_.set(checks);
  for (const Object& service : services) {
    const auto found = failed.find(health_check_port(service));
    if (found != failed.end()) tell(service, EventRecorder::Type::warning, "HealthCheckPort", found->second.message);
  }
}

Result<Announcements> Balancer::announcements(const PoolWorld& world, const std::map<ObjectKey, Assignment>& assigned) {
  std::vector<Object> advertisements;
  Value node_labels;
  for (const Object& one : sources_.advertisements.list(kPoolNamespace)) {
    if (one.deleting()) continue;
    if (!one.spec()["nodeSelectors"].empty() && node_labels.is_null()) {
      const Object node = TRY(client_.get(schema::kNodes, {"", options_.node_name}).in("labels of this node"));
      node_labels = node.metadata()["labels"];
    }
    advertisements.push_back(one);
  }
  Announcements out;
  for (const auto& [key, one] : assigned) {
    const auto service = sources_.services.find(key);
    const auto pool = std::find_if(world.pools.begin(), world.pools.end(),
                                   [&wanted = one.pool](const AddressPool& p) { return p.name == wanted; });
    if (one.address.empty() || !service || pool == world.pools.end()) continue;
    const auto links = announcing_links(*pool, advertisements, node_labels);
    tell(*service, EventRecorder::Type::warning, "NotAnnounced",
         links
             ? ""
             : "no L2Advertisement announces pool " + pool->name + ": only this machine itself reaches " + one.address);
    const bool local = service->spec()["externalTrafficPolicy"].as_string() == "Local";
    if (!links || (local && ready_count(*service) == 0)) continue;
    const std::uint32_t address = TRY(parse_ipv4(one.address));
    const auto [entry, added] = out.try_emplace(address, *links);
    if (!added && !entry->second.empty())
      links->empty() ? entry->second.clear() : entry->second.insert(links->begin(), links->end());
    tell(*service, EventRecorder::Type::normal, "nodeAssigned",
         "announcing " + one.address + " from node \"" + options_.node_name + "\" with protocol \"layer2\"");
  }
  return out;
}

Result<kube::Requeue> Balancer::reconcile(const ObjectKey&) {
  const std::vector<Object> services = sources_.services.list();
  const PoolWorld pools = world();
  const std::map<ObjectKey, Assignment> assigned = assign_addresses(services, pools);
  for (const Object& service : services) {
    const auto found = assigned.find(service.key());
    // One of another class is another controller's; one of another type has no balancer's address any more.
    if (found == assigned.end() && service.spec()["type"].as_string() == "LoadBalancer") continue;
    const Assignment one = found == assigned.end() ? Assignment{} : found->second;
    TRY(write_address(service, one.address));
    if (found == assigned.end()) continue;
    tell(service, EventRecorder::Type::warning, "AllocationFailed", one.problem);
    tell(service, EventRecorder::Type::normal, "IPAllocated",
         one.address.empty() ? "" : "Assigned IP " + one.address + " of pool " + one.pool);
  }
  forget_gone(services);
  answer_health_checks(services);
  Announcements announced = TRY(announcements(pools, assigned));
  TRY(announcer_->announce(std::move(announced)));
  for (const AddressPool& pool : pools.pools) TRY(write_pool_status(pool, assigned));
  return kube::Requeue::never();
}

}  // namespace

void add_load_balancer(kube::Runtime& runtime, const LoadBalancerOptions& options) {
  const Sources sources{runtime.informer(schema::kServices), runtime.informer(schema::kEndpointSlices),
                        runtime.informer(schema::kNamespaces), runtime.informer(pools_resource()),
                        runtime.informer(advertisements_resource())};
  sources.slices.add_index(kServiceIndex, service_index);
  const ObjectKey all{"", "load-balancers"};
  const kube::Queue queue = runtime.add(std::make_unique<Balancer>(runtime, options, sources), 1);
  const auto wake = [all](const Object&) { return std::vector<ObjectKey>{all}; };
  // Services without any address of a balancer are none of its business: most clusters have no other.
  runtime.watch(schema::kServices, queue, [all](const Object& service) {
    const bool concerned =
        service.spec()["type"].as_string() == "LoadBalancer" || !service.status()["loadBalancer"].empty();
    return concerned ? std::vector<ObjectKey>{all} : std::vector<ObjectKey>{};
  });
  runtime.watch(schema::kEndpointSlices, queue, [all, &services = sources.services](const Object& slice) {
    const auto service = services.find(service_of(slice));
    const bool local = service && service->spec()["type"].as_string() == "LoadBalancer" &&
                       service->spec()["externalTrafficPolicy"].as_string() == "Local";
    return local ? std::vector<ObjectKey>{all} : std::vector<ObjectKey>{};
  });
  runtime.watch(pools_resource(), queue, wake);
  runtime.watch(advertisements_resource(), queue, wake);
  queue.add(all);
}

}  // namespace caisson::network
