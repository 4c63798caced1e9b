// SPDX-License-Identifier: Apache-2.0
// eq, lt and their kin, and reflect.DeepEqual. Follows Go 1.26. Pure functions.
#pragma once
#include <span>

#include "core/base/result.h"
#include "core/expr/go_template/datum.h"

namespace caisson::go_template {

// a == b[0] || a == b[1] … Errors: invalid, in Go's words ("incompatible types for comparison: string and int").
Result<bool> equals_any(const Datum& a, std::span<const Datum> b);
Result<bool> is_less(const Datum& a, const Datum& b);
bool deep_equal(const Datum& a, const Datum& b);
bool same_interface(const Datum& a, const Datum& b);  // Go's == of two interfaces that hold comparable values

}  // namespace caisson::go_template
