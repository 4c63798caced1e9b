// SPDX-License-Identifier: Apache-2.0
// A scalar of a pattern against a value: wildcards, "|" and "&", operators (> >= < <= !), ranges (1-5, 10!-20) over
// numbers, quantities and durations. Follows Kyverno 1.19, pkg/engine/pattern. Pure; any thread.
#pragma once
#include <string_view>

#include "core/document/value.h"

namespace caisson::policy {

bool scalar_fits(const Value& value, const Value& pattern);
bool is_range(std::string_view text);  // "1-5", "100Mi-1Gi"
// The operator that a pattern begins with (">=", "!", …), or "" for equality; of a range "".
std::string_view leading_operator(std::string_view pattern);

}  // namespace caisson::policy
