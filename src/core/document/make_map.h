// SPDX-License-Identifier: Apache-2.0
// Making maps at once, for who makes many of them: Value::set looks for the key and makes room with each member. Any
// thread.
#pragma once
#include <string_view>
#include <vector>

#include "core/document/value.h"

namespace caisson::document {

// The one copy of a map's key; valid for ever. Keys come from schemas and manifests, so the table stays small.
std::string_view intern(std::string_view key);

// The map of `entries`, whose keys are interned and differ, in one allocation.
Value map_of(std::vector<MapEntry> entries);

}  // namespace caisson::document
