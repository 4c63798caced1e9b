// SPDX-License-Identifier: Apache-2.0
// ValidatingAdmissionPolicy: writes into its status what type checking finds (apiserver/policy_types.h), once for each
// generation, as kube-controller-manager's validatingadmissionpolicy-status-controller does.
#pragma once
#include "cluster/kube/reconciler.h"
#include "cluster/schema/schema.h"

namespace caisson::controllers {

// `schema` must outlive the runtime.
void add_policy_status(kube::Runtime& runtime, const schema::Schema& schema);

}  // namespace caisson::controllers
