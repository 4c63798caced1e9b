// SPDX-License-Identifier: Apache-2.0
// '*' stands for any text, '?' for one character; all else for itself. Time is bounded by the product of the lengths.
// Any thread.
#pragma once
#include <string_view>

namespace caisson::jmespath {

bool has_wildcard(std::string_view pattern);
bool wildcard_match(std::string_view pattern, std::string_view text);

}  // namespace caisson::jmespath
