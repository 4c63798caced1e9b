// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/node_lifecycle.h"

#include <algorithm>
#include <set>

#include "cluster/controllers/names.h"

namespace caisson::controllers {
namespace {

using kube::Object;
using kube::ObjectKey;
using kube::Requeue;

constexpr std::chrono::seconds kDisruptionPeriod(5);  // how often it is asked whether a node has come back
constexpr std::string_view kLeaseNamespace = "kube-node-lease";

struct Wanted {
  std::string_view key, effect;
  bool operator==(const Wanted&) const = default;
};

// The taints that the node's state calls for.
std::vector<Wanted> wanted_taints(const Object& node) {
  std::vector<Wanted> out;
  const std::string_view ready = kube::condition(node, "Ready")["status"].as_string();
  if (ready == "False") out = {{kTaintNotReady, "NoSchedule"}, {kTaintNotReady, "NoExecute"}};
  if (ready == "Unknown") out = {{kTaintUnreachable, "NoSchedule"}, {kTaintUnreachable, "NoExecute"}};
  struct Pressure {
    std::string_view condition, taint;
  };
  for (const Pressure& p : {Pressure{"MemoryPressure", "node.kubernetes.io/memory-pressure"},
                            Pressure{"DiskPressure", "node.kubernetes.io/disk-pressure"},
                            Pressure{"PIDPressure", "node.kubernetes.io/pid-pressure"},
                            Pressure{"NetworkUnavailable", "node.kubernetes.io/network-unavailable"}}) {
    if (kube::condition_is_true(node, p.condition)) out.push_back({p.taint, "NoSchedule"});
  }
  if (node.spec()["unschedulable"].as_bool()) out.push_back({kTaintUnschedulable, "NoSchedule"});
  return out;
}

bool is_ours(std::string_view key) {
  static constexpr std::string_view kOurs[] = {kTaintNotReady,
                                               kTaintUnreachable,
                                               kTaintUnschedulable,
                                               "node.kubernetes.io/memory-pressure",
                                               "node.kubernetes.io/disk-pressure",
                                               "node.kubernetes.io/pid-pressure",
                                               "node.kubernetes.io/network-unavailable"};
  return std::find(std::begin(kOurs), std::end(kOurs), key) != std::end(kOurs);
}

class NodeLifecycleReconciler : public kube::Reconciler {
 public:
  NodeLifecycleReconciler(kube::Runtime& runtime, Duration grace)
      : grace_(grace),
        client_(runtime.client()),
        clock_(runtime.clock()),
        nodes_(runtime.informer(schema::kNodes)),
        leases_(runtime.informer(schema::kLeases)),
        pods_(runtime.informer(schema::kPods)),
        events_(client_, clock_, "node-controller") {}

  std::string_view name() const override { return "node-lifecycle"; }

  Result<Requeue> reconcile(const ObjectKey& key) override {
    auto node = nodes_.find(key);
    if (!node) {
      known_.erase(key.name);
      return Requeue::never();
    }
    if (known_.insert(key.name).second)
      events_.record(*node, kube::EventRecorder::Type::normal, "RegisteredNode",
                     "Node " + key.name + " event: Registered Node " + key.name + " in Controller");
    const auto heard = last_heartbeat(*node, leases_.find({std::string(kLeaseNamespace), key.name}));
    const Duration silence = heard ? clock_.now() - *heard : Duration(0);
    if (heard && silence > grace_ && mark_unknown(*node, clock_.now())) {
      events_.record(*node, kube::EventRecorder::Type::normal, "NodeNotReady",
                     "Node " + key.name + " status is now: NodeNotReady");
      node = TRY(client_.update(*node, by_manager("status")));
    }
    if (kube::condition(*node, "Ready")["status"].as_string() == "Unknown") TRY(mark_pods_not_ready(key.name));
    const bool evicts = any_node_is_ready();
    if (set_taints(*node, clock_.now(), evicts)) TRY(client_.update(*node, by_manager()));
    if (!evicts) return Requeue::after(kDisruptionPeriod);
    // A node that is silent already comes back by its own write.
    return heard && silence <= grace_ ? Requeue::after(grace_ - silence + std::chrono::seconds(1)) : Requeue::never();
  }

