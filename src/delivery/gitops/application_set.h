// SPDX-License-Identifier: Apache-2.0
// ApplicationSet (argoproj.io/v1alpha1): Applications made from generators and a template, kept, changed and deleted
// with them, all at once or step by step (RollingSync). Follows Argo CD 3.0
// docs/operator-manual/applicationset/{Controlling-Resource-Modification,Progressive-Syncs}.md. The planning functions
// are pure.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "cluster/kube/reconciler.h"
#include "core/base/worker_pool.h"
#include "delivery/git/repositories.h"
#include "delivery/gitops/generators.h"

namespace caisson::gitops {

struct SetAction {
  enum class Verb { create, update, remove } verb;
  kube::Object object;
};
struct SetPlan {
  std::vector<SetAction> actions;
  std::vector<std::string> errors;  // conditions: two of one name, an Application that is not ours …
  std::string held;                 // the safety catch: why deletions are left out; empty: none are
};

// What makes `existing` (Applications in the set's namespace) the `desired` ones. `policy` is
// spec.syncPolicy.applicationsSync (sync where empty).
SetPlan plan_set(const kube::Object& set, const std::vector<Value>& desired, const std::vector<kube::Object>& existing);

// RollingSync: which step each Application is in, what its status.applicationStatus says, and who is to sync now.
struct RollingPlan {
  std::vector<Value> statuses;
  std::vector<kube::ObjectKey> to_sync;
  int step = 0;  // the first that is not done, from 1; 0: all are
};
RollingPlan plan_rolling(const kube::Object& set, const std::vector<kube::Object>& applications, Time now);

// "would create Applications a, b; would delete c": what a dry run says; so many names of each, then how many more.
std::string describe(const SetPlan& plan);

// On an ApplicationSet, "true": it changes no Application, and its condition ResourcesUpToDate says what it would do.
constexpr std::string_view kDryRunAnnotation = "caisson.dev/dry-run";

// Generators run on `workers`, some sets at once, and one that waits for a host holds up no other. Everything that
// `repositories` borrows, and `workers`, lives longer than the runtime.
void add_application_sets(kube::Runtime& runtime, WorkerPool& workers, const git::Repositories& repositories,
                          Duration poll_interval, bool push_events = true);

}  // namespace caisson::gitops
