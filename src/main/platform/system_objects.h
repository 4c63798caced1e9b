// SPDX-License-Identifier: Apache-2.0
// The objects by which pods and people reach this instance: Services git, registry and kube-dns with their
// EndpointSlices (and the kubernetes EndpointSlice), namespace argocd with its default project, and the administrator's
// token. Made when missing, corrected when wrong, at every start.
#pragma once
#include "cluster/kube/client.h"
#include "main/platform/instance.h"

namespace caisson::platform {

Result<void> ensure_system_objects(kube::Client& client, const Instance& instance);

}  // namespace caisson::platform
