// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/replica_set.h"

#include <algorithm>

#include "cluster/controllers/claims.h"
#include "cluster/controllers/names.h"

namespace caisson::controllers {
namespace {

constexpr std::int64_t kBurstMax = 500;
constexpr std::int64_t kBatchMax = 64;  // pods in one commit

using kube::EventRecorder;
using kube::Requeue;

// Where the two kinds that keep replicas differ. A ReplicationController's selector is a plain map.
struct ReplicaKind {
  schema::Resource resource;
  std::string name, component;  // of the reconciler, of its events
  bool plain_selector;

  Result<kube::LabelSelector> selector_of(const Object& set) const {
    if (!plain_selector) return kube::LabelSelector::from(set.spec()["selector"]);
    return kube::LabelSelector::of(set.spec()["selector"]);
  }
};

class ReplicaSetReconciler : public kube::Reconciler {
 public:
  ReplicaSetReconciler(kube::Runtime& runtime, ReplicaKind kind)
      : client_(runtime.client()),
        clock_(runtime.clock()),
        kind_(std::move(kind)),
        replica_sets_(runtime.informer(kind_.resource)),
        pods_(runtime.informer(schema::kPods)),
        expectations_(pods_, clock_),
        events_(client_, clock_, kind_.component) {}

  std::string_view name() const override { return kind_.name; }

  Result<Requeue> reconcile(const ObjectKey& key) override {
    const auto set = replica_sets_.find(key);
    if (!set) {
      expectations_.forget(key);
      return Requeue::never();
    }
    if (!expectations_.met(key)) return Requeue::after(std::chrono::seconds(5));  // the pod's event comes before
    const auto selector = TRY(kind_.selector_of(*set));
    if (!selects_template(selector, set->spec()["template"])) {
      return Error{ErrorCode::invalid,
                   "the selector does not select the template's labels: pods would be made without end"};
    }
    const auto claimed = TRY(claim(client_, kind_.resource, *set, selector, schema::kPods, candidates(*set, selector)));
    const std::vector<Object> pods = active(claimed);
    Result<void> managed;
    std::string_view failure_reason;
    if (!set->deleting()) managed = manage(*set, pods, failure_reason);
    TRY(write_status(*set, pods, failure_reason, managed));
    if (!managed.ok()) return managed.error();
    return when_available(*set, pods);
  }

 private:
  // The set's own pods, and orphans that it may adopt.
  std::vector<Object> candidates(const Object& set, const kube::LabelSelector& selector) const {
    std::vector<Object> out = pods_.controlled_by(set.uid());
    for (Object& pod : pods_.list(set.ns(), selector)) {
      if (!pod.controller()) out.push_back(std::move(pod));
    }
    return out;
  }

  std::vector<Object> siblings(const Object& set) const {
    const auto owner = set.controller();
    if (!owner) return pods_.controlled_by(set.uid());
    std::vector<Object> out;
    for (const Object& sibling : replica_sets_.controlled_by(owner->uid)) {
      for (Object& pod : pods_.controlled_by(sibling.uid())) out.push_back(std::move(pod));
    }
    return out;
  }

  Result<void> manage(const Object& set, const std::vector<Object>& pods, std::string_view& failure_reason) {
    const ReplicaSetPlan plan = plan_replicas(set, pods, siblings(set), clock_.now());
    // Twice as many at a time as before, as upstream: where the first is refused, the others are not tried.
    for (std::int64_t done = 0, batch = 1; done < plan.create; done += batch, batch *= 2) {
      batch = std::min({batch, plan.create - done, kBatchMax});
      if (TRY(create(set, batch, failure_reason)) == Made::hopeless) return {};
    }
    for (const Object& pod : plan.remove) {
      const auto removed = client_.remove(schema::kPods, pod.key());
      if (!removed.ok() && removed.error().code != ErrorCode::not_found) {
        failure_reason = "FailedDelete";
        events_.record(set, EventRecorder::Type::warning, "FailedDelete", "Error deleting: " + removed.error().message);
        return removed.error();
      }
      expectations_.deleted(set.key(), pod);
      if (removed.ok())
        events_.record(set, EventRecorder::Type::normal, "SuccessfulDelete", "Deleted pod: " + pod.name());
    }
    return {};
  }

  enum class Made { all, hopeless };  // hopeless: the namespace goes, and what is made there with it

  // In one commit where the store is ours: a durable write takes as long for many as for one. When that fails, one by
  // one, which tells what is refused.
  Result<Made> create(const Object& set, std::int64_t count, std::string_view& failure_reason) {
    std::vector<kube::Write> writes;
    for (std::int64_t i = 0; i < count; ++i)
      writes.push_back({kube::Write::Verb::create,
                        pod_from_template(set, set.spec()["template"], set.name() + "-"),
                        by_manager(),
                        {}});
    if (client_.atomic() && count > 1) {
      if (const auto made = client_.transact(writes); made.ok()) {
        for (const Object& pod : *made) tell_created(set, pod);
        return Made::all;
      }
    }
    for (const kube::Write& write : writes) {
      const auto pod = client_.create(write.object, write.options);
      if (pod.ok()) {
        tell_created(set, *pod);
        continue;
      }
      if (namespace_is_terminating(pod.error())) return Made::hopeless;
      failure_reason = "FailedCreate";
      events_.record(set, EventRecorder::Type::warning, "FailedCreate", "Error creating: " + pod.error().message);
      return pod.error();
    }
    return Made::all;
  }

  void tell_created(const Object& set, const Object& pod) {
    expectations_.created(set.key(), pod);
    events_.record(set, EventRecorder::Type::normal, "SuccessfulCreate", "Created pod: " + pod.name());
  }

