// SPDX-License-Identifier: Apache-2.0
// What a sync does, in which order: phases (PreSync, Sync, PostSync, SyncFail), waves inside a phase, kinds inside a
// wave, deletions last and backwards. Follows gitops-engine/pkg/sync (sync_tasks.go, sync_phase.go, hook/) of Argo
// CD 3.0. Pure; any thread.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/document/value.h"
#include "delivery/gitops/application.h"
#include "delivery/gitops/compare.h"
#include "delivery/gitops/health.h"

namespace caisson::gitops {

enum class Phase { pre_sync, sync, post_sync, sync_fail, pre_delete, post_delete };
std::string_view phase_name(Phase phase);  // "PreSync"

enum class DeletePolicy { before_creation, succeeded, failed };

// One hook may run in several phases.
bool is_hook(const Value& object);
std::vector<Phase> hook_phases(const Value& object);  // empty for what is skipped (hook: Skip)
std::vector<DeletePolicy> delete_policies(const Value& object);
int wave_of(const Value& object);

// One object of the comparison.
struct Resource {
  ResourceId id;
  std::string version;
  std::optional<Value> desired;  // prepared; absent: to be pruned
  std::optional<Value> live;
  Drift drift;
  std::optional<Health> health;  // of the live object; none: its kind has none
  std::string shared_with;       // another Application that tracks it; empty: none
  bool synced() const { return desired && live && !drift.any(); }
};

struct Task {
  Phase phase = Phase::sync;
  int wave = 0;
  bool prune = false, hook = false;
  bool last = false;     // a prune after everything else (PruneLast)
  bool confirm = false;  // Prune=confirm: somebody has to agree
  ResourceId id;
  Value object;                 // to apply; of a prune: the live object
  bool skip = false;            // nothing to write: already as desired, or pruning is not allowed
  std::string skipped_because;  // "unchanged", "ignored (requires pruning)"
};

struct PlanOptions {
  bool prune = false, prune_last = false, out_of_sync_only = true, hooks = true;
  std::vector<Value> selected;   // operation.sync.resources: {group, kind, name, namespace}; empty: all
  std::string create_namespace;  // CreateNamespace=true: the destination's
  Value namespace_metadata;      // managedNamespaceMetadata
  std::string revision;          // for generated names of hooks
  std::int64_t started_seconds = 0;
};

// Steps in order; the tasks of a step are applied together (one transaction where possible). SyncFail steps are not
// among them.
struct Step {
  Phase phase;
  int wave;
  bool prune, last;
  std::vector<Task> tasks;
};
std::vector<Step> plan_sync(const std::vector<Resource>& resources, const std::vector<Value>& hooks,
                            const PlanOptions& options);
std::vector<Task> phase_hooks(const std::vector<Value>& hooks, Phase phase, const PlanOptions& options);
std::vector<Task> fail_hooks(const std::vector<Value>& hooks, const PlanOptions& options);

// Sorts as upstream: by kind (Namespace, … Deployment, … Ingress, …), then by name.
bool kind_before(const ResourceId& a, const ResourceId& b);

}  // namespace caisson::gitops
