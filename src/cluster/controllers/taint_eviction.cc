// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/taint_eviction.h"

#include <algorithm>
#include <map>
#include <mutex>

#include "cluster/controllers/names.h"
#include "cluster/controllers/scheduling.h"

namespace caisson::controllers {
namespace {

using kube::EventRecorder;
using kube::Requeue;

bool is_no_execute(const Value& taint) {
  return taint["effect"].as_string() == "NoExecute";
}

Value tolerating(const Value& tolerations, const Value& taint) {
  for (const Value& toleration : tolerations.items()) {
    Value one = Value::list();
    one.push_back(toleration);
    if (tolerates(one, taint)) return toleration;
  }
  return {};
}

class TaintEvictionReconciler : public kube::Reconciler {
 public:
  explicit TaintEvictionReconciler(kube::Runtime& runtime)
      : client_(runtime.client()),
        clock_(runtime.clock()),
        pods_(runtime.informer(schema::kPods)),
        nodes_(runtime.informer(schema::kNodes)),
        events_(client_, clock_, "taint-eviction-controller") {}

  std::string_view name() const override { return "taint-eviction"; }

  Result<Requeue> reconcile(const ObjectKey& key) override {
    const auto pod = pods_.find(key);
    if (!pod || pod->deleting() || is_finished(*pod)) return cancel(key, nullptr);
    const auto node = nodes_.find({"", pod->spec()["nodeName"].str()});
    if (!node) return cancel(key, nullptr);
    const Value& taints = node->spec()["taints"];
    const auto stay = stays_for(taints, pod->spec()["tolerations"]);
    if (!stay) return cancel(key, &*pod);
    const Duration left = since(key, taints) + *stay - clock_.now();
    if (*stay > Duration(0) && left > Duration(0)) return Requeue::after(left);
    return evict(*pod);
  }

 private:
  // A taint that does not say when it came counts from when it was seen here first, as upstream.
  Time since(const ObjectKey& key, const Value& taints) {
    const std::lock_guard lock(mutex_);
    const auto [seen, is_new] = first_seen_.try_emplace(key, clock_.now());
    return tainted_since(taints).value_or(seen->second);
  }

  Result<Requeue> cancel(const ObjectKey& key, const Object* pod) {
    bool was_counted = false;
    {
      const std::lock_guard lock(mutex_);
      was_counted = first_seen_.erase(key) > 0;
    }
    if (was_counted && pod)
      events_.record(*pod, EventRecorder::Type::normal, "TaintManagerEviction",
                     "Cancelling deletion of Pod " + key.str());
    return Requeue::never();
  }

  Result<Requeue> evict(const Object& pod) {
    events_.record(pod, EventRecorder::Type::normal, "TaintManagerEviction",
                   "Marking for deletion Pod " + pod.key().str());
    const auto marked = kube::modify(
        client_, schema::kPods, pod.key(),
        [&](Object& live) {
          return live.uid() == pod.uid() &&
                 kube::set_condition(live, "DisruptionTarget", true, "DeletionByTaintManager",
                                     "Taint manager: deleting due to NoExecute taint", clock_.now());
        },
        by_manager("status"));
    if (!marked.ok() && marked.error().code != ErrorCode::not_found) return marked.error();
    kube::DeleteOptions options;
    options.uid = pod.uid();
    const auto removed = client_.remove(schema::kPods, pod.key(), options);
    if (!removed.ok() && removed.error().code != ErrorCode::not_found && removed.error().code != ErrorCode::conflict)
      return removed.error();
    const std::lock_guard lock(mutex_);
    first_seen_.erase(pod.key());
    return Requeue::never();
  }

  kube::Client& client_;
  Clock& clock_;
  kube::Informer& pods_;
  kube::Informer& nodes_;
  EventRecorder events_;
  std::mutex mutex_;
  std::map<ObjectKey, Time> first_seen_;  // GUARDED_BY(mutex_): pods whose time on a tainted node is running
};

}  // namespace

std::optional<Duration> stays_for(const Value& taints, const Value& tolerations) {
  std::optional<std::int64_t> seconds_min;
  bool limited = false;
  for (const Value& taint : taints.items()) {
    if (!is_no_execute(taint)) continue;
    const Value toleration = tolerating(tolerations, taint);
    if (toleration.is_null()) return Duration(0);
    if (toleration["tolerationSeconds"].is_null()) continue;
    const std::int64_t seconds = std::max<std::int64_t>(0, toleration["tolerationSeconds"].as_int());
    seconds_min = limited ? std::min(*seconds_min, seconds) : seconds;
    limited = true;
  }
  if (!limited) return std::nullopt;
  return std::chrono::seconds(*seconds_min);
}

std::optional<Time> tainted_since(const Value& taints) {
  std::optional<Time> oldest;
  for (const Value& taint : taints.items()) {
    if (!is_no_execute(taint)) continue;
    const auto added = parse_time(taint["timeAdded"].as_string());
    if (added && (!oldest || *added < *oldest)) oldest = added;
  }
  return oldest;
}

void add_taint_eviction(kube::Runtime& runtime) {
  kube::Informer& pods = runtime.informer(schema::kPods);
  const kube::Queue queue = runtime.add(std::make_unique<TaintEvictionReconciler>(runtime));
  runtime.watch(schema::kPods, queue, [](const Object& pod) -> std::vector<ObjectKey> {
    if (pod.spec()["nodeName"].as_string().empty()) return {};
    return {pod.key()};
  });
  // Heartbeats write to nodes every few seconds: only a change of taints concerns the pods there.
  runtime.informer(schema::kNodes).on_change([&pods, queue](const Object* before, const Object* after) {
    if (before && after && before->spec()["taints"] == after->spec()["taints"]) return;
    const std::string name = after ? after->name() : before->name();
    for (const Object& pod : pods.list()) {
      if (pod.spec()["nodeName"].as_string() == name) queue.add(pod.key());
    }
  });
}

}  // namespace caisson::controllers
