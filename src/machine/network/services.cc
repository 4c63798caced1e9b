// SPDX-License-Identifier: Apache-2.0
// Services in nftables: one reconciler with one key. What changes marks its service as dirty and wakes the key, so
// everything that came since the last run goes into one transaction. A run costs as much as the services that changed,
// however many there are.
#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <set>

#include "core/base/log.h"
#include "machine/network/endpoints.h"
#include "machine/network/external_routes.h"
#include "machine/network/netlink.h"
#include "machine/network/network.h"
#include "machine/network/nft.h"
#include "machine/network/service_rules.h"

namespace caisson::network {
namespace {

using kube::Object;
using kube::ObjectKey;

constexpr auto kCheckEvery = std::chrono::seconds(30);  // somebody may flush the host's ruleset

class ServiceTable : public Services {
 public:
  ServiceTable(kube::Informer& services, kube::Informer& slices, TableOptions options, Nft nft, ExternalRoutes routes)
      : services_(services),
        slices_(slices),
        options_(std::move(options)),
        nft_(std::move(nft)),
        routes_(std::move(routes)) {}

  Result<void> prepare();
  void mark(const ObjectKey& service);
  Result<kube::Requeue> run();

  bool withdrawn(std::string_view pod_ip) const override;
  bool wait_withdrawn(std::string_view pod_ip, Duration time_max) const override;
  Result<void> wait_applied(Duration time_max) const override;
  std::uint64_t generation() const override;

 private:
  // What a run changes: rules of services (none when a service is gone), and how many services more or fewer use an
  // address.
  struct Change {
    std::map<ObjectKey, std::optional<ServiceRules>> rules;
    std::map<std::string, int> uses, external;
    std::set<std::string> udp_gone;
    std::string script;
  };
  Change plan(bool all, const std::set<ObjectKey>& dirty) const;
  void adopt(bool all, Change change);
  bool table_is_there();
  bool withdrawn_locked(std::string_view ip) const { return generation_ > 0 && !uses_.contains(std::string(ip)); }

  kube::Informer& services_;
  kube::Informer& slices_;
  const TableOptions options_;
  // Of the one key's run, which alone writes `uses_`, too.
  Nft nft_;
  ExternalRoutes routes_;
  std::map<ObjectKey, ServiceRules> rules_;  // in force
  std::map<std::string, int> external_;      // address from outside → services that have it, in force

