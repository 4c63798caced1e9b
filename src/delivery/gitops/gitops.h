// SPDX-License-Identifier: Apache-2.0
// GitOps: Applications (argoproj.io/v1alpha1) made true. A reconciler on kube::Client: it renders what a repository
// says, compares it with what is live, and applies the difference by phases and waves; App of Apps is Applications
// among the rendered objects.
//
// Follows Argo CD 3.0 (fields of spec and status, phases, waves, hooks, delete policies, tracking by annotation,
// health). Invariant: one Application's failure is a condition on it and touches no other. Threads: add_gitops once,
// before the runtime starts.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cluster/kube/reconciler.h"
#include "cluster/schema/schema.h"
#include "core/base/trace.h"
#include "core/base/worker_pool.h"
#include "delivery/git/repositories.h"
#include "delivery/gitops/chart_source.h"

namespace caisson::gitops {

// Started when they are needed: idle, none; at work some four (lanes.h).
inline constexpr int kGitopsThreads = 31;

inline constexpr std::string_view kFieldManager = "caisson-gitops";

// What would be said of an object if it were applied now. This room knows no policies: who composes the program fills
// it in. Both functions are called from any thread.
struct ForeseenViolation {
  std::string policy, rule, message;
  bool enforced = false;  // the object would be refused
};
struct PreSyncVerdict {
  std::function<std::uint64_t()> generation;  // changes whenever the answer may; unset: nothing is asked
  std::function<std::vector<ForeseenViolation>(const Value& object)> of;
};

struct GitopsOptions {
  git::Repositories& repositories;
  WorkerPool& workers;  // where rendering runs and notifications are sent: kGitopsThreads
  SpanSink& spans;
  const schema::Schema& schema;                      // defaults, for comparing
  Duration poll_interval = std::chrono::minutes(3);  // when no PushEvent tells of a change
  Duration render_time_max = std::chrono::minutes(1);
  std::string kube_version = "v1.33.1";   // what charts see as .Capabilities.KubeVersion
  OwnRegistry own_registry = {};          // where "oci://" of our own registry is read
  bool push_events = true;                // whether the API has the git room's PushEvents
  std::string home_namespace = "argocd";  // Applications here are tracked by their bare name, as upstream does
  PreSyncVerdict verdict = {};            // an Application shows what it says; an enforced violation stops the sync
};

// Everything that `options` borrows lives longer than the runtime.
void add_gitops(kube::Runtime& runtime, GitopsOptions options);

}  // namespace caisson::gitops
