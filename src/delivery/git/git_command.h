// SPDX-License-Identifier: Apache-2.0
// Running the git program apart from the host's configuration, and making bare repositories. Internal to the room. Any
// thread.
#pragma once
#include <string>
#include <vector>

#include "core/base/process.h"

namespace caisson::git {

// `arguments` begins with "git"; the command runs in `directory` (a bare repository).
Command git_command(std::vector<std::string> arguments, const std::string& directory);

// A bare repository that appears at `path` whole or not at all; fine when it is there. Durable pushes, no hooks, no
// automatic gc.
Result<void> make_bare_repository(const std::string& path, const std::string& default_branch);

}  // namespace caisson::git
