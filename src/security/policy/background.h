// SPDX-License-Identifier: Apache-2.0
// Policies over what is there already: PolicyReports for each object, objects that generate rules ask for, and existing
// objects that mutate rules change. A reconciler of one key ("scan") that runs when a policy or a namespace changes,
// and every `interval`.
//
// Contract: writes PolicyReport and ClusterPolicyReport (named by the object's uid, label
// app.kubernetes.io/managed-by: kyverno), and what generate and mutate rules make, as field manager "caisson-policy".
#pragma once
#include <memory>

#include "cluster/kube/reconciler.h"
#include "security/policy/notices.h"
#include "security/policy/policies.h"

namespace caisson::policy {

struct BackgroundOptions {
  std::shared_ptr<Policies> policies;
  const ImageSource* images = nullptr;  // for context entries; may be null
  std::shared_ptr<Notices> notices;     // told of what scans find anew; may be null
  Duration interval = std::chrono::minutes(1);
  std::size_t objects_max = 20'000;  // looked at in one scan
};

// Keeps `policies` up to date from watches, and scans. Call once, before the runtime starts; `policies` lives on.
void add_policies(kube::Runtime& runtime, BackgroundOptions options);

}  // namespace caisson::policy
