// SPDX-License-Identifier: Apache-2.0
// Conditions: {any, all}, a list of those, or a plain list that must all hold. Follows Kyverno 1.19,
// pkg/engine/variables/evaluate.go. Conditions do not change once read; evaluating belongs to one thread, as its
// Context.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/document/value.h"
#include "security/policy/operators.h"
#include "security/policy/variables.h"

namespace caisson::policy {

class Context;

struct ConditionOutcome {
  bool holds = true;
  std::string message;  // of the conditions that decided it
};

class Conditions {
 public:
  Conditions() = default;  // none: they hold
  static Conditions read(const Value& conditions) { return Conditions(conditions, false); }
  // For those that are asked often: their variables are compiled, too.
  static Conditions compile(const Value& conditions) { return Conditions(conditions, true); }

  Result<ConditionOutcome> evaluate(Context& context) const;  // Errors: of the variables
  bool empty() const { return blocks_.empty(); }

 private:
  struct Condition {
    Condition(const Value& source, bool compiles);
    Result<bool> holds(Context& context) const;
    Template key, value;
    std::optional<Operator> op;  // empty: not known
    Value op_name, message;
  };
  struct Block {
    std::vector<Condition> any, all;
    bool has_any = false;  // an empty list of alternatives holds for nobody
    Result<ConditionOutcome> evaluate(Context& context) const;
  };
  Conditions(const Value& conditions, bool compiles);
  static Block read_block(const Value& source, bool compiles);
  std::vector<Block> blocks_;
};

// Of conditions that are met once.
Result<ConditionOutcome> evaluate_conditions(const Value& conditions, Context& context);

}  // namespace caisson::policy
