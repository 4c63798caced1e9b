// SPDX-License-Identifier: Apache-2.0
// Removes what policies say is to go, when they say: CleanupPolicy, ClusterCleanupPolicy, DeletingPolicy and
// NamespacedDeletingPolicy by their schedules, and objects whose label cleanup.kyverno.io/ttl has run out. Follows
// Kyverno 1.19, cmd/cleanup-controller. A time that was missed is made up for once.
//
// Contract: writes status.lastExecutionTime of the policies and Events (PolicyApplied, PolicyError); deletes with the
// uid and resourceVersion that it looked at.
#pragma once
#include <memory>

#include "cluster/kube/reconciler.h"
#include "security/policy/deadlines.h"

namespace caisson::policy {

class ImageSource;

struct CleanupOptions {
  Duration ttl_interval = std::chrono::minutes(1);  // between looks at all objects
  std::shared_ptr<Deadlines> deadlines;             // those of objects written meanwhile; may be null
  const ImageSource* images = nullptr;              // for context entries; may be null
};

// Call once, before the runtime starts, which `deadlines` does not call any more once it has ended.
void add_cleanup(kube::Runtime& runtime, CleanupOptions options = {});

}  // namespace caisson::policy
