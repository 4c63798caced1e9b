// SPDX-License-Identifier: Apache-2.0
// TOML 1.0 as BurntSushi/toml 1.6 reads and writes it. Pure functions; any thread.
#pragma once
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/expr/go_template/datum.h"

namespace caisson::go_template {

// Tables in the order of their keys, plain members before tables. Errors: invalid, for what is no table at the top, and
// for members that TOML has no form for (a null in a list).
Result<std::string> toml_text(const Datum& datum);

// A table. Integers are int64, floats float64, dates text as they are written.
// Errors: invalid "toml: line 1 (last key \"a\"): …".
Result<Value> parse_toml(std::string_view text);

}  // namespace caisson::go_template
