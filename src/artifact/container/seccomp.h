// SPDX-License-Identifier: Apache-2.0
// The default seccomp profile: an allow-list with the semantics of Docker's and containerd's default profile (moby 25,
// containerd 1.7), kept as compact data. What a capability allows is added with it; clone3 is answered with ENOSYS
// unless CAP_SYS_ADMIN is held, so that glibc falls back to clone, whose flags can be filtered. Pure functions; any
// thread.
#pragma once
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::container {

// The `linux.seccomp` member of an OCI runtime configuration for a process that holds `capabilities`.
Value default_seccomp(const std::vector<std::string>& capabilities);
// A profile in Docker's JSON format (includes and excludes by capability resolved) as OCI wants it. Errors: invalid
// with the path.
Result<Value> seccomp_from_profile(const Value& profile, const std::vector<std::string>& capabilities);

}  // namespace caisson::container
