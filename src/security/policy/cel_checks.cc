// SPDX-License-Identifier: Apache-2.0
#include "security/policy/cel_checks.h"

#include <algorithm>

namespace caisson::policy {
namespace {

Result<cel::Program> compile(const Value& text, std::string_view field) {
  auto program = cel_environment().compile(text.as_string());
  if (program.ok()) return program;
  return Error{ErrorCode::invalid, std::string(field) + ": " + program.error().message};
}

// What is known to give something else can't decide.
Result<cel::Program> compile_condition(const Value& text, std::string_view field) {
  auto program = TRY(compile(text, field));
  const cel::TypeKind kind = program.result_type().kind();
  if (kind == cel::TypeKind::boolean || kind == cel::TypeKind::dyn) return program;
  return Error{ErrorCode::invalid, std::string(field) + ": \"" + text.str() + "\" is " + program.result_type().str() +
                                       ", output is expected to be of type bool"};
}

bool reads_name(const CelChecks& checks, std::string_view name) {
  const auto reads = [&](const cel::Program& program) { return program.uses(name); };
  return std::any_of(checks.conditions.begin(), checks.conditions.end(), reads) ||
         std::any_of(checks.variables.begin(), checks.variables.end(),
                     [&](const auto& variable) { return reads(variable.second); }) ||
         std::any_of(checks.validations.begin(), checks.validations.end(), [&](const CelValidation& validation) {
           return reads(validation.expression) ||
                  (validation.message_expression && reads(*validation.message_expression));
         });
}

std::string message_of(const CelValidation& validation, const CelScope& scope, bool tells_errors) {
  if (validation.message_expression) {
    const auto text = scope.evaluate(*validation.message_expression);
    if (text.ok() && text->is(cel::Kind::string)) return std::string(text->as_string());
    if (!text.ok() && tells_errors) return "failed to evaluate message expression: " + text.error().message;
  }
  if (!validation.message.empty()) return validation.message;
  return "failed expression: " + validation.expression.text();
}

}  // namespace

Result<CelChecks> compile_checks(const Value& conditions, const Value& variables, const Value& validations) {
  CelChecks checks;
  for (const Value& condition : conditions.items()) {
    checks.conditions.push_back(
        TRY(compile_condition(condition["expression"], "matchConditions." + condition["name"].str())));
    checks.condition_names.push_back(condition["name"].str());
  }
  for (const Value& variable : variables.items()) {
    auto program = TRY(compile(variable["expression"], "variables." + variable["name"].str()));
    checks.variables.emplace_back(variable["name"].str(), std::move(program));
  }
  for (const Value& validation : validations.items()) {
    CelValidation one{
        TRY(compile_condition(validation["expression"], "validations.expression")), validation["message"].str(), {}};
    if (!validation["messageExpression"].as_string().empty())
      one.message_expression = TRY(compile(validation["messageExpression"], "validations.messageExpression"));
    checks.validations.push_back(std::move(one));
  }
  checks.reads_request = reads_name(checks, "request");
  checks.reads_namespace = reads_name(checks, "namespaceObject");
  checks.asks_world = std::any_of(std::begin(kCelReceivers), std::end(kCelReceivers),
                                  [&](std::string_view name) { return reads_name(checks, name); });
  return checks;
}

CelOutcome evaluate_match_conditions(const CelChecks& checks, const CelScope& scope) {
  std::string failed_condition;
  for (const cel::Program& condition : checks.conditions) {
    const auto holds = scope.holds(condition);
    if (!holds.ok())
      failed_condition = holds.error().message;
    else if (!*holds)
      return {CelVerdict::not_matched, "match conditions not met", ""};
  }
  if (!failed_condition.empty())
    return {CelVerdict::error, "failed to evaluate match conditions: " + failed_condition, ""};
  return {};
}

CelOutcome evaluate_checks(const CelChecks& checks, const CelInput& input) {
  const CelScope scope(input, checks.variables);
  CelOutcome matched = evaluate_match_conditions(checks, scope);
  if (matched.verdict != CelVerdict::pass) return matched;
  for (const CelValidation& validation : checks.validations) {
    const auto holds = scope.holds(validation.expression);
    if (!holds.ok()) return {CelVerdict::error, holds.error().message, validation.expression.text()};
    if (!*holds) return {CelVerdict::fail, message_of(validation, scope, checks.tells_message_errors), ""};
  }
  return {};
}

}  // namespace caisson::policy
