// SPDX-License-Identifier: Apache-2.0
// The admission plug-ins of the server itself, in the order in which they run. Each follows the upstream plug-in of its
// name.
#pragma once
#include <memory>
#include <vector>

#include "cluster/apiserver/admission.h"
#include "cluster/apiserver/authorizer.h"
#include "cluster/schema/schema.h"

namespace caisson::apiserver {

std::shared_ptr<Admission> make_namespace_lifecycle();
std::shared_ptr<Admission> make_service_account();
std::shared_ptr<Admission> make_pod_defaults();  // DefaultTolerationSeconds, Priority
std::shared_ptr<Admission>
make_object_defaults();  // what strategies fill: Namespace finalizers, CRD names, Job selectors …
std::shared_ptr<Admission> make_unserved_warnings();  // a Warning for kinds and fields that nothing acts on
std::shared_ptr<Admission> make_validating_admission_policy(store::Store& store, const schema::Schema& schema,
                                                            const Authorizer& authorizer);

}  // namespace caisson::apiserver
