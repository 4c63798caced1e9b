// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/scheduler.h"

#include <algorithm>
#include <map>

#include "cluster/controllers/names.h"
#include "cluster/controllers/scheduling.h"
#include "cluster/controllers/volumes.h"

namespace caisson::controllers {
namespace {

using kube::EventRecorder;
using kube::Requeue;

constexpr std::string_view kDefaultScheduler = "default-scheduler";

bool waits_for_node(const Object& pod) {
  return pod.spec()["nodeName"].as_string().empty() && !pod.deleting() && !is_finished(pod) &&
         pod.spec()["schedulerName"].as_string(kDefaultScheduler) == kDefaultScheduler;
}

// What of a node decides where pods go; its heartbeat does not.
bool same_for_scheduling(const Object& a, const Object& b) {
  return a.metadata()["labels"] == b.metadata()["labels"] && a.spec() == b.spec() &&
         a.status()["allocatable"] == b.status()["allocatable"];
}

class Scheduler : public kube::Reconciler {
 public:
  Scheduler(kube::Runtime& runtime, SpanSink* spans)
      : client_(runtime.client()),
        clock_(runtime.clock()),
        spans_(spans),
        pods_(runtime.informer(schema::kPods)),
        nodes_(runtime.informer(schema::kNodes)),
        claims_(runtime.informer(schema::kPersistentVolumeClaims)),
        classes_(runtime.informer(storage_classes())),
        events_(client_, clock_, std::string(kDefaultScheduler)) {}

  std::string_view name() const override { return "scheduler"; }

  Result<Requeue> reconcile(const ObjectKey& key) override {
    const auto pod = pods_.find(key);
    if (!pod || !waits_for_node(*pod)) return Requeue::never();
    if (assumed_.contains(pod->uid())) return Requeue::never();  // bound already; the cache is a step behind
    if (!pod->spec()["schedulingGates"].empty()) {
      return refuse(*pod, "SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates", false);
    }
    const std::vector<NodeState> nodes = states(*pod);
    const ClaimState claims = claim_state(*pod, claims_, classes_);
    if (claims.waits_for_binder) return Requeue::never();  // the claim's event brings us back
    if (!claims.problem.empty()) {
      const std::string none = "0/" + std::to_string(nodes.size()) + " nodes are available: ";
      return refuse(*pod, "Unschedulable",
                    none + claims.problem + " preemption: " + none + std::to_string(nodes.size()) +
                        " Preemption is not helpful for scheduling.",
                    true);
    }
    const Choice choice = choose(*pod, nodes);
    if (!choice.node.empty()) return bind(*pod, choice.node);
    if (const Preemption preemption = plan_preemption(*pod, nodes); !preemption.node.empty())
      return preempt(*pod, preemption, choice.message);
    return refuse(*pod, "Unschedulable", choice.message, true);
  }

 private:
  // As `wanting` meets them: what others of its rank have been promised counts as taken.
  std::vector<NodeState> states(const Object& wanting) {
    std::map<std::string, std::vector<Object>> by_node;
    for (const Object& pod : pods_.list()) {
      const std::string promised = pod.status()["nominatedNodeName"].str();
      if (!promised.empty() && waits_for_node(pod) && pod.uid() != wanting.uid() && !assumed_.contains(pod.uid()) &&
          priority(pod) >= priority(wanting)) {
        by_node[promised].push_back(pod);
      }
      const std::string node = pod.spec()["nodeName"].str();
      if (!node.empty()) assumed_.erase(pod.uid());
      if (!node.empty() && !is_finished(pod)) by_node[node].push_back(pod);
    }
    std::erase_if(assumed_, [this](const auto& entry) { return !pods_.find(entry.second.key()); });
    for (const auto& [uid, pod] : assumed_) by_node[pod.spec()["nodeName"].str()].push_back(pod);
    std::vector<NodeState> out;
    for (const Object& node : nodes_.list()) {
      if (!node.deleting()) out.push_back(node_state(node, by_node[node.name()]));
    }
    return out;
  }

  Result<Requeue> bind(const Object& pod, const std::string& node) {
    const Time begun = clock_.now();
    Value binding{{"apiVersion", "v1"}, {"kind", "Binding"}};
    Value& metadata = binding.edit("metadata");
    metadata.set("name", pod.name());
    metadata.set("namespace", pod.ns());
    metadata.set("uid", pod.uid());
    binding.set("target", Value{{"apiVersion", "v1"}, {"kind", "Node"}, {"name", node}});
    const auto bound = client_.post(schema::kPods, pod.key(), "binding", binding);
    if (!bound.ok()) {
      if (bound.error().code == ErrorCode::not_found) return Requeue::never();
      events_.record(pod, EventRecorder::Type::warning, "FailedScheduling", bound.error().message, "Scheduling");
      return Error(bound.error()).in("bind " + pod.key().str() + " to " + node);
    }
    Object assumed = pod;
    assumed.edit({"spec"}).set("nodeName", node);
    assumed_[pod.uid()] = assumed;
    events_.record(pod, EventRecorder::Type::normal, "Scheduled",
                   "Successfully assigned " + pod.key().str() + " to " + node, "Binding");
    tell(pod, node, begun);
    return Requeue::never();
  }

