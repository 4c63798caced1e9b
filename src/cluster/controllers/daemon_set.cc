// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/daemon_set.h"

#include <algorithm>
#include <map>

#include "cluster/controllers/claims.h"
#include "cluster/controllers/names.h"
#include "cluster/controllers/revisions.h"
#include "cluster/controllers/scheduling.h"

namespace caisson::controllers {
namespace {

using kube::EventRecorder;
using kube::Requeue;

constexpr std::string_view kGeneration = "pod-template-generation";

struct Willing {
  bool runs = false;      // a pod belongs there
  bool may_stay = false;  // one that is there need not go
};

Willing willing(const Object& pod, const Object& node) {
  const Value& required = pod.spec()["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
  const Value& selector = pod.spec()["nodeSelector"];
  const bool selected = (selector.empty() || kube::LabelSelector::of(selector).matches(node.metadata()["labels"])) &&
                        (required.is_null() || matches_node_selector(required, node));
  if (!selected) return {};
  Willing out{true, true};
  for (const Value& taint : node.spec()["taints"].items()) {
    if (taint["effect"].as_string() == "PreferNoSchedule" || tolerates(pod.spec()["tolerations"], taint)) continue;
    out.runs = false;
    if (taint["effect"].as_string() == "NoExecute") out.may_stay = false;
  }
  return out;
}

bool is_current(const Object& pod, const std::string& hash) {
  return pod.label(kControllerRevisionHash) == hash;
}

struct OnNode {
  Willing willing;
  std::vector<Object> pods;  // oldest first; none that is being deleted
};

class Planner {
 public:
  Planner(const Object& set, const std::vector<Object>& nodes, const std::vector<Object>& pods, const std::string& hash,
          Time now)
      : set_(set), hash_(hash), now_(now), min_ready_(set.spec()["minReadySeconds"].as_int()) {
    for (const Object& node : nodes) by_node_[node.name()].willing = willing(daemon_pod(set, node.name(), hash), node);
    for (const Object& pod : pods) {
      const std::string node = node_of(pod);
      if (pod.deleting())
        deleting_on_[node] = true;
      else
        by_node_[node].pods.push_back(pod);
    }
    for (auto& [name, on] : by_node_) {
      std::stable_sort(on.pods.begin(), on.pods.end(),
                       [](const Object& a, const Object& b) { return a.created() < b.created(); });
    }
  }

  DaemonSetPlan plan() {
    for (auto& [name, on] : by_node_) place(name, on);
    if (set_.spec()["updateStrategy"]["type"].as_string() != "OnDelete") update();
    plan_.status = status();
    return std::move(plan_);
  }

 private:
  // Before the scheduler has bound it, a pod's node stands in its affinity.
  static std::string node_of(const Object& pod) {
    if (const std::string name = pod.spec()["nodeName"].str(); !name.empty()) return name;
    const Value& required = pod.spec()["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    return required["nodeSelectorTerms"][0]["matchFields"][0]["values"][0].str();
  }

  bool available(const Object& pod) const { return is_available(pod, min_ready_, now_); }

  void remove(OnNode& on, const Object& pod) {
    plan_.remove.push_back(pod);
    const std::string uid = pod.uid();
    std::erase_if(on.pods, [&uid](const Object& p) { return p.uid() == uid; });
  }

  void place(const std::string& name, OnNode& on) {
    for (const Object& pod : std::vector<Object>(on.pods)) {
      if (is_finished(pod) || !on.willing.may_stay) remove(on, pod);
    }
    // Two of one template are one too many; an old and a new one together are a rollout with surge.
    std::map<bool, int> kept;
    for (const Object& pod : std::vector<Object>(on.pods)) {
      if (++kept[is_current(pod, hash_)] > 1) remove(on, pod);
    }
    if (on.willing.runs && on.pods.empty() && !deleting_on_.contains(name)) plan_.create.push_back(name);
  }

  void update() {
    const Value& rolling = set_.spec()["updateStrategy"]["rollingUpdate"];
    std::int64_t wanted = 0, unavailable = 0, surging = 0;
    for (const auto& [name, on] : by_node_) {
      if (!on.willing.runs) continue;
      wanted += 1;
      if (std::none_of(on.pods.begin(), on.pods.end(), [this](const Object& p) { return available(p); }))
        unavailable += 1;
      if (on.pods.size() > 1) surging += 1;
    }
    const std::int64_t surge = scaled(rolling["maxSurge"], wanted, true);
    std::int64_t room = rolling["maxUnavailable"].is_null() ? 1 : scaled(rolling["maxUnavailable"], wanted, true);
    if (surge == 0) room = std::max<std::int64_t>(room, 1);
    room -= unavailable;
    for (auto& [name, on] : by_node_) {
      const auto old =
          std::find_if(on.pods.begin(), on.pods.end(), [this](const Object& p) { return !is_current(p, hash_); });
      if (old == on.pods.end()) continue;
      const auto fresh =
          std::find_if(on.pods.begin(), on.pods.end(), [this](const Object& p) { return is_current(p, hash_); });
      if (fresh != on.pods.end()) {
        if (available(*fresh) || !available(*old)) remove(on, Object(*old));
      } else if (!available(*old)) {
        remove(on, Object(*old));  // it serves nobody
      } else if (surge > surging) {
        plan_.create.push_back(name);
        ++surging;
      } else if (surge == 0 && room > 0) {
        remove(on, Object(*old));
        --room;
      }
    }
  }

  Value status() const {
    std::int64_t current = 0, desired = 0, misplaced = 0, ready = 0, updated = 0, ready_long = 0;
    for (const auto& [name, on] : by_node_) {
      std::vector<Object> pods = on.pods;
      for (const Object& pod : plan_.remove) {
        if (node_of(pod) == name) pods.push_back(pod);  // still there
      }
      desired += on.willing.runs ? 1 : 0;
      if (!pods.empty()) (on.willing.runs ? current : misplaced) += 1;
      if (!on.willing.runs || pods.empty()) continue;
      const auto has = [&pods](auto test) { return std::any_of(pods.begin(), pods.end(), test) ? 1 : 0; };
      ready += has([](const Object& p) { return is_ready(p); });
      ready_long += has([this](const Object& p) { return available(p); });
      updated += has([this](const Object& p) { return is_current(p, hash_); });
    }
    Value out = Value::map();
    out.set("currentNumberScheduled", current);
    out.set("numberMisscheduled", misplaced);
    out.set("desiredNumberScheduled", desired);
    out.set("numberReady", ready);
    out.set("observedGeneration", set_.generation());
    if (updated > 0) out.set("updatedNumberScheduled", updated);
    if (ready_long > 0) out.set("numberAvailable", ready_long);
    if (desired > ready_long) out.set("numberUnavailable", desired - ready_long);
    if (const Value& count = set_.status()["collisionCount"]; !count.is_null()) out.set("collisionCount", count);
    return out;
  }

  const Object& set_;
  const std::string& hash_;
  const Time now_;
  const std::int64_t min_ready_;
  std::map<std::string, OnNode> by_node_;
  std::map<std::string, bool> deleting_on_;
  DaemonSetPlan plan_;
};

class DaemonSetReconciler : public kube::Reconciler {
 public:
  explicit DaemonSetReconciler(kube::Runtime& runtime)
      : client_(runtime.client()),
        clock_(runtime.clock()),
        sets_(runtime.informer(schema::kDaemonSets)),
        pods_(runtime.informer(schema::kPods)),
        nodes_(runtime.informer(schema::kNodes)),
        revisions_(runtime.informer(kControllerRevisions)),
        expectations_(pods_, clock_),
        events_(client_, clock_, "daemonset-controller") {}

  std::string_view name() const override { return "daemonset"; }

  Result<Requeue> reconcile(const ObjectKey& key) override {
    const auto set = sets_.find(key);
    if (!set) {
      expectations_.forget(key);
      return Requeue::never();
    }
    if (set->deleting()) return Requeue::never();
    if (!expectations_.met(key)) return Requeue::after(std::chrono::seconds(5));
    const auto selector = TRY(kube::LabelSelector::from(set->spec()["selector"]));
    if (!selects_template(selector, set->spec()["template"])) return Requeue::never();
    std::vector<Object> candidates = pods_.controlled_by(set->uid());
    for (Object& pod : pods_.list(key.ns, selector)) {
      if (!pod.controller()) candidates.push_back(std::move(pod));
    }
    const auto pods = TRY(claim(client_, schema::kDaemonSets, *set, selector, schema::kPods, candidates));
    const auto owned = revisions_.controlled_by(set->uid());
    const Object revision = TRY(ensure_revision(client_, *set, owned));
    const DaemonSetPlan plan = plan_daemon_set(*set, nodes_.list(), pods, revision_hash(revision), clock_.now());
    TRY(act(*set, plan, revision_hash(revision)));
    TRY(clean_up(*set, owned, pods, revision));
    return TRY(write_status(*set, plan.status)) ? Requeue::after(std::chrono::seconds(1)) : Requeue::never();
  }

 private:
  Result<void> act(const Object& set, const DaemonSetPlan& plan, const std::string& hash) {
    for (const Object& pod : plan.remove) {
      const auto removed = client_.remove(schema::kPods, pod.key());
      if (!removed.ok() && removed.error().code != ErrorCode::not_found) return removed.error();
      expectations_.deleted(set.key(), pod);
      if (removed.ok())
        events_.record(set, EventRecorder::Type::normal, "SuccessfulDelete", "Deleted pod: " + pod.name());
    }
    for (const std::string& node : plan.create) {
      const auto pod = client_.create(daemon_pod(set, node, hash), by_manager());
      if (!pod.ok()) {
        if (namespace_is_terminating(pod.error())) return {};
        events_.record(set, EventRecorder::Type::warning, "FailedCreate", "Error creating: " + pod.error().message);
        return pod.error();
      }
      expectations_.created(set.key(), *pod);
      events_.record(set, EventRecorder::Type::normal, "SuccessfulCreate", "Created pod: " + pod->name());
    }
    return {};
  }

  Result<void> clean_up(const Object& set, const std::vector<Object>& owned, const std::vector<Object>& pods,
                        const Object& revision) {
    std::vector<std::string> in_use{revision.name()};
    for (const Object& pod : pods) in_use.push_back(set.name() + "-" + std::string(pod.label(kControllerRevisionHash)));
    for (const Object& old : plan_revision_cleanup(set, owned, in_use)) {
      const auto removed = client_.remove(kControllerRevisions, old.key());
      if (!removed.ok() && removed.error().code != ErrorCode::not_found) return removed.error();
    }
    return {};
  }

  // Gives whether time alone will make a ready pod available.
  Result<bool> write_status(const Object& set, const Value& status) {
    Object after = set;
    after.edit().set("status", status);
    if (status != set.status()) {
      const auto written = client_.update(after, by_manager("status"));
      if (!written.ok() && written.error().code != ErrorCode::not_found) return written.error();
    }
    return set.spec()["minReadySeconds"].as_int() > 0 &&
           status["numberReady"].as_int() > status["numberAvailable"].as_int();
  }

  kube::Client& client_;
  Clock& clock_;
  kube::Informer& sets_;
  kube::Informer& pods_;
  kube::Informer& nodes_;
  kube::Informer& revisions_;
  Expectations expectations_;
  EventRecorder events_;
};

}  // namespace

Object daemon_pod(const Object& set, const std::string& node, const std::string& hash) {
  Object pod = pod_from_template(set, set.spec()["template"], set.name() + "-");
  pod.set_label(kControllerRevisionHash, hash);
  if (const auto generation = set.annotation("deprecated.daemonset.template.generation"); !generation.empty()) {
    pod.set_label(kGeneration, generation);
  }
  const Value field{{"key", "metadata.name"}, {"operator", "In"}, {"values", Value::list_of({node})}};
  Value& required = pod.edit({"spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution"});
  Value terms = required["nodeSelectorTerms"];
  if (terms.empty()) terms.push_back(Value::map());
  for (std::size_t i = 0; i < terms.size(); ++i) terms.edit(i).set("matchFields", Value(std::vector<Value>{field}));
  required.set("nodeSelectorTerms", std::move(terms));
  struct Tolerated {
    std::string_view key, effect;
  };
  std::vector<Tolerated> tolerated{{kTaintNotReady, "NoExecute"},
                                   {kTaintUnreachable, "NoExecute"},
                                   {"node.kubernetes.io/disk-pressure", "NoSchedule"},
                                   {"node.kubernetes.io/memory-pressure", "NoSchedule"},
                                   {"node.kubernetes.io/pid-pressure", "NoSchedule"},
                                   {kTaintUnschedulable, "NoSchedule"}};
  if (pod.spec()["hostNetwork"].as_bool())
    tolerated.push_back({"node.kubernetes.io/network-unavailable", "NoSchedule"});
  Value& tolerations = pod.edit({"spec", "tolerations"});
  for (const Tolerated& t : tolerated)
    tolerations.push_back(Value{{"key", t.key}, {"operator", "Exists"}, {"effect", t.effect}});
  return pod;
}

DaemonSetPlan plan_daemon_set(const Object& set, const std::vector<Object>& nodes, const std::vector<Object>& pods,
                              const std::string& hash, Time now) {
  return Planner(set, nodes, pods, hash, now).plan();
}

void add_daemon_set(kube::Runtime& runtime) {
  kube::Informer& sets = runtime.informer(schema::kDaemonSets);
  const kube::Queue queue = runtime.add(std::make_unique<DaemonSetReconciler>(runtime));
  runtime.watch(schema::kDaemonSets, queue);
  runtime.watch(schema::kPods, queue, kube::Runtime::to_controller("DaemonSet"));
  // Heartbeats change nothing here.
  runtime.informer(schema::kNodes).on_change([&sets, queue](const Object* before, const Object* after) {
    if (before && after && before->spec() == after->spec() &&
        before->metadata()["labels"] == after->metadata()["labels"])
      return;
    for (const Object& set : sets.list()) queue.add(set.key());
  });
}

}  // namespace caisson::controllers
