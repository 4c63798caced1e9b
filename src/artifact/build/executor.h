// SPDX-License-Identifier: Apache-2.0
// The program behind a kaniko-style step: this binary under the name /kaniko/executor, inside a pod, with the pod's ServiceAccount and
// nothing else. It sends its context to the registry as a blob, creates a Build, prints the build's log as it comes, and puts the image
// under each destination by the registry's protocol, where the rights on it are checked (docs/adr/0004-build-is-an-object.md).
// Flags follow kaniko 1.23; one that isn't understood is refused by name. One thread.
#pragma once
#include <string>
#include <vector>

#include "core/base/result.h"

namespace caisson::build {

struct ExecutorFlags {
  std::string context = "/workspace", context_sub_path, dockerfile = "Dockerfile", target, digest_file;
  std::vector<std::string> destinations, build_args, labels;
  bool push = true, cache = true;
};

// Errors: bad_request, which names the flag.
Result<ExecutorFlags> parse_executor_flags(const std::vector<std::string>& args);

// Gives the exit status; what went wrong is on standard error.
int executor_main(const std::vector<std::string>& args);

}  // namespace caisson::build
