// SPDX-License-Identifier: Apache-2.0
// A scalar of a pattern against a value: wildcards, "|" and "&", operators (> >= < <= !), ranges (1-5, 10!-20) over
// numbers, quantities and durations. Follows Kyverno 1.19, pkg/engine/pattern. Pure; any thread.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/quantity.h"
#include "core/document/value.h"

namespace caisson::policy {

// Read once, asked often. Does not change.
class ScalarPattern {
 public:
  explicit ScalarPattern(const Value& pattern);
  bool fits(const Value& value) const;

 private:
  enum class Relation : std::uint8_t { equal, not_equal, less, less_or_equal, greater, greater_or_equal };
  // What a value is compared with: as a duration or a quantity where it can be read as one, else as text.
  struct Operand {
    std::string text;
    bool has_wildcard = false;
    std::optional<Duration> duration;
    std::optional<Quantity> quantity;
  };
  struct Term {
    Relation relation = Relation::equal;
    Operand operand;
    std::optional<Operand> to;  // of a range; not_equal: outside of it
  };
  static Operand operand_of(std::string_view text);
  static Term term_of(std::string_view text);
  static bool holds(Relation relation, int order);
  static bool compare(const Value& value, const Operand& operand, Relation relation);
  static bool term_fits(const Value& value, const Term& term);
  bool string_fits(const Value& value) const;

  Value pattern_;
  std::vector<std::vector<Term>> alternatives_;  // of a text: one whose terms all hold is enough
};

bool scalar_fits(const Value& value, const Value& pattern);  // for a pattern that is met once
bool is_range(std::string_view text);                        // "1-5", "100Mi-1Gi"
// The operator that a pattern begins with (">=", "!", …), or "" for equality; of a range "".
std::string_view leading_operator(std::string_view pattern);

}  // namespace caisson::policy
