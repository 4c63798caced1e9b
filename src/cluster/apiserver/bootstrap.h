// SPDX-License-Identifier: Apache-2.0
// What must be there before anybody asks: namespaces, cluster roles and bindings (upstream's, as far as somebody uses
// them, and ours), the kubernetes Service. Idempotent: what is there is left as it is, missing rules of built-in roles
// are added.
#pragma once
#include "cluster/apiserver/core.h"

namespace caisson::apiserver {

inline constexpr std::string_view kAggregationManager = "clusterrole-aggregation-controller";

Result<void> make_bootstrap_objects(Core& core);
// Fills every ClusterRole that has an aggregationRule from those that it selects. Called after a ClusterRole was
// written.
Result<void> aggregate_cluster_roles(Core& core);

}  // namespace caisson::apiserver
