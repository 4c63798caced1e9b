// SPDX-License-Identifier: Apache-2.0
// The order in which go-yaml writes the keys of a map: digits by their number ("a2" before "a10"), letters after the
// rest.
#pragma once
#include <string_view>

#include "core/document/yaml.h"

namespace caisson::yaml {

// No strict weak order ("08", "0B1", "1E3" go round in a circle), so it must be used with std::stable_sort, which bears
// that.
bool key_before(std::string_view a, std::string_view b);

}  // namespace caisson::yaml
