// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>

#include "cluster/controllers/names.h"
#include "cluster/controllers/revisions.h"
#include "cluster/controllers/stateful_set.h"
#include "core/base/text.h"

namespace caisson::controllers {
namespace {

constexpr std::string_view kPodName = "statefulset.kubernetes.io/pod-name", kPodIndex = "apps.kubernetes.io/pod-index";

class Planner {
 public:
  Planner(const Object& set, const std::vector<Object>& pods, const Object& current, const Object& update, Time now)
      : set_(set),
        current_(current),
        update_(update),
        now_(now),
        first_(set.spec()["ordinals"]["start"].as_int()),
        end_(first_ + set.spec()["replicas"].as_int(1)),
        ordered_(set.spec()["podManagementPolicy"].as_string() != "Parallel"),
        min_ready_(set.spec()["minReadySeconds"].as_int()) {
    for (const Object& pod : pods) {
      if (const std::int64_t ordinal = ordinal_of(set, pod.name()); ordinal >= 0) pods_[ordinal] = pod;
    }
  }

  StatefulSetPlan plan() {
    plan_.status = status();
    if (set_.deleting()) return std::move(plan_);
    if (grow() && shrink()) update();
    return std::move(plan_);
  }

 private:
  bool healthy(const Object& pod) const { return is_available(pod, min_ready_, now_) && !pod.deleting(); }
  static bool has_revision(const Object& pod, const Object& revision) {
    return pod.label(kControllerRevisionHash) == revision.name();
  }

  // Below the partition (or while rolling forward below those not yet reached) a pod that is made again keeps the old
  // revision.
  const Object& revision_for(std::int64_t ordinal) const {
    const Value& partition = set_.spec()["updateStrategy"]["rollingUpdate"]["partition"];
    if (set_.spec()["updateStrategy"]["type"].as_string() == "OnDelete") return update_;
    const std::int64_t kept = !partition.is_null() ? partition.as_int() : set_.status()["currentReplicas"].as_int();
    return ordinal < first_ + kept ? current_ : update_;
  }

  Object make_pod(std::int64_t ordinal) const {
    const Object& revision = revision_for(ordinal);
    const std::string name = set_.name() + "-" + std::to_string(ordinal);
    Object pod = pod_from_template(set_, revision_template(revision), "", name);
    pod.edit({"metadata"}).set("generateName", set_.name() + "-");
    pod.set_label(kPodName, name);
    pod.set_label(kPodIndex, std::to_string(ordinal));
    pod.set_label(kControllerRevisionHash, revision.name());
    pod.edit({"spec"}).set("hostname", name);
    if (const Value& service = set_.spec()["serviceName"]; !service.as_string().empty())
      pod.edit({"spec"}).set("subdomain", service);
    Value volumes = Value::list();
    const auto claims = claims_for(set_, ordinal);
    for (std::size_t i = 0; i < claims.size(); ++i) {
      const Value& own = set_.spec()["volumeClaimTemplates"][i]["metadata"]["name"];
      volumes.push_back(Value{{"name", own}, {"persistentVolumeClaim", Value{{"claimName", claims[i].name()}}}});
    }
    for (const Value& volume : pod.spec()["volumes"].items()) {
      const auto ours = volumes.items();
      const bool replaced =
          std::any_of(ours.begin(), ours.end(), [&](const Value& v) { return v["name"] == volume["name"]; });
      if (!replaced) volumes.push_back(volume);
    }
    if (!volumes.empty()) pod.edit({"spec"}).set("volumes", std::move(volumes));
    return pod;
  }

  // False: wait for what was begun.
  bool grow() {
    for (std::int64_t ordinal = first_; ordinal < end_; ++ordinal) {
      const auto found = pods_.find(ordinal);
      if (found == pods_.end()) {
        plan_.create.push_back(make_pod(ordinal));
      } else if (is_finished(found->second) && !found->second.deleting()) {
        plan_.remove.push_back(found->second);  // to be made again
      } else if (healthy(found->second)) {
        continue;
      }
      if (ordered_) return false;
    }
    return true;
  }

