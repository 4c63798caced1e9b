// SPDX-License-Identifier: Apache-2.0
// Deployment: rolls from one ReplicaSet to the next. The pure parts, which hold upstream's arithmetic to the letter;
// deployment.cc acts. Source: pkg/controller/deployment (rolling.go, recreate.go, sync.go, progress.go,
// util/deployment_util.go; v1.33).
#pragma once
#include <optional>
#include <vector>

#include "cluster/controllers/pods.h"
#include "cluster/kube/reconciler.h"

namespace caisson::controllers {

// How many pods may be too many, and how many too few, while rolling.
struct Fences {
  std::int64_t surge = 0, unavailable = 0;
};
Fences fences(const Object& deployment);
bool is_rolling(const Object& deployment);

// The ReplicaSets of a deployment, sorted by creation.
struct ReplicaSets {
  std::optional<Object> current;  // made from the present template
  std::vector<Object> old;
  std::vector<Object> all() const;
};
ReplicaSets sort_out(const Object& deployment, std::vector<Object> replica_sets);

struct Scale {
  Object replica_set;
  std::int64_t replicas = 0;
  bool operator==(const Scale&) const = default;
};

// How large the new ReplicaSet may be now.
std::int64_t new_replicas(const Object& deployment, const ReplicaSets& sets, std::int64_t present);
// One step of a rolling update: first the new one up, else the old ones down (the unhealthy first).
std::vector<Scale> plan_rolling(const Object& deployment, const ReplicaSets& sets);
// One step of a recreation: old ones down; the new one up when `old_pods_run` no more.
std::vector<Scale> plan_recreate(const Object& deployment, const ReplicaSets& sets, bool old_pods_run);
// The deployment's own size changed (or it is paused): in proportion.
std::vector<Scale> plan_scale(const Object& deployment, const ReplicaSets& sets);
bool is_scaling(const Object& deployment, const ReplicaSets& sets);
// Old ReplicaSets beyond revisionHistoryLimit.
std::vector<Object> plan_cleanup(const Object& deployment, const std::vector<Object>& old);

// Revision numbers live in annotations.
std::int64_t revision(const Object& object);
std::int64_t next_revision(const std::vector<Object>& old);
// Brings the annotations of `replica_set` in line with the deployment's; gives whether one changed.
bool annotate(const Object& deployment, Object& replica_set, std::int64_t new_revision, bool exists);
bool annotate_size(Object& replica_set, std::int64_t desired, std::int64_t most);
// A new ReplicaSet for the present template, without replicas.
Object make_replica_set(const Object& deployment, std::int64_t new_revision);

// --- deployment_status.cc
// Counts and the condition Available; other conditions are kept.
Value count_status(const Object& deployment, const ReplicaSets& sets, Time now);
// The whole: with the conditions Progressing and ReplicaFailure.
Value rollout_status(const Object& deployment, const ReplicaSets& sets, Time now);
bool is_complete(const Object& deployment, const Value& status);
// When the deadline must be looked at again; nothing when it need not.
std::optional<Duration> until_deadline(const Object& deployment, const Value& status, Time now);
// Deployment conditions keep their times as upstream keeps them: also lastUpdateTime. Gives whether it changed.
bool set_progress(Value& status, std::string_view type, std::string_view value, std::string_view reason,
                  std::string_view message, Time now);
const Value& find_condition(const Value& status, std::string_view type);
// Progressing is Unknown while paused, and again after. Gives whether it changed.
bool note_pause(const Object& deployment, Value& status, Time now);

void add_deployment(kube::Runtime& runtime);

}  // namespace caisson::controllers