 private:
  // The kubelet that comes back writes what is so.
  Result<void> mark_pods_not_ready(const std::string& node) {
    for (Object pod : pods_.list()) {
      if (pod.spec()["nodeName"].as_string() != node || !kube::condition_is_true(pod, "Ready")) continue;
      const Value ready = kube::condition(pod, "Ready");
      kube::set_condition(pod, "Ready", "False", ready["reason"].as_string(), ready["message"].as_string(),
                          clock_.now());
      const auto written = client_.update(pod, by_manager("status"));
      if (!written.ok() && written.error().code != ErrorCode::not_found) return written.error();
      events_.record(pod, kube::EventRecorder::Type::warning, "NodeNotReady", "Node is not ready");
    }
    return {};
  }

  bool any_node_is_ready() const {
    const std::vector<Object> nodes = nodes_.list();
    return std::any_of(nodes.begin(), nodes.end(), [](const Object& n) { return kube::condition_is_true(n, "Ready"); });
  }

  const Duration grace_;
  kube::Client& client_;
  Clock& clock_;
  kube::Informer& nodes_;
  kube::Informer& leases_;
  kube::Informer& pods_;
  kube::EventRecorder events_;
  std::set<std::string> known_;  // nodes that this controller has met; one run at a time touches it
};

}  // namespace

std::optional<Time> last_heartbeat(const Object& node, const std::optional<Object>& lease) {
  std::optional<Time> heard = node.created();
  const auto take = [&heard](const Value& text) {
    const auto time = parse_time(text.as_string());
    if (time && (!heard || *time > *heard)) heard = time;
  };
  for (const Value& condition : node.status()["conditions"].items()) {
    if (condition["type"].as_string() == "Ready" && condition["reason"].as_string() != "NodeStatusUnknown")
      take(condition["lastHeartbeatTime"]);
  }
  if (lease) take(lease->spec()["renewTime"]);
  return heard;
}

bool mark_unknown(Object& node, Time now) {
  bool changed = false;
  for (const char* type : {"Ready", "MemoryPressure", "DiskPressure", "PIDPressure"}) {
    const Value before = kube::condition(node, type);
    if (before["status"].as_string() == "Unknown") continue;
    const bool never = before.is_null();
    changed |=
        kube::set_condition(node, type, "Unknown", never ? "NodeStatusNeverUpdated" : "NodeStatusUnknown",
                            never ? "Kubelet never posted node status." : "Kubelet stopped posting node status.", now);
  }
  return changed;
}

bool set_taints(Object& node, Time now, bool evicts) {
  std::vector<Wanted> wanted = wanted_taints(node);
  if (!evicts) std::erase_if(wanted, [](const Wanted& taint) { return taint.effect == "NoExecute"; });
  Value taints = Value::list();
  bool changed = false;
  for (const Value& taint : node.spec()["taints"].items()) {
    const Wanted have{taint["key"].as_string(), taint["effect"].as_string()};
    const auto found = std::find(wanted.begin(), wanted.end(), have);
    if (is_ours(have.key) && found == wanted.end()) {
      changed = true;
      continue;
    }
    if (found != wanted.end()) wanted.erase(found);
    taints.push_back(taint);
  }
  for (const Wanted& taint : wanted) {
    Value value = Value::map();
    value.set("effect", taint.effect);
    value.set("key", taint.key);
    if (taint.effect == "NoExecute" || taint.key == kTaintUnschedulable) value.set("timeAdded", format_time(now));
    taints.push_back(std::move(value));
    changed = true;
  }
  if (!changed) return false;
  if (taints.empty())
    node.edit({"spec"}).erase("taints");
  else
    node.edit({"spec"}).set("taints", std::move(taints));
  return true;
}

void add_node_lifecycle(kube::Runtime& runtime, Duration grace) {
  const kube::Queue queue = runtime.add(std::make_unique<NodeLifecycleReconciler>(runtime, grace), 1);
  runtime.watch(schema::kNodes, queue);
  runtime.watch(schema::kLeases, queue, [](const Object& lease) -> std::vector<ObjectKey> {
    if (lease.ns() != kLeaseNamespace) return {};
    return {ObjectKey{"", lease.name()}};
  });
}

}  // namespace caisson::controllers