  mutable std::mutex mutex_;
  mutable std::condition_variable applied_;
  bool all_ = true;  // GUARDED_BY(mutex_), as all below
  std::set<ObjectKey> dirty_;
  std::map<std::string, int> uses_;  // endpoint address → services that use it, in force
  std::uint64_t generation_ = 0, marks_ = 0, marks_applied_ = 0;
};

// Elements of one service more.
void add_to(ServiceRules& sum, ServiceRules one) {
  sum.cluster.merge(one.cluster), sum.node.merge(one.node), sum.node_ports.merge(one.node_ports);
  sum.sticky.merge(one.sticky), sum.sticky_node.merge(one.sticky_node);
  sum.limited.merge(one.limited), sum.let_in.merge(one.let_in);
}

void count(std::map<std::string, int>& counts, const std::set<std::string>& names, int by) {
  for (const std::string& name : names) counts[name] += by;
}

// Which names come to be used, and which are used no longer, when `change` is added to `before`.
void compare(const std::map<std::string, int>& before, const std::map<std::string, int>& change,
             std::set<std::string>& added, std::set<std::string>& removed) {
  for (const auto& [name, by] : change) {
    const auto found = before.find(name);
    const int was = found == before.end() ? 0 : found->second;
    if (was == 0 && was + by > 0) added.insert(name);
    if (was > 0 && was + by == 0) removed.insert(name);
  }
}

void add_counts(std::map<std::string, int>& counts, const std::map<std::string, int>& change) {
  for (const auto& [name, by] : change)
    if ((counts[name] += by) == 0) counts.erase(name);
}

bool ServiceTable::table_is_there() {
  const Result<std::string> tables = nft_.run("list tables ip");
  return tables.ok() && (*tables).find("table " + options_.table() + "\n") != std::string::npos;
}

// A table that a former agent left is kept until all is known again; without one, pods need the way to the outside at
// once.
Result<void> ServiceTable::prepare() {
  if (table_is_there()) return {};
  TRY(nft_.run(make_table(options_)).in("make table " + options_.table()));
  return {};
}

void ServiceTable::mark(const ObjectKey& service) {
  const std::lock_guard lock(mutex_);
  dirty_.insert(service);
  ++marks_;
}

// With `all` the table is made anew, so nothing was there before.
ServiceTable::Change ServiceTable::plan(bool all, const std::set<ObjectKey>& dirty) const {
  static const ServiceRules kNone;
  static const std::map<std::string, int> kNobody;
  Change out;
  ServiceRules before, after;  // of the services that change, summed: an address may move from one service to another
  for (const ObjectKey& key : dirty) {
    const auto held = rules_.find(key);
    const ServiceRules& was = held == rules_.end() ? kNone : held->second;
    const auto service = services_.find(key);
    std::optional<ServiceRules>& rules = out.rules[key];
    if (service) rules = rules_of(*service, slices_.by_index(kServiceIndex, key.str()));
    const ServiceRules& now = rules ? *rules : kNone;
    for (const auto& address : was.udp_addresses)
      if (!now.udp_addresses.contains(address)) out.udp_gone.insert(address);
    count(out.uses, now.addresses, 1);
    count(out.external, now.external, 1);
    add_to(after, now);
    if (all) continue;
    count(out.uses, was.addresses, -1);
    count(out.external, was.external, -1);
    add_to(before, was);
  }
  SharedAddresses shared;
  compare(all ? kNobody : uses_, out.uses, shared.endpoints_added, shared.endpoints_removed);
  compare(all ? kNobody : external_, out.external, shared.external_added, shared.external_removed);
  out.script = (all ? make_table(options_) : std::string()) + change_elements(options_, before, after, shared);
  return out;
}

// REQUIRES: mutex_ is held.
void ServiceTable::adopt(bool all, Change change) {
  if (all) {
    uses_.clear();
    external_.clear();
  }
  add_counts(uses_, change.uses);
  add_counts(external_, change.external);
  for (auto& [key, rules] : change.rules) {
    if (rules)
      rules_.insert_or_assign(key, std::move(*rules));
    else
      rules_.erase(key);
  }
}

Result<kube::Requeue> ServiceTable::run() {
  std::unique_lock lock(mutex_);
  const bool all = all_ || (dirty_.empty() && !table_is_there());
  std::set<ObjectKey> dirty = std::exchange(dirty_, {});
  const std::uint64_t marks = marks_;
  lock.unlock();

  if (all) {
    for (const auto& [key, rules] : rules_) dirty.insert(key);
    for (const Object& service : services_.list()) dirty.insert(service.key());
  }
  Change change = plan(all, dirty);
  Result<std::string> done = change.script.empty() ? Result<std::string>(std::string()) : nft_.run(change.script);

  lock.lock();
  if (!done.ok()) {  // whatever the table holds now, it is made anew
    all_ = true;
    lock.unlock();
    if (all) return std::move(done).error().in("apply services");
    log::warning("the services' table is made anew", {{"because", done.error()}});
    return run();
  }
  all_ = false;
  const std::set<std::string> udp_gone = std::move(change.udp_gone);
  adopt(all, std::move(change));
  ++generation_;
  marks_applied_ = marks;
  lock.unlock();
  applied_.notify_all();
  std::set<std::string> external;
  for (const auto& [address, services] : external_) external.insert(address);
  TRY(routes_.set(external).in("routes to external addresses"));
  for (const auto& address : udp_gone) {
    const std::uint32_t ip = TRY(parse_ipv4(address));
    TRY(forget_udp_connections(ip));
  }
  return kube::Requeue::after(kCheckEvery);
}

bool ServiceTable::withdrawn(std::string_view pod_ip) const {
  const std::lock_guard lock(mutex_);
  return withdrawn_locked(pod_ip);
}

bool ServiceTable::wait_withdrawn(std::string_view pod_ip, Duration time_max) const {
  std::unique_lock lock(mutex_);
  return applied_.wait_for(lock, time_max, [&] { return withdrawn_locked(pod_ip); });
}

Result<void> ServiceTable::wait_applied(Duration time_max) const {
  std::unique_lock lock(mutex_);
  const std::uint64_t marks = marks_;
  if (applied_.wait_for(lock, time_max, [&] { return generation_ > 0 && marks_applied_ >= marks; })) return {};
  return Error{ErrorCode::timeout, "services were not in force after " + format_duration(time_max)};
}

std::uint64_t ServiceTable::generation() const {
  const std::lock_guard lock(mutex_);
  return generation_;
}

class ServiceReconciler : public kube::Reconciler {
 public:
  explicit ServiceReconciler(std::shared_ptr<ServiceTable> table) : table_(std::move(table)) {}
  std::string_view name() const override { return "network-services"; }
  Result<kube::Requeue> reconcile(const ObjectKey&) override { return table_->run(); }