  // The victims end as gracefully as they wish; their going brings the pod back.
  Result<Requeue> preempt(const Object& pod, const Preemption& preemption, const std::string& message) {
    const auto promised = kube::modify(
        client_, schema::kPods, pod.key(),
        [&](Object& live) {
          if (live.uid() != pod.uid() || live.status()["nominatedNodeName"].as_string() == preemption.node)
            return false;
          live.edit({"status"}).set("nominatedNodeName", preemption.node);
          return true;
        },
        by_scheduler("status"));
    if (!promised.ok()) {
      if (promised.error().code == ErrorCode::not_found) return Requeue::never();
      return promised.error();
    }
    for (const Object& victim : preemption.victims) {
      if (victim.deleting()) continue;
      const auto marked = kube::modify(
          client_, schema::kPods, victim.key(),
          [&](Object& live) {
            return live.uid() == victim.uid() &&
                   kube::set_condition(live, "DisruptionTarget", true, "PreemptionByScheduler",
                                       "default-scheduler: preempting to accommodate a higher priority pod",
                                       clock_.now());
          },
          by_scheduler("status"));
      if (!marked.ok() && marked.error().code != ErrorCode::not_found) return marked.error();
      kube::DeleteOptions options;
      options.uid = victim.uid();
      const auto removed = client_.remove(schema::kPods, victim.key(), options);
      if (!removed.ok() && removed.error().code != ErrorCode::not_found) return removed.error();
      events_.record(victim, EventRecorder::Type::normal, "Preempted",
                     "Preempted by pod " + pod.uid() + " on node " + preemption.node, "Preempting");
    }
    const auto live = client_.get(schema::kPods, pod.key());
    return refuse(live.ok() ? *live : pod, "Unschedulable", message, true);
  }

  static kube::WriteOptions by_scheduler(std::string_view subresource) {
    kube::WriteOptions options;
    options.field_manager = std::string(kSchedulerName);
    options.subresource = std::string(subresource);
    return options;
  }

  // From the pod's creation: the wait for a place is part of it.
  void tell(const Object& pod, const std::string& node, Time begun) {
    const TraceContext trace = pod.trace();
    if (!spans_ || trace.empty()) return;
    Span span;
    span.context = trace.child("schedule " + pod.uid());
    span.parent_span_id = trace.span_id;
    span.name = "schedule";
    span.component = "scheduler";
    span.start = kube::condition(pod, "PodScheduled").is_null() ? begun : pod.created().value_or(begun);
    span.end = clock_.now();
    span.attributes = {{"pod", pod.key().str()}, {"node", node}};
    spans_->record(std::move(span));
  }

  // In upstream's order: what PodScheduled says is what the event says.
  Result<Requeue> refuse(const Object& pod, std::string_view reason, const std::string& message, bool is_event) {
    if (is_event) events_.record(pod, EventRecorder::Type::warning, "FailedScheduling", message, "Scheduling");
    Object after = pod;
    if (kube::set_condition(after, "PodScheduled", false, reason, message, clock_.now())) {
      const auto written = client_.update(after, by_scheduler("status"));
      if (!written.ok() && written.error().code != ErrorCode::not_found) return written.error();
    }
    return is_event ? Requeue::after(std::chrono::minutes(5)) : Requeue::never();
  }

  kube::Client& client_;
  Clock& clock_;
  SpanSink* const spans_;
  kube::Informer& pods_;
  kube::Informer& nodes_;
  kube::Informer& claims_;
  kube::Informer& classes_;
  EventRecorder events_;
  std::map<std::string, Object> assumed_;  // bound by us, not yet seen bound; by uid. One run at a time touches it.
};

}  // namespace

void add_scheduler(kube::Runtime& runtime, SpanSink* spans) {
  kube::Informer& pods = runtime.informer(schema::kPods);
  const kube::Queue queue = runtime.add(std::make_unique<Scheduler>(runtime, spans), 1);
  runtime.watch(schema::kPods, queue, [](const Object& pod) {
    return waits_for_node(pod) ? std::vector<ObjectKey>{pod.key()} : std::vector<ObjectKey>{};
  });
  const auto retry_all = [&pods, queue] {
    for (const Object& pod : pods.list()) {
      if (waits_for_node(pod)) queue.add(pod.key());
    }
  };
  runtime.informer(schema::kNodes).on_change([retry_all](const Object* before, const Object* after) {
    if (!before || !after || !same_for_scheduling(*before, *after)) retry_all();
  });
  // A pod that ends leaves room.
  runtime.informer(schema::kPods).on_change([retry_all](const Object* before, const Object* after) {
    const bool had_room = before && !before->spec()["nodeName"].as_string().empty() && !is_finished(*before);
    if (had_room && (!after || is_finished(*after))) retry_all();
  });
  runtime.informer(schema::kPersistentVolumeClaims).on_change([retry_all](const Object*, const Object*) {
    retry_all();
  });
}

}  // namespace caisson::controllers
