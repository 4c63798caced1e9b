// SPDX-License-Identifier: Apache-2.0
// PodDisruptionBudgets: how many of the Pods that a budget selects may be evicted now (kube-controller-manager's
// disruption controller, Kubernetes 1.33). The eviction sub-resource takes from what stands here.
#pragma once
#include "cluster/kube/reconciler.h"

namespace caisson::controllers {

struct DisruptionCount {
  std::int64_t expected = 0, desired_healthy = 0, current_healthy = 0;
  std::int64_t allowed() const;
};
// `expected_scale`: the replicas that the Pods' controllers want in all; `pods`: those that the budget selects.
// Disruptions that were taken and are not seen yet (`disrupted`: names) count as unhealthy.
DisruptionCount count_disruptions(const Value& spec, std::int64_t expected_scale, const std::vector<kube::Object>& pods,
                                  const Value& disrupted);

void add_disruption(kube::Runtime& runtime);

}  // namespace caisson::controllers
