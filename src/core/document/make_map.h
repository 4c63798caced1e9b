// SPDX-License-Identifier: Apache-2.0
// Making maps at once, for who makes many of them: Value::set looks for the key and makes room with each member. Any
// thread.
#pragma once
#include <string_view>
#include <vector>

#include "core/document/keys.h"
#include "core/document/value.h"

namespace caisson::document {

// The map of `entries`, whose keys are interned and differ, in one allocation.
Value map_of(std::vector<MapEntry> entries);

}  // namespace caisson::document
