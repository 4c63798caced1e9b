// SPDX-License-Identifier: Apache-2.0
// What server and agent have in common as processes: signals come through wait_for_end, and both end when the
// supervisor dies.
#pragma once
#include "core/base/file.h"
#include "core/base/result.h"

namespace caisson::platform {

class ProcessRole {
 public:
  // Call before any thread is started: it blocks SIGTERM and SIGINT for all of them.
  static Result<ProcessRole> enter();
  void wait_for_end();  // until SIGTERM or SIGINT

 private:
  explicit ProcessRole(UniqueFd signals) : signals_(std::move(signals)) {}
  UniqueFd signals_;
};

}  // namespace caisson::platform
