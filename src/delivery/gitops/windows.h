// SPDX-License-Identifier: Apache-2.0
// Sync windows of an AppProject: when an Application may be synced, by itself and by hand. Follows Argo CD 3.0
// docs/user-guide/sync_windows.md. Pure; any thread.
#pragma once
#include <string>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "delivery/gitops/application.h"

namespace caisson::gitops {

struct WindowVerdict {
  bool automated = true, manual = true;
  std::string reason;             // "Sync window: … denies"; empty when both may
  std::optional<Time> next_look;  // when an active window ends or one begins
};

// `project` may be null. Errors: invalid, for a schedule, duration or time zone that can't be read.
Result<WindowVerdict> check_windows(const Application& application, const kube::Object* project, Time now);

// Whether a window of spec.syncWindows is open. Errors: as above, and for one that says nothing of whom it is for.
Result<bool> window_is_open(const Value& window, Time now);

}  // namespace caisson::gitops
