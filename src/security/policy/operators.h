// SPDX-License-Identifier: Apache-2.0
// The operators of conditions: {key, operator, value}. Follows Kyverno 1.19, pkg/engine/variables/operator. Pure; any
// thread.
#pragma once
#include <optional>
#include <string_view>

#include "core/document/value.h"

namespace caisson::policy {

enum class Operator {
  equals,
  not_equals,
  in,
  not_in,
  any_in,
  all_in,
  any_not_in,
  all_not_in,
  greater,
  greater_or_equals,
  less,
  less_or_equals,
  duration_greater,
  duration_greater_or_equals,
  duration_less,
  duration_less_or_equals,
};
std::optional<Operator> parse_operator(std::string_view name);  // without regard to case

// Both sides have their variables substituted. What can't be compared does not hold.
bool holds(Operator op, const Value& key, const Value& value);

}  // namespace caisson::policy
