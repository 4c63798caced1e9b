// SPDX-License-Identifier: Apache-2.0
// "%s has %d".format([…]), by cel-go's ext/formatting. Any thread.
#pragma once
#include <string_view>

#include "core/expr/cel/value.h"

namespace caisson::cel {

// Errors: bad_request for clauses that are unknown, lack an argument or do not fit it.
Result<Value> format_text(std::string_view format, const Value& arguments);

}  // namespace caisson::cel
