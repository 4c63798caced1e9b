// SPDX-License-Identifier: Apache-2.0
// ResourceQuota: counts what a quota's namespace uses into its status, as kube-controller-manager's resourcequota does.
// Admission counts what comes (apiserver/admit_quota.cc); this counts what went, and new quotas.
#pragma once
#include "cluster/kube/reconciler.h"

namespace caisson::controllers {

void add_resource_quota(kube::Runtime& runtime);

}  // namespace caisson::controllers
