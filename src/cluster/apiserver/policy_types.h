// SPDX-License-Identifier: Apache-2.0
// Type checking of a ValidatingAdmissionPolicy: its expressions compiled with the types of the kinds that its
// constraints name, which tells of misspelt fields before a request meets them. Follows apiserver 1.33,
// pkg/admission/plugin/policy/validating/typechecking.go. Pure; any thread.
#pragma once
#include "cluster/schema/schema.h"
#include "core/document/value.h"

namespace caisson::apiserver {

// status.typeChecking: {expressionWarnings: [{fieldRef, warning}]}, or {} when nothing is wrong. Kinds that are named
// by wildcards or not known are not looked at, nor more than ten of a rule.
Value type_checking(const Value& policy, const schema::Schema& schema);

}  // namespace caisson::apiserver
