// SPDX-License-Identifier: Apache-2.0
// Linux capabilities by name (capabilities(7)). Kubernetes leaves out the prefix: "NET_BIND_SERVICE" and
// "CAP_NET_BIND_SERVICE" are one. Pure functions; any thread.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace caisson::container {

const std::vector<std::string>& all_capabilities();      // every one that the running kernel knows, "CAP_CHOWN" first
const std::vector<std::string>& default_capabilities();  // Docker's and containerd's fourteen
// `base` with `add` and without `drop`, in the kernel's order; "ALL" is every one. As the CRI has it: drop ALL, then
// add, gives what was added. Errors: invalid, which names the capability and what is near it.
Result<std::vector<std::string>> resolve_capabilities(const std::vector<std::string>& base,
                                                      const std::vector<std::string>& add,
                                                      const std::vector<std::string>& drop);

}  // namespace caisson::container
