// SPDX-License-Identifier: Apache-2.0
// spec.schemaValidation: whether what a policy writes into objects are fields that their kinds have. Pure; any thread.
#pragma once
#include "core/base/result.h"
#include "security/policy/policy.h"

namespace caisson::policy {

// Of strategic merges alone (patches by path and kinds of other APIs are left to the API server, which sees the
// object), and of nothing where the policy says schemaValidation: false. Errors: invalid, which names the rule and the
// field.
Result<void> check_fields(const Policy& policy);

}  // namespace caisson::policy
