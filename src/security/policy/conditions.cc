// SPDX-License-Identifier: Apache-2.0
#include "security/policy/conditions.h"

#include "security/policy/context.h"

namespace caisson::policy {
namespace {

void append(std::string& messages, std::string_view message) {
  if (message.empty()) return;
  if (!messages.empty()) messages += "; ";
  messages += message;
}

}  // namespace

Conditions::Condition::Condition(const Value& source, bool compiles)
    : key(source["key"], compiles),
      value(source["value"], compiles),
      op(parse_operator(source["operator"].as_string())),
      op_name(source["operator"]),
      message(source["message"]) {}

Result<bool> Conditions::Condition::holds(Context& context) const {
  const Value left = TRY(key.substitute(context).in("failed to substitute variables in condition key"));
  const Value right = TRY(value.substitute(context).in("failed to substitute variables in condition value"));
  if (!op) return Error{ErrorCode::bad_request, "unknown operator " + op_name.str()};
  return policy::holds(*op, left, right);
}

Result<ConditionOutcome> Conditions::Block::evaluate(Context& context) const {
  std::string when_true, when_false;
  bool any_holds = !has_any;
  for (const Condition& condition : any) {
    any_holds = TRY(condition.holds(context));
    append(any_holds ? when_true : when_false, condition.message.as_string());
    if (any_holds) break;
  }
  bool all_hold = true;
  for (const Condition& condition : all) {
    all_hold = TRY(condition.holds(context));
    append(all_hold ? when_true : when_false, condition.message.as_string());
    if (!all_hold) break;
  }
  const bool both = any_holds && all_hold;
  return ConditionOutcome{both, both ? std::move(when_true) : std::move(when_false)};
}

Conditions::Block Conditions::read_block(const Value& source, bool compiles) {
  Block block;
  block.has_any = !source["any"].is_null();
  for (const Value& condition : source["any"].items()) block.any.emplace_back(condition, compiles);
  for (const Value& condition : source["all"].items()) block.all.emplace_back(condition, compiles);
  return block;
}

Conditions::Conditions(const Value& conditions, bool compiles) {
  if (conditions.is_map()) blocks_.push_back(read_block(conditions, compiles));
  for (const Value& item : conditions.items()) {
    if (item.contains("any") || item.contains("all"))
      blocks_.push_back(read_block(item, compiles));
    else
      blocks_.emplace_back().all.emplace_back(item, compiles);
  }
}

Result<ConditionOutcome> Conditions::evaluate(Context& context) const {
  ConditionOutcome outcome;
  for (const Block& block : blocks_) {
    ConditionOutcome one = TRY(block.evaluate(context));
    if (!one.holds) return one;
    append(outcome.message, one.message);
  }
  return outcome;
}

Result<ConditionOutcome> evaluate_conditions(const Value& conditions, Context& context) {
  return Conditions::read(conditions).evaluate(context);
}

}  // namespace caisson::policy
