// SPDX-License-Identifier: Apache-2.0
// Files that are taken away only when nobody counts on them: who does touches them, in any process. What is to go is
// put aside first; then its age decides, so that a touch is never lost between looking and removing. Of this room only.
#pragma once
#include <string>

#include "core/base/clock.h"
#include "core/base/result.h"

namespace caisson::content {

// Sets the time of a file or directory to now; false when it is absent.
bool touch_file(const std::string& path);

// Renames `path` to `aside` (on the same file system) when nobody touched it after `than`. False when somebody did, or
// when it is absent.
Result<bool> put_aside_if_older(const std::string& path, const std::string& aside, Time than);
// The same, and it is gone for good.
Result<bool> remove_file_if_older(const std::string& path, const std::string& aside, Time than);

}  // namespace caisson::content
