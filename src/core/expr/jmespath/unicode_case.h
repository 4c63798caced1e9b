// SPDX-License-Identifier: Apache-2.0
// Letter case of ASCII, Latin-1, Latin Extended-A, Greek and Cyrillic; other characters stay as they are. Any thread.
#pragma once
#include <string>
#include <string_view>

namespace caisson::jmespath {

std::string lower_case(std::string_view text);
std::string upper_case(std::string_view text);
inline std::string fold_case(std::string_view text) {
  return lower_case(text);
}

}  // namespace caisson::jmespath
