// SPDX-License-Identifier: Apache-2.0
// The letters of Function::parameters, and how values are made to fit them. Follows text/template's validateType.
#pragma once
#include <string>
#include <string_view>

#include "core/expr/go_template/datum.h"

namespace caisson::go_template {

struct Signature {
  std::string_view letters;  // without the '*'
  bool variadic;

  std::size_t size() const { return letters.size(); }
  std::size_t fixed() const { return letters.size() - (variadic ? 1 : 0); }
  char letter(std::size_t index) const { return index < letters.size() ? letters[index] : letters.back(); }
};
Signature signature(std::string_view parameters);

std::string_view parameter_name(char letter);  // Go's: "map[string]interface {}"
bool can_be_nil(char letter);
Datum zero_of(char letter);                           // REQUIRES: can_be_nil(letter)
bool is_assignable(const Datum& datum, char letter);  // REQUIRES: datum.is_valid()

}  // namespace caisson::go_template
