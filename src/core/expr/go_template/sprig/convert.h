// SPDX-License-Identifier: Apache-2.0
// How Sprig's functions see their arguments: spf13/cast 1.7 for numbers, Sprig 3.3 for strings and emptiness. Any
// thread.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/expr/go_template/datum.h"
#include "core/expr/go_template/function.h"

namespace caisson::go_template::sprig {

Error invalid(std::string message);
// What Go says when a function asks an untyped nil for its type.
Error nil_dereference();

std::int64_t to_int64(const Datum& datum);  // what is no number is 0
double to_double(const Datum& datum);
Result<std::string> to_string(const Datum& datum);                // strval
Result<std::vector<std::string>> to_strings(const Datum& datum);  // strslice
bool is_empty(const Datum& datum);
bool is_nil(const Datum& datum);  // a nil interface {}
bool is_list(const Datum& datum);
// A []interface {} or a slice of another type; `does` is Sprig's verb ("Cannot push on type %s").
Result<std::vector<Datum>> items_of(const Datum& datum, std::string_view does);

Datum list(std::vector<Datum> items);
Datum nil_list();

}  // namespace caisson::go_template::sprig
