// SPDX-License-Identifier: Apache-2.0
#include "security/policy/conditions.h"

#include "security/policy/context.h"
#include "security/policy/operators.h"
#include "security/policy/variables.h"

namespace caisson::policy {
namespace {

void append(std::string& messages, const Value& message) {
  if (message.as_string().empty()) return;
  if (!messages.empty()) messages += "; ";
  messages += message.as_string();
}

Result<bool> condition_holds(const Value& condition, Context& context) {
  const Value key = TRY(substitute(condition["key"], context).in("failed to substitute variables in condition key"));
  const Value value =
      TRY(substitute(condition["value"], context).in("failed to substitute variables in condition value"));
  const auto op = parse_operator(condition["operator"].as_string());
  if (!op) return Error{ErrorCode::bad_request, "unknown operator " + condition["operator"].str()};
  return holds(*op, key, value);
}

Result<ConditionOutcome> block_holds(const Value& block, Context& context) {
  std::string when_true, when_false;
  bool any = block["any"].is_null();
  for (const Value& condition : block["any"].items()) {
    any = TRY(condition_holds(condition, context));
    append(any ? when_true : when_false, condition["message"]);
    if (any) break;
  }
  bool all = true;
  for (const Value& condition : block["all"].items()) {
    all = TRY(condition_holds(condition, context));
    append(all ? when_true : when_false, condition["message"]);
    if (!all) break;
  }
  return ConditionOutcome{any && all, any && all ? when_true : when_false};
}

}  // namespace

Result<ConditionOutcome> evaluate_conditions(const Value& conditions, Context& context) {
  if (conditions.is_map()) return block_holds(conditions, context);
  ConditionOutcome outcome;
  for (const Value& item : conditions.items()) {
    if (item.contains("any") || item.contains("all")) {
      auto block = TRY(block_holds(item, context));
      if (!block.holds) return block;
      append(outcome.message, Value(block.message));
      continue;
    }
    const bool held = TRY(condition_holds(item, context));
    if (!held) return ConditionOutcome{false, item["message"].str()};
    append(outcome.message, item["message"]);
  }
  return outcome;
}

}  // namespace caisson::policy
