// SPDX-License-Identifier: Apache-2.0
// Conditions: {any, all}, a list of those, or a plain list that must all hold. Follows Kyverno 1.19,
// pkg/engine/variables/evaluate.go. One thread, as its Context.
#pragma once
#include <string>

#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::policy {

class Context;

struct ConditionOutcome {
  bool holds = true;
  std::string message;  // of the conditions that decided it
};
// No conditions hold. Errors: of the variables.
Result<ConditionOutcome> evaluate_conditions(const Value& conditions, Context& context);

}  // namespace caisson::policy