  Result<void> write_status(const Object& set, const std::vector<Object>& pods, std::string_view failure_reason,
                            const Result<void>& managed) {
    Object after = set;
    after.edit().set("status", replica_set_status(set, pods, failure_reason,
                                                  managed.ok() ? "" : managed.error().message, clock_.now()));
    if (after.status() == set.status()) return {};
    const auto written = client_.update(after, by_manager("status"));
    if (!written.ok() && written.error().code != ErrorCode::not_found) return written.error();
    return {};
  }

  // A ready pod becomes available by time alone.
  Result<Requeue> when_available(const Object& set, const std::vector<Object>& pods) const {
    const std::int64_t wait = set.spec()["minReadySeconds"].as_int();
    if (wait == 0) return Requeue::never();
    const Time now = clock_.now();
    const bool waiting = std::any_of(pods.begin(), pods.end(),
                                     [&](const Object& p) { return is_ready(p) && !is_available(p, wait, now); });
    return waiting ? Requeue::after(std::chrono::seconds(std::min<std::int64_t>(wait, 1))) : Requeue::never();
  }

  kube::Client& client_;
  Clock& clock_;
  const ReplicaKind kind_;
  kube::Informer& replica_sets_;
  kube::Informer& pods_;
  Expectations expectations_;
  EventRecorder events_;
};

void add_replica_kind(kube::Runtime& runtime, const ReplicaKind& kind) {
  kube::Informer& replica_sets = runtime.informer(kind.resource);
  const kube::Queue queue = runtime.add(std::make_unique<ReplicaSetReconciler>(runtime, kind));
  runtime.watch(kind.resource, queue);
  runtime.watch(schema::kPods, queue, [&replica_sets, kind](const Object& pod) -> std::vector<ObjectKey> {
    if (pod.controller()) return kube::Runtime::to_controller(kind.resource.kind)(pod);
    std::vector<ObjectKey> out;  // an orphan concerns every set that would adopt it
    for (const Object& set : replica_sets.list(pod.ns())) {
      const auto selector = kind.selector_of(set);
      if (selector.ok() && selector->matches(pod.metadata()["labels"])) out.push_back(set.key());
    }
    return out;
  });
}

}  // namespace

ReplicaSetPlan plan_replicas(const Object& replica_set, const std::vector<Object>& pods,
                             const std::vector<Object>& siblings, Time now) {
  const auto have = static_cast<std::int64_t>(pods.size());
  const std::int64_t want = replica_set.spec()["replicas"].as_int(1);
  ReplicaSetPlan plan;
  if (have < want) plan.create = std::min(want - have, kBurstMax);
  if (have <= want) return plan;
  std::vector<std::size_t> related;
  for (const Object& pod : pods) {
    const std::string_view node = pod.spec()["nodeName"].as_string();
    related.push_back(
        static_cast<std::size_t>(std::count_if(siblings.begin(), siblings.end(), [&](const Object& sibling) {
          return is_active(sibling) && sibling.spec()["nodeName"].as_string() == node;
        })));
  }
  plan.remove = in_deletion_order(pods, related, now);
  plan.remove.resize(static_cast<std::size_t>(std::min(have - want, kBurstMax)));
  return plan;
}

Value replica_set_status(const Object& replica_set, const std::vector<Object>& pods, std::string_view failure_reason,
                         std::string_view failure, Time now) {
  const auto labels = kube::LabelSelector::of(replica_set.spec()["template"]["metadata"]["labels"]);
  const std::int64_t min_ready_seconds = replica_set.spec()["minReadySeconds"].as_int();
  std::int64_t labelled = 0, ready = 0, available = 0;
  for (const Object& pod : pods) {
    labelled += labels.matches(pod.metadata()["labels"]) ? 1 : 0;
    ready += is_ready(pod) ? 1 : 0;
    available += is_available(pod, min_ready_seconds, now) ? 1 : 0;
  }
  Object holder(Value{{"status", Value::map()}});
  if (const Value& before = replica_set.status()["conditions"]; !before.empty())
    holder.edit({"status"}).set("conditions", before);
  if (!failure_reason.empty()) {
    kube::set_condition(holder, "ReplicaFailure", true, failure_reason, failure, now);
  } else if (!kube::condition(holder, "ReplicaFailure").is_null()) {
    Value kept = Value::list();
    for (const Value& condition : holder.status()["conditions"].items()) {
      if (condition["type"].as_string() != "ReplicaFailure") kept.push_back(condition);
    }
    if (kept.empty())
      holder.edit({"status"}).erase("conditions");
    else
      holder.edit({"status"}).set("conditions", kept);
  }
  Value& status = holder.edit({"status"});
  status.set("replicas", static_cast<std::int64_t>(pods.size()));
  // What is zero is left out, as upstream's omitempty does.
  if (labelled > 0) status.set("fullyLabeledReplicas", labelled);
  if (ready > 0) status.set("readyReplicas", ready);
  if (available > 0) status.set("availableReplicas", available);
  if (replica_set.generation() > 0) status.set("observedGeneration", replica_set.generation());
  return status;
}

void add_replica_set(kube::Runtime& runtime) {
  add_replica_kind(runtime, {schema::kReplicaSets, "replicaset", "replicaset-controller", false});
}

void add_replication_controller(kube::Runtime& runtime) {
  const schema::Resource resource{"", "v1", "ReplicationController", "replicationcontrollers"};
  add_replica_kind(runtime, {resource, "replicationcontroller", "replication-controller", true});
}

}  // namespace caisson::controllers
