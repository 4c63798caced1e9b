// SPDX-License-Identifier: Apache-2.0
// Linux capabilities by name (capabilities(7)). Kubernetes leaves out the prefix: "NET_BIND_SERVICE" and
// "CAP_NET_BIND_SERVICE" are one. Pure functions; any thread.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace caisson::container {

// Every one that the running kernel knows and this process may give (its bounding set), "CAP_CHOWN" first: what a
// privileged container and "ALL" get, as with containerd. One that is asked for by name is given or the start fails.
const std::vector<std::string>& all_capabilities();
const std::vector<std::string>& default_capabilities();  // Docker's and containerd's fourteen
// `base` with `add` and without `drop`, in the kernel's order; "ALL" is every one. As the CRI has it: drop ALL, then
// add, gives what was added. Errors: invalid, which names the capability and what is near it.
Result<std::vector<std::string>> resolve_capabilities(const std::vector<std::string>& base,
                                                      const std::vector<std::string>& add,
                                                      const std::vector<std::string>& drop);

}  // namespace caisson::container
