// SPDX-License-Identifier: Apache-2.0
// The step program of a pipeline: kaniko's executor by its command line (GoogleContainerTools/kaniko v1.23), but the
// building is done by the agent: this uploads the context, creates a Build, follows it, and tags the result. Runs as a
// process of its own, in a pod.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "core/base/result.h"

namespace caisson::build {

struct ExecutorFlags {
  std::string dockerfile = "Dockerfile", context = "/workspace", sub_path, target, digest_file;
  std::vector<std::string> destinations;
  std::vector<std::pair<std::string, std::string>> build_args, labels;
  bool cache = true, no_push = false;
  bool operator==(const ExecutorFlags&) const = default;
};

// Errors: bad_request, which names the flag.
Result<ExecutorFlags> parse_executor_flags(const std::vector<std::string>& args);

// The whole program. `args` without the program's name. Gives the exit status: 0, or 1 with the reason on standard
// error.
int executor_main(const std::vector<std::string>& args);

}  // namespace caisson::build