  bool shrink() {
    for (auto at = pods_.rbegin(); at != pods_.rend(); ++at) {
      if (at->first >= first_ && at->first < end_) continue;
      if (!at->second.deleting()) {
        plan_.remove.push_back(at->second);
        plan_.condemned.push_back(at->second);
      }
      if (ordered_) return false;
    }
    return true;
  }

  // From the last to the partition, one that is not as it should be at a time.
  void update() {
    if (set_.spec()["updateStrategy"]["type"].as_string() == "OnDelete") return;
    const std::int64_t partition = set_.spec()["updateStrategy"]["rollingUpdate"]["partition"].as_int();
    for (auto at = pods_.rbegin(); at != pods_.rend(); ++at) {
      if (at->first < first_ + partition || at->first >= end_) continue;
      if (!has_revision(at->second, update_) && !at->second.deleting()) {
        plan_.remove.push_back(at->second);
        return;
      }
      if (!healthy(at->second)) return;
    }
  }

  Value status() const {
    std::int64_t present = 0, ready = 0, available = 0, current = 0, updated = 0;
    for (const auto& [ordinal, pod] : pods_) {
      present += 1;
      ready += pod.status()["phase"].as_string() == "Running" && is_ready(pod) ? 1 : 0;
      available += is_available(pod, min_ready_, now_) ? 1 : 0;
      if (pod.deleting()) continue;
      current += has_revision(pod, current_) ? 1 : 0;
      updated += has_revision(pod, update_) ? 1 : 0;
    }
    const bool rolling = set_.spec()["updateStrategy"]["type"].as_string() != "OnDelete";
    const bool complete = rolling && updated == present && ready == present && present == end_ - first_;
    Value out = Value::map();
    const auto put = [&out](std::string_view key, std::int64_t value) {
      if (value > 0) out.set(key, value);
    };
    put("observedGeneration", set_.generation());
    out.set("replicas", present);
    put("readyReplicas", ready);
    put("currentReplicas", complete ? updated : current);
    put("updatedReplicas", updated);
    out.set("currentRevision", complete ? update_.name() : current_.name());
    out.set("updateRevision", update_.name());
    out.set("collisionCount", set_.status()["collisionCount"].as_int());
    out.set("availableReplicas", available);
    return out;
  }

  const Object &set_, &current_, &update_;
  const Time now_;
  const std::int64_t first_, end_;
  const bool ordered_;
  const std::int64_t min_ready_;
  std::map<std::int64_t, Object> pods_;
  StatefulSetPlan plan_;
};

}  // namespace

std::int64_t ordinal_of(const Object& set, std::string_view pod_name) {
  const std::string prefix = set.name() + "-";
  if (!pod_name.starts_with(prefix)) return -1;
  const auto ordinal = parse_int(pod_name.substr(prefix.size()));
  return ordinal && *ordinal >= 0 ? *ordinal : -1;
}

std::vector<Object> claims_for(const Object& set, std::int64_t ordinal) {
  std::vector<Object> out;
  for (const Value& wanted : set.spec()["volumeClaimTemplates"].items()) {
    Object claim = Object::make(schema::kPersistentVolumeClaims, set.ns(),
                                wanted["metadata"]["name"].str() + "-" + set.name() + "-" + std::to_string(ordinal));
    Value labels = wanted["metadata"]["labels"].is_map() ? wanted["metadata"]["labels"] : Value::map();
    for (const auto& entry : set.spec()["selector"]["matchLabels"].entries()) labels.set(entry.key, entry.value);
    claim.edit({"metadata"}).set("labels", std::move(labels));
    if (const Value& annotations = wanted["metadata"]["annotations"]; !annotations.empty())
      claim.edit({"metadata"}).set("annotations", annotations);
    claim.edit().set("spec", wanted["spec"]);
    if (set.spec()["persistentVolumeClaimRetentionPolicy"]["whenDeleted"].as_string() == "Delete")
      claim.set_controller(set);
    out.push_back(std::move(claim));
  }
  return out;
}

StatefulSetPlan plan_stateful_set(const Object& set, const std::vector<Object>& pods, const Object& current,
                                  const Object& update, Time now) {
  return Planner(set, pods, current, update, now).plan();
}

}  // namespace caisson::controllers
