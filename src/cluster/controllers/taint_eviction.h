// SPDX-License-Identifier: Apache-2.0
// Eviction by NoExecute taints: a pod leaves a node whose taint it does not tolerate, at once or when its
// tolerationSeconds are over. Source: pkg/controller/tainteviction/taint_eviction.go (v1.33).
#pragma once
#include <optional>

#include "cluster/controllers/pods.h"
#include "cluster/kube/reconciler.h"

namespace caisson::controllers {

// How long a pod with `tolerations` may stay on a node with `taints` after these came; nothing: for ever. Only taints
// of effect NoExecute count.
std::optional<Duration> stays_for(const Value& taints, const Value& tolerations);
// When the oldest NoExecute taint came (timeAdded); nothing when none says so.
std::optional<Time> tainted_since(const Value& taints);

void add_taint_eviction(kube::Runtime& runtime);

}  // namespace caisson::controllers
