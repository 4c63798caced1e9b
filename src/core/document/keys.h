// SPDX-License-Identifier: Apache-2.0
// Names that are looked for in many maps: Value::find knows an interned one by its address. Any thread.
#pragma once
#include <string_view>

namespace caisson::document {

// The text as maps hold it as a key. Valid for ever, as the keys of every document are: for names of which there are
// few.
std::string_view interned_key(std::string_view name);

}  // namespace caisson::document
