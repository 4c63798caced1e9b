// SPDX-License-Identifier: Apache-2.0
// What every form of CEL policy shares: match conditions, variables, validations. Compiled once; any thread.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "security/policy/cel_environment.h"

namespace caisson::policy {

struct CelValidation {
  cel::Program expression;
  std::string message;
  std::optional<cel::Program> message_expression;
};

struct CelChecks {
  std::vector<cel::Program> conditions;
  std::vector<std::string> condition_names;
  CelVariables variables;
  std::vector<CelValidation> validations;
  bool reads_request = false, reads_namespace = false;  // whether any of them sees `request`, `namespaceObject`
  bool asks_world = false;                              // or what only a lookup can tell
  bool tells_message_errors =
      false;  // where a messageExpression fails, as Kyverno's own kinds do; else `message` stands
};
// `conditions`: [{name, expression}]; `variables`: the same; `validations`: [{expression, message, messageExpression}].
// Errors: invalid, which names the expression.
Result<CelChecks> compile_checks(const Value& conditions, const Value& variables, const Value& validations);

enum class CelVerdict { pass, fail, error, not_matched };
struct CelOutcome {
  CelVerdict verdict = CelVerdict::pass;
  std::string message;
  std::string expression;  // the validation that could not be evaluated
};
CelOutcome evaluate_checks(const CelChecks& checks, const CelInput& input);
// The first half of it: whether the match conditions hold (pass), or why not.
CelOutcome evaluate_match_conditions(const CelChecks& checks, const CelScope& scope);

}  // namespace caisson::policy
