// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "cluster/controllers/deployment.h"

namespace caisson::controllers {
namespace {

constexpr std::string_view kNewAvailable = "NewReplicaSetAvailable", kTimedOut = "ProgressDeadlineExceeded";

std::int64_t sum(const std::vector<Object>& sets, std::string_view field) {
  std::int64_t out = 0;
  for (const Object& set : sets) out += set.status()[field].as_int();
  return out;
}

void drop_condition(Value& status, std::string_view type) {
  Value kept = Value::list();
  for (const Value& item : status["conditions"].items()) {
    if (item["type"].as_string() != type) kept.push_back(item);
  }
  if (kept.empty())
    status.erase("conditions");
  else
    status.set("conditions", std::move(kept));
}

// A deadline that upstream takes for none.
bool has_deadline(const Object& deployment) {
  const Value& seconds = deployment.spec()["progressDeadlineSeconds"];
  return !seconds.is_null() && seconds.as_int() != 2147483647;
}

bool made_progress(const Object& deployment, const Value& status) {
  const Value& before = deployment.status();
  const auto old_of = [](const Value& s) { return s["replicas"].as_int() - s["updatedReplicas"].as_int(); };
  return status["updatedReplicas"].as_int() > before["updatedReplicas"].as_int() || old_of(status) < old_of(before) ||
         status["readyReplicas"].as_int() > before["readyReplicas"].as_int() ||
         status["availableReplicas"].as_int() > before["availableReplicas"].as_int();
}

bool timed_out(const Object& deployment, const Value& status, Time now) {
  const Value& progress = find_condition(status, "Progressing");
  if (progress.is_null() || progress["reason"].as_string() == kNewAvailable) return false;
  if (progress["reason"].as_string() == kTimedOut) return true;
  const auto from = parse_time(progress["lastUpdateTime"].as_string());
  return from && *from + std::chrono::seconds(deployment.spec()["progressDeadlineSeconds"].as_int()) < now;
}

void judge_progress(const Object& deployment, const ReplicaSets& sets, Value& status, Time now) {
  const std::string subject =
      sets.current ? "ReplicaSet \"" + sets.current->name() + "\"" : "Deployment \"" + deployment.name() + "\"";
  const Value current = find_condition(status, "Progressing");
  if (is_complete(deployment, status)) {
    set_progress(status, "Progressing", "True", kNewAvailable, subject + " has successfully progressed.", now);
  } else if (made_progress(deployment, status)) {
    // Each step moves lastUpdateTime, from which the deadline counts, and keeps the transition.
    drop_condition(status, "Progressing");
    set_progress(status, "Progressing", "True", "ReplicaSetUpdated", subject + " is progressing.", now);
    if (current["status"].as_string() == "True") {
      Value& conditions = status.edit("conditions");
      conditions.edit(conditions.size() - 1).set("lastTransitionTime", current["lastTransitionTime"]);
    }
  } else if (timed_out(deployment, status, now)) {
    set_progress(status, "Progressing", "False", kTimedOut, subject + " has timed out progressing.", now);
  }
}

// A ReplicaSet that can't make its pods: the new one's failure before the others'.
const Value& replica_failure(const ReplicaSets& sets) {
  if (sets.current) {
    const Value& failure = kube::condition(*sets.current, "ReplicaFailure");
    if (!failure.is_null()) return failure;
  }
  for (const Object& set : sets.old) {
    const Value& failure = kube::condition(set, "ReplicaFailure");
    if (!failure.is_null()) return failure;
  }
  return document::kNull;
}

}  // namespace

const Value& find_condition(const Value& status, std::string_view type) {
  for (const Value& item : status["conditions"].items()) {
    if (item["type"].as_string() == type) return item;
  }
  return document::kNull;
}

bool set_progress(Value& status, std::string_view type, std::string_view value, std::string_view reason,
                  std::string_view message, Time now) {
  const Value before = find_condition(status, type);
  if (!before.is_null() && before["status"].as_string() == value && before["reason"].as_string() == reason)
    return false;
  Value after = Value::map();
  after.set("type", type);
  after.set("status", value);
  after.set("lastUpdateTime", format_time(now));
  const bool same = !before.is_null() && before["status"].as_string() == value;
  after.set("lastTransitionTime", same ? before["lastTransitionTime"] : Value(format_time(now)));
  after.set("reason", reason);
  after.set("message", message);
  drop_condition(status, type);
  status.edit("conditions").push_back(std::move(after));
  return true;
}

bool note_pause(const Object& deployment, Value& status, Time now) {
  if (!has_deadline(deployment)) return false;
  const std::string_view reason = find_condition(status, "Progressing")["reason"].as_string();
  if (reason == kTimedOut) return false;
  const bool paused = deployment.spec()["paused"].as_bool();
  if (paused && reason != "DeploymentPaused") {
    return set_progress(status, "Progressing", "Unknown", "DeploymentPaused", "Deployment is paused", now);
  }
  if (!paused && reason == "DeploymentPaused") {
    return set_progress(status, "Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed", now);
  }
  return false;
}

bool is_complete(const Object& deployment, const Value& status) {
  const std::int64_t want = deployment.spec()["replicas"].as_int(1);
  return status["updatedReplicas"].as_int() == want && status["replicas"].as_int() == want &&
         status["availableReplicas"].as_int() == want &&
         status["observedGeneration"].as_int() >= deployment.generation();
}

Value count_status(const Object& deployment, const ReplicaSets& sets, Time now) {
  const std::vector<Object> all = sets.all();
  std::int64_t wanted = 0;
  for (const Object& set : all) wanted += set.spec()["replicas"].as_int();
  const std::int64_t available = sum(all, "availableReplicas");
  Value status = Value::map();
  const auto put = [&status](std::string_view key, std::int64_t value) {
    if (value > 0) status.set(key, value);
  };
  put("observedGeneration", deployment.generation());
  put("replicas", sum(all, "replicas"));
  put("updatedReplicas", sets.current ? sets.current->status()["replicas"].as_int() : 0);
  put("readyReplicas", sum(all, "readyReplicas"));
  put("availableReplicas", available);
  put("unavailableReplicas", wanted - available);
  if (const Value& count = deployment.status()["collisionCount"]; !count.is_null()) status.set("collisionCount", count);
  if (const Value& before = deployment.status()["conditions"]; !before.empty()) status.set("conditions", before);
  if (available >= deployment.spec()["replicas"].as_int(1) - fences(deployment).unavailable) {
    set_progress(status, "Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.", now);
  } else {
    set_progress(status, "Available", "False", "MinimumReplicasUnavailable",
                 "Deployment does not have minimum availability.", now);
  }
  return status;
}

Value rollout_status(const Object& deployment, const ReplicaSets& sets, Time now) {
  Value status = count_status(deployment, sets, now);
  if (!has_deadline(deployment)) drop_condition(status, "Progressing");
  const Value& progress = find_condition(status, "Progressing");
  const bool was_complete = status["replicas"].as_int() == status["updatedReplicas"].as_int() &&
                            progress["reason"].as_string() == kNewAvailable;
  if (has_deadline(deployment) && !was_complete) judge_progress(deployment, sets, status, now);
  if (const Value failure = replica_failure(sets); !failure.is_null()) {
    set_progress(status, "ReplicaFailure", failure["status"].as_string(), failure["reason"].as_string(),
                 failure["message"].as_string(), now);
  } else if (!find_condition(status, "ReplicaFailure").is_null()) {
    drop_condition(status, "ReplicaFailure");
  }
  return status;
}

std::optional<Duration> until_deadline(const Object& deployment, const Value& status, Time now) {
  const Value& progress = find_condition(status, "Progressing");
  if (!has_deadline(deployment) || progress.is_null() || is_complete(deployment, status)) return std::nullopt;
  if (progress["reason"].as_string() == kTimedOut) return std::nullopt;
  const auto from = parse_time(progress["lastUpdateTime"].as_string());
  if (!from) return std::nullopt;
  const Duration left = *from + std::chrono::seconds(deployment.spec()["progressDeadlineSeconds"].as_int()) - now;
  return std::max<Duration>(left, Duration(0)) + std::chrono::seconds(1);
}

}  // namespace caisson::controllers
