// SPDX-License-Identifier: Apache-2.0
// Private to the room: adds the reconciler that keeps a folder's static pods (static_pods.h).
#pragma once
#include <string>

#include "cluster/kube/reconciler.h"

namespace caisson::node {

void add_static_pods(kube::Runtime& runtime, const std::string& directory, const std::string& node);

}  // namespace caisson::node
