// SPDX-License-Identifier: Apache-2.0
// Violations told: as Events, and to a Slack-compatible webhook whose URL a Secret holds. Told once: the same violation
// of the same thing is held back for an hour and then told with how often it came. A reconciler of one key.
//
// Contract: reads Secret caisson-system/policy-notifications (member `url`; without it only Events are written); writes
// Events with reason PolicyViolation, and PolicyDeleted when somebody removes a policy.
#pragma once
#include <memory>
#include <string>

#include "cluster/kube/reconciler.h"
#include "core/base/worker_pool.h"

namespace caisson::policy {

struct Violation {
  std::string policy, rule, message;
  Value policy_object;   // apiVersion, kind, metadata
  Value object;          // of a refused request what was asked for
  bool blocked = false;  // the request was refused: the object is not there
  std::string user;      // who asked; empty in the background
};

// Takes violations from admission and from scans. Any thread; never blocks, drops what comes too fast (and counts it).
class Notices {
 public:
  Notices();
  ~Notices();
  void violation(Violation violation);
  // A policy was removed by somebody.
  void policy_deleted(const Value& policy, const std::string& user);

  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

struct NoticeOptions {
  std::shared_ptr<Notices> notices;
  WorkerPool* workers = nullptr;  // where the webhook is called; null: in the reconciler (tests)
  std::string secret_namespace = "caisson-system", secret_name = "policy-notifications";
  Duration quiet = std::chrono::hours(1);
};
// Call once, before the runtime starts.
void add_notices(kube::Runtime& runtime, NoticeOptions options);

}  // namespace caisson::policy
