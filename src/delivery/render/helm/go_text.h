// SPDX-License-Identifier: Apache-2.0
// How Go writes scalars, where Helm's output or messages show it. Pure; any thread.
#pragma once
#include <string>
#include <string_view>

#include "core/document/value.h"

namespace caisson::render::helm {

std::string go_float(double value);            // %v and strconv's 'g': "80", "1e+06", "0.5"
std::string go_quote(std::string_view text);   // %q
std::string go_text(const Value& value);       // %v of decoded JSON: "<nil>", "map[a:1]", "[a b]"
std::string go_json_kind(const Value& value);  // as encoding/json's errors name it: "object", "array", "number" …

}  // namespace caisson::render::helm
