// SPDX-License-Identifier: Apache-2.0
// Conditions of notification triggers: "app.status.operationState.phase in ['Error', 'Failed'] and …". The part of
// expr-lang that Argo CD's catalogue of triggers uses: members (also ?.), indexes, literals, lists, ==, !=, <, <=, >,
// >=, in, not in, contains, startsWith, endsWith, and, or, not (&&, ||, !). What is not there reads as nil. Pure; any
// thread.
#pragma once
#include <string_view>

#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::gitops {

// Errors: invalid, naming the place ("at 12: …"): what the language has but this does not is an error, too.
Result<Value> evaluate_when(std::string_view text, const Value& environment);

}  // namespace caisson::gitops
