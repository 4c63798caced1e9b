// SPDX-License-Identifier: Apache-2.0
// Keys of maps. Value::find knows an interned one by its address: for names that are looked for in many maps. Any
// thread.
#pragma once
#include <string_view>

namespace caisson::document {

// The one copy of a map's key; valid for ever. Keys come from schemas and manifests, so the table stays small.
std::string_view intern(std::string_view key);

}  // namespace caisson::document
