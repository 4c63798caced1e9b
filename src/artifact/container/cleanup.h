// SPDX-License-Identifier: Apache-2.0
// Takes away whatever an instance left on the host: processes, containers, mounts, namespaces, cgroups. Needs no memory
// of what ran: it goes by the instance's cgroup name and by the directories below which everything was made. For
// `caisson down`, also after a crash.
#pragma once
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"

namespace caisson::container {

struct CleanupOptions {
  std::string cgroup_root;                    // "/caisson-<instance id>"
  std::string state_root;                     // "<data>/containers"
  std::vector<std::string> directories;       // below which mounts are taken down: the data directory
  Duration grace{};                           // between SIGTERM and SIGKILL; 0: SIGKILL at once
  std::vector<std::string> more_state_roots;  // of other nodes, whose cgroups are below cgroup_root
};
struct CleanupReport {
  int processes = 0, containers = 0, mounts = 0, cgroups = 0;
};
// Idempotent. Errors: unavailable, which names what is still there.
Result<CleanupReport> cleanup(const CleanupOptions& options);

}  // namespace caisson::container
