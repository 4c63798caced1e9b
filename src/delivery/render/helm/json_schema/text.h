// SPDX-License-Identifier: Apache-2.0
// How the validator's messages show names, values and numbers. Pure; any thread.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/document/value.h"

namespace caisson::render::helm::json_schema {

std::string quoted(std::string_view text);  // 'it\'s'
std::string quoted_list(const std::vector<std::string>& texts);
std::string shown(const Value& value);           // scalars as they are, containers as "value"
std::string localized(double value);             // as golang.org/x/text prints for English: "1,234.5", "2×10⁰⁶"
std::string_view type_name(const Value& value);  // "null", "boolean", "number", "string", "array", "object"

}  // namespace caisson::render::helm::json_schema
