// SPDX-License-Identifier: Apache-2.0
// ReplicaSet and ReplicationController: keep so many pods of one template. Source: pkg/controller/replicaset and
// pkg/controller/replication (v1.33), which are one there too.
#pragma once
#include <memory>
#include <vector>

#include "cluster/controllers/pods.h"
#include "cluster/kube/reconciler.h"

namespace caisson::controllers {

struct ReplicaSetPlan {
  std::int64_t create = 0;
  std::vector<Object> remove;
};
// `pods`: the active pods of the set; `siblings`: those of all ReplicaSets of the same owner, by which crowded nodes
// are relieved first.
ReplicaSetPlan plan_replicas(const Object& replica_set, const std::vector<Object>& pods,
                             const std::vector<Object>& siblings, Time now);
// The status that `pods` give; `failure` is why the last change was not made, empty when it was.
Value replica_set_status(const Object& replica_set, const std::vector<Object>& pods, std::string_view failure_reason,
                         std::string_view failure, Time now);

void add_replica_set(kube::Runtime& runtime);
void add_replication_controller(kube::Runtime& runtime);

}  // namespace caisson::controllers
