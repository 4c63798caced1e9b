// SPDX-License-Identifier: Apache-2.0
// The end of restartable init containers. Pure function; any thread. Source: KEP-753, "Pod termination".
#pragma once
#include <optional>
#include <string>

#include "machine/node/plan.h"

namespace caisson::node {

// Which sidecar ends next: they end one after another, in the reverse of their order. Nothing when none runs.
std::optional<std::string> last_running_sidecar(const kube::Object& pod, const PodState& state);

}  // namespace caisson::node
