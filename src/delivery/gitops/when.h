// SPDX-License-Identifier: Apache-2.0
// Conditions of notification triggers: "app.status.operationState.phase in ['Error', 'Failed'] and …". The part of
// expr-lang that Argo CD's catalogue of triggers uses: members (also ?.), indexes, literals, lists, ==, !=, <, <=, >,
// >=, in, not in, contains, startsWith, endsWith, and, or, not (&&, ||, !), + - * / of numbers, and of upstream's
// functions those of `time` and `strings` (util/notification/expression) with Go's methods Add, Sub, Before, After,
// Equal, Unix and Format of times and Hours, Minutes, Seconds of durations. What is not there reads as nil. Pure; any
// thread.
#pragma once
#include <string_view>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::gitops {

// `now`: what time.Now() gives. Errors: invalid, naming the place ("at 12: …"): what the language has but this does not
// is an error, too.
Result<Value> evaluate_when(std::string_view text, const Value& environment, Time now = {});

}  // namespace caisson::gitops
