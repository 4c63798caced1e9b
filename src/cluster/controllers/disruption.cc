// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/disruption.h"

#include <set>

#include "cluster/controllers/names.h"
#include "core/base/text.h"

namespace caisson::controllers {
namespace {

using kube::Object;
using kube::ObjectKey;
using kube::Requeue;

constexpr Duration kDisruptedFor = std::chrono::minutes(2);  // upstream's DeletionTimeout

const kube::Resource& budgets() {
  static const kube::Resource kBudgets{"policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets"};
  return kBudgets;
}
const kube::Resource& replication_controllers() {
  static const kube::Resource kControllers{"", "v1", "ReplicationController", "replicationcontrollers"};
  return kControllers;
}

bool is_healthy(const Object& pod, const Value& disrupted) {
  return !pod.deleting() && !disrupted.contains(pod.name()) && kube::condition_is_true(pod, "Ready");
}

// "30%" of `total`, or the number itself; percentages are rounded up.
std::int64_t scaled(const Value& value, std::int64_t total) {
  const std::string_view text = value.as_string();
  if (!text.ends_with('%')) return value.as_int();
  const std::int64_t percent = parse_int(text.substr(0, text.size() - 1)).value_or(0);
  return (percent * total + 99) / 100;
}

// Disruptions that the eviction API took and whose Pods are neither going nor gone, while they are young.
Value still_disrupted(const Value& before, const std::vector<Object>& pods, Time now) {
  Value out;
  for (const document::MapEntry& entry : before.entries()) {
    const auto time = parse_time(entry.value.as_string());
    const bool there = std::any_of(pods.begin(), pods.end(),
                                   [&](const Object& pod) { return pod.name() == entry.key && !pod.deleting(); });
    if (there && time && now - *time < kDisruptedFor) out.set(entry.key, entry.value);
  }
  return out;
}

class DisruptionReconciler : public kube::Reconciler {
 public:
  explicit DisruptionReconciler(kube::Runtime& runtime)
      : client_(runtime.client()),
        clock_(runtime.clock()),
        budgets_(runtime.informer(budgets())),
        pods_(runtime.informer(schema::kPods)),
        deployments_(runtime.informer(schema::kDeployments)),
        replica_sets_(runtime.informer(schema::kReplicaSets)),
        stateful_sets_(runtime.informer(schema::kStatefulSets)),
        controllers_(runtime.informer(replication_controllers())),
        events_(client_, clock_, "controllermanager") {}

  std::string_view name() const override { return "disruption"; }

  Result<Requeue> reconcile(const ObjectKey& key) override {
    const auto budget = budgets_.find(key);
    if (!budget || budget->deleting()) return Requeue::never();
    std::vector<Object> pods;
    if (!budget->spec()["selector"].is_null())
      pods = pods_.list(key.ns, TRY(kube::LabelSelector::from(budget->spec()["selector"])));
    // Told when it is news: of a new budget, and when the last pod has gone.
    const bool is_new = budget->status()["observedGeneration"] != budget->metadata()["generation"];
    if (pods.empty() && (is_new || budget->status()["expectedPods"].as_int() > 0))
      events_.record(*budget, kube::EventRecorder::Type::normal, "NoPods", "No matching pods found");
    const Value disrupted = still_disrupted(budget->status()["disruptedPods"], pods, clock_.now());
    const DisruptionCount count = count_disruptions(budget->spec(), expected_scale(pods), pods, disrupted);
    Object wanted = *budget;
    Value& status = wanted.edit({"status"});
    status.set("currentHealthy", count.current_healthy)
        .set("desiredHealthy", count.desired_healthy)
        .set("disruptionsAllowed", count.allowed())
        .set("expectedPods", count.expected)
        .set("observedGeneration", budget->metadata()["generation"]);
    if (disrupted.empty())
      status.erase("disruptedPods");
    else
      status.set("disruptedPods", disrupted);
    set_allowed(wanted, count.allowed() > 0);
    if (!(wanted.status() == budget->status())) TRY(client_.update(wanted, by_manager("status")));
    return disrupted.empty() ? Requeue::never() : Requeue::after(kDisruptedFor);
  }

