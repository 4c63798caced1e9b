// SPDX-License-Identifier: Apache-2.0
// When does an Application sync by itself, and what becomes of an operation that failed. Follows argo-cd
// controller/appcontroller.go (autoSync, processRequestedAppOperation). Pure; any thread.
#pragma once
#include <string>

#include "delivery/gitops/observe.h"

namespace caisson::gitops {

struct AutoSync {
  bool wanted = false;
  bool heal = false;  // the revision was synced before; live objects drifted
  std::string error;  // SyncError condition: why it does not
};
AutoSync decide_auto_sync(const Application& application, const Value& status, const Observation& observation,
                          const std::string& commit);

// The operation that auto-sync begins: what a person would write into `operation`.
Value auto_operation(const Application& application, const std::string& commit);

// Waits between repeated self-heals of one Application: none for the first twenty within a minute, then growing while
// somebody keeps fighting it, to a minute at most.
class HealBackoff {
 public:
  // How long to wait before healing at `now`; zero: heal now (and it is counted).
  Duration next(Duration now);

 private:
  int attempts_ = 0;
  Duration last_{0};
};

}  // namespace caisson::gitops
