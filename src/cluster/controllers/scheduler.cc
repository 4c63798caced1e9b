// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/scheduler.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>

#include "cluster/controllers/names.h"
#include "cluster/controllers/scheduling.h"
#include "cluster/controllers/volume_topology.h"
#include "cluster/controllers/volumes.h"
#include "core/base/worker_pool.h"

namespace caisson::controllers {
namespace {

using kube::EventRecorder;
using kube::Requeue;

constexpr std::string_view kDefaultScheduler = "default-scheduler";
constexpr int kBinders = 4;
constexpr auto kBindingRetry = std::chrono::seconds(1);

const schema::Resource& disruption_budgets() {
  static const schema::Resource resource{"policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets"};
  return resource;
}

bool waits_for_node(const Object& pod) {
  return pod.spec()["nodeName"].as_string().empty() && !pod.deleting() && !is_finished(pod) &&
         pod.spec()["schedulerName"].as_string(kDefaultScheduler) == kDefaultScheduler;
}

bool takes_room(const Object* pod) {
  return pod && !pod->spec()["nodeName"].as_string().empty() && !is_finished(*pod);
}
bool is_promised(const Object* pod) {
  return pod && waits_for_node(*pod) && !pod->status()["nominatedNodeName"].as_string().empty();
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
        volumes_(runtime.informer(persistent_volumes())),
        classes_(runtime.informer(storage_classes())),
        namespaces_(runtime.informer(schema::kNamespaces)),
        budgets_(runtime.informer(disruption_budgets())),
        events_(client_, clock_, std::string(kDefaultScheduler)) {
    pods_.on_change([this](const Object* before, const Object* after) { note_pod(before, after); });
    nodes_.on_change([this](const Object* before, const Object* after) {
      if (!before || !after || !same_for_scheduling(*before, *after) || before->deleting() != after->deleting())
        stale_ = true;
    });
    namespaces_.on_change([this](const Object*, const Object*) { stale_ = true; });
  }

  std::string_view name() const override { return "scheduler"; }
  void attach(kube::Queue queue) { queue_ = std::move(queue); }

  Result<Requeue> reconcile(const ObjectKey& key) override {
    const auto pod = pods_.find(key);
    if (!pod || !waits_for_node(*pod)) return Requeue::never();
    if (is_assumed(pod->uid())) return Requeue::never();  // bound already; the cache is a step behind
    if (!pod->spec()["schedulingGates"].empty()) {
      return refuse(*pod, "SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates", false);
    }
    if (stale_.exchange(false)) world_ = states(nullptr);
    std::vector<NodeState> own;
    if (any_promised_) own = states(&*pod);
    const std::vector<NodeState>& nodes = any_promised_ ? own : world_;
    const VolumeDemand volumes = volume_demand(*pod, lookup());
    if (!volumes.problem.empty()) {
      const std::string none = "0/" + std::to_string(nodes.size()) + " nodes are available: ";
      return refuse(*pod, "Unschedulable",
                    none + volumes.problem + " preemption: " + none + std::to_string(nodes.size()) +
                        " Preemption is not helpful for scheduling.",
                    true);
    }
    const Object wanting = resolved(*pod, namespaces_.list());
    const Choice choice = choose(wanting, nodes, &volumes);
    if (!choice.node.empty())
      return volumes.has_unbound() ? ask_for_volumes(volumes, choice.node) : bind(*pod, choice.node);
    if (const Preemption preemption = plan_preemption(wanting, nodes, &volumes, budgets_.list());
        !preemption.node.empty())
      return preempt(*pod, preemption, choice.message);
    return refuse(*pod, "Unschedulable", choice.message, true);
  }

 private:
  bool is_assumed(const std::string& uid) {
    const std::lock_guard lock(mutex_);
    return assumed_.contains(uid);
  }

  // On the informer's thread. Our own bindings are in `world_` already, and pods that wait take no room: a rollout of
  // many does not make the world anew for each of them.
  void note_pod(const Object* before, const Object* after) {
    if (is_promised(before) || is_promised(after)) {
      stale_ = true;
    } else if (takes_room(before) && takes_room(after)) {
      if (before->deleting() != after->deleting() || !(before->metadata()["labels"] == after->metadata()["labels"]) ||
          !(before->spec() == after->spec()))
        stale_ = true;
    } else if (takes_room(after)) {
      const std::lock_guard lock(mutex_);
      const auto found = assumed_.find(after->uid());
      if (found == assumed_.end() || found->second.spec()["nodeName"] != after->spec()["nodeName"])
        stale_ = true;
      else
        assumed_.erase(found);
    } else if (takes_room(before)) {
      stale_ = true;
    }
  }

  // As `wanting` meets them: what others of its rank have been promised counts as taken. Nobody: promises do not count.
  std::vector<NodeState> states(const Object* wanting) {
    std::map<std::string, std::vector<Object>> by_node;
    const std::lock_guard lock(mutex_);
    any_promised_ = false;
    for (const Object& pod : pods_.list()) {
      if (is_promised(&pod) && !assumed_.contains(pod.uid())) {
        any_promised_ = true;
        if (wanting && pod.uid() != wanting->uid() && priority(pod) >= priority(*wanting))
          by_node[pod.status()["nominatedNodeName"].str()].push_back(pod);
      }
      if (!pod.spec()["nodeName"].as_string().empty()) assumed_.erase(pod.uid());
      if (takes_room(&pod)) by_node[pod.spec()["nodeName"].str()].push_back(pod);
    }
    std::erase_if(assumed_, [this](const auto& entry) { return !pods_.find(entry.second.key()); });
    for (const auto& [uid, pod] : assumed_) by_node[pod.spec()["nodeName"].str()].push_back(pod);
    const std::vector<Object> namespaces = namespaces_.list();
    std::vector<NodeState> out;
    for (const Object& node : nodes_.list()) {
      if (node.deleting()) continue;
      std::vector<Object>& there = by_node[node.name()];
      for (Object& pod : there) pod = resolved(pod, namespaces);
      out.push_back(node_state(node, there));
    }
    return out;
  }

  VolumeLookup lookup() {
    return {[this](const ObjectKey& key) { return claims_.find(key); },
            [this](const std::string& name) {
              return volumes_.find({"", name});
            },
            [this](const std::string& name) {
              return classes_.find({"", name});
            },
            [this] { return volumes_.list(); }};
  }

  // Tells the binder for which node; the claims' binding brings the pod back.
  Result<Requeue> ask_for_volumes(const VolumeDemand& volumes, const std::string& node) {
    for (const ClaimDemand& demand : volumes.claims) {
      if (demand.is_bound()) continue;
      const auto asked = kube::modify(
          client_, schema::kPersistentVolumeClaims, demand.claim.key(),
          [&](Object& live) {
            if (live.annotation(kSelectedNode) == node) return false;
            live.set_annotation(kSelectedNode, node);
            return true;
          },
          by_scheduler(""));
      if (!asked.ok() && asked.error().code != ErrorCode::not_found) return asked.error();
    }
    return Requeue::never();
  }

  // Bindings wait for the store side by side, while the next pod looks for its node: as with upstream's binding cycle,
  // what was chosen counts as taken at once.
  Result<Requeue> bind(const Object& pod, const std::string& node) {
    assume(pod, node);
    const Time begun = clock_.now();
    const auto queued = binders_.run([this, pod, node, begun] { send_binding(pod, node, begun); });
    if (queued.ok()) return Requeue::never();
    forget(pod.uid());
    return queued.error();
  }

  void send_binding(const Object& pod, const std::string& node, Time begun) {
    Value binding{{"apiVersion", "v1"}, {"kind", "Binding"}};
    Value& metadata = binding.edit("metadata");
    metadata.set("name", pod.name());
    metadata.set("namespace", pod.ns());
    metadata.set("uid", pod.uid());
    binding.set("target", Value{{"apiVersion", "v1"}, {"kind", "Node"}, {"name", node}});
    const auto bound = client_.post(schema::kPods, pod.key(), "binding", binding);
    if (bound.ok()) {
      events_.record(pod, EventRecorder::Type::normal, "Scheduled",
                     "Successfully assigned " + pod.key().str() + " to " + node, "Binding");
      tell(pod, node, begun);
      return;
    }
    forget(pod.uid());
    if (bound.error().code == ErrorCode::not_found) return;
    events_.record(pod, EventRecorder::Type::warning, "FailedScheduling", bound.error().message, "Scheduling");
    queue_.add_after(pod.key(), kBindingRetry);
  }

  // Before the binding is sent: its event may be here before the answer.
  void assume(const Object& pod, const std::string& node) {
    Object assumed = pod;
    assumed.edit({"spec"}).set("nodeName", node);
    const auto state =
        std::find_if(world_.begin(), world_.end(), [&](const NodeState& one) { return one.node.name() == node; });
    if (state != world_.end()) state->add(resolved(assumed, namespaces_.list()));
    const std::lock_guard lock(mutex_);
    assumed_[pod.uid()] = std::move(assumed);
  }
  void forget(const std::string& uid) {
    stale_ = true;
    const std::lock_guard lock(mutex_);
    assumed_.erase(uid);
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
  kube::Informer& volumes_;
  kube::Informer& classes_;
  kube::Informer& namespaces_;
  kube::Informer& budgets_;
  EventRecorder events_;
  std::vector<NodeState> world_;  // without promises; one run at a time touches it
  bool any_promised_ = false;     // the same
  std::atomic<bool> stale_ = true;
  std::mutex mutex_;
  std::map<std::string, Object> assumed_;  // bound by us, not yet seen bound; by uid. GUARDED_BY(mutex_)
  kube::Queue queue_;
  WorkerPool binders_{"bind", kBinders};  // last: it ends before what its tasks use
};

}  // namespace

void add_scheduler(kube::Runtime& runtime, SpanSink* spans) {
  kube::Informer& pods = runtime.informer(schema::kPods);
  auto scheduler = std::make_unique<Scheduler>(runtime, spans);
  Scheduler* const attached = scheduler.get();  // the runtime keeps it
  const kube::Queue queue = runtime.add(std::move(scheduler), 1);
  attached->attach(queue);
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
  for (const schema::Resource& resource :
       {schema::kPersistentVolumeClaims, persistent_volumes(), storage_classes(), schema::kNamespaces})
    runtime.informer(resource).on_change([retry_all](const Object*, const Object*) { retry_all(); });
}

}  // namespace caisson::controllers