 private:
  void set_allowed(Object& budget, bool allowed) const {
    kube::set_condition(budget, "DisruptionAllowed", allowed ? "True" : "False",
                        allowed ? "SufficientPods" : "InsufficientPods", "", clock_.now());
    Value& conditions = budget.edit({"status", "conditions"});
    for (std::size_t i = 0; i < conditions.size(); ++i)
      conditions.edit(i).set("message", "").set("observedGeneration", budget.metadata()["generation"]);
  }

  // Each controller once; of a ReplicaSet that a Deployment made, the Deployment.
  std::int64_t expected_scale(const std::vector<Object>& pods) const {
    std::set<std::string> seen;
    std::int64_t total = 0;
    for (const Object& pod : pods) {
      const auto [uid, replicas] = scale_of(pod);
      if (!uid.empty() && seen.insert(uid).second) total += replicas;
    }
    return total;
  }

  static Value controller_of(const Object& object) {
    for (const Value& owner : object.metadata()["ownerReferences"].items())
      if (owner["controller"].as_bool()) return owner;
    return {};
  }

  std::pair<std::string, std::int64_t> scale_of(const Object& pod) const {
    Value owner = controller_of(pod);
    const std::string_view kind = owner["kind"].as_string();
    const kube::Informer* informer = kind == "ReplicaSet"              ? &replica_sets_
                                     : kind == "StatefulSet"           ? &stateful_sets_
                                     : kind == "ReplicationController" ? &controllers_
                                                                       : nullptr;
    if (!informer) return {};
    auto holder = informer->find({pod.ns(), owner["name"].str()});
    if (!holder || holder->metadata()["uid"] != owner["uid"]) return {};
    const Value above = controller_of(*holder);
    if (above["kind"].as_string() == "Deployment")
      if (const auto deployment = deployments_.find({pod.ns(), above["name"].str()})) holder = deployment;
    return {holder->metadata()["uid"].str(), holder->spec()["replicas"].as_int(1)};
  }

  kube::Client& client_;
  Clock& clock_;
  kube::Informer &budgets_, &pods_, &deployments_, &replica_sets_, &stateful_sets_, &controllers_;
  kube::EventRecorder events_;
};

}  // namespace

std::int64_t DisruptionCount::allowed() const {
  return expected <= 0 || current_healthy <= desired_healthy ? 0 : current_healthy - desired_healthy;
}

DisruptionCount count_disruptions(const Value& spec, std::int64_t expected_scale, const std::vector<Object>& pods,
                                  const Value& disrupted) {
  DisruptionCount out;
  for (const Object& pod : pods) out.current_healthy += is_healthy(pod, disrupted) ? 1 : 0;
  const Value &most = spec["maxUnavailable"], &least = spec["minAvailable"];
  if (!most.is_null()) {
    out.expected = expected_scale;
    out.desired_healthy = std::max<std::int64_t>(0, expected_scale - scaled(most, expected_scale));
  } else if (least.is_string()) {
    out.expected = expected_scale;
    out.desired_healthy = scaled(least, expected_scale);
  } else if (!least.is_null()) {
    out.expected = static_cast<std::int64_t>(pods.size());
    out.desired_healthy = least.as_int();
  }
  return out;
}

void add_disruption(kube::Runtime& runtime) {
  const kube::Queue queue = runtime.add(std::make_unique<DisruptionReconciler>(runtime), 2);
  kube::Informer& all = runtime.informer(budgets());
  runtime.watch(budgets(), queue);
  const auto of_namespace = [&all](const Object& object) {
    std::vector<ObjectKey> keys;
    for (const Object& budget : all.list(object.ns())) keys.push_back({budget.ns(), budget.name()});
    return keys;
  };
  for (const kube::Resource& resource :
       {schema::kPods, schema::kDeployments, schema::kReplicaSets, schema::kStatefulSets, replication_controllers()})
    runtime.watch(resource, queue, of_namespace);
}

}  // namespace caisson::controllers