 private:
  std::shared_ptr<ServiceTable> table_;
};

}  // namespace

Result<std::shared_ptr<Services>> add_services(kube::Runtime& runtime, const ServiceOptions& options) {
  Nft nft = TRY(Nft::open());
  kube::Informer& services = runtime.informer(schema::kServices);
  kube::Informer& slices = runtime.informer(schema::kEndpointSlices);
  slices.add_index(kServiceIndex, service_index);
  ExternalRoutes routes = TRY(ExternalRoutes::open("c" + options.instance + "br", options.node_address));
  auto table = std::make_shared<ServiceTable>(
      services, slices, TableOptions{options.instance, options.pod_cidr, options.service_cidr, options.node_address},
      std::move(nft), std::move(routes));
  TRY(table->prepare());
  const ObjectKey all{"", "services"};
  const kube::Queue queue = runtime.add(std::make_unique<ServiceReconciler>(table), 1);
  const auto wake = [table, all](const ObjectKey& service) {
    table->mark(service);
    return std::vector<ObjectKey>{all};
  };
  runtime.watch(schema::kServices, queue, [wake](const Object& service) { return wake(service.key()); });
  runtime.watch(schema::kEndpointSlices, queue, [wake](const Object& slice) { return wake(service_of(slice)); });
  queue.add(all);
  return std::shared_ptr<Services>(table);
}

namespace {
class Both : public Withdrawal {
 public:
  Both(std::shared_ptr<const Withdrawal> a, std::shared_ptr<const Withdrawal> b) : a_(std::move(a)), b_(std::move(b)) {}
  bool withdrawn(std::string_view ip) const override { return a_->withdrawn(ip) && b_->withdrawn(ip); }
  bool wait_withdrawn(std::string_view ip, Duration time_max) const override {
    const auto until = std::chrono::steady_clock::now() + time_max;
    if (!a_->wait_withdrawn(ip, time_max)) return false;
    return b_->wait_withdrawn(ip, std::max(Duration(0), Duration(until - std::chrono::steady_clock::now())));
  }

 private:
  std::shared_ptr<const Withdrawal> a_, b_;
};
}  // namespace

std::unique_ptr<Withdrawal> both(std::shared_ptr<const Withdrawal> a, std::shared_ptr<const Withdrawal> b) {
  return std::make_unique<Both>(std::move(a), std::move(b));
}

}  // namespace caisson::network
