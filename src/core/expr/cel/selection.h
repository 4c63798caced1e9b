// SPDX-License-Identifier: Apache-2.0
// One selection from a value, by a field's name, a key or an index; for the files of this folder. Pure; any thread.
#pragma once
#include <string>

#include "core/base/result.h"
#include "core/expr/cel/value.h"

namespace caisson::cel {

std::string shown_key(const Value& key);  // as messages show it

// on.key (`is_field`) or on[key]. `optional`: asked with '?', and what is absent is optional.none(), as it is of an
// optional. Errors: bad_request, in cel-go's words.
Result<Value> selected(const Value& on, const Value& key, bool optional, bool is_field);
// has(on.name).
Result<Value> has_selected(Value on, const Value& name);

}  // namespace caisson::cel
