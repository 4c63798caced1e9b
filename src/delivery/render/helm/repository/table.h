// SPDX-License-Identifier: Apache-2.0
// Tables as Helm prints them: columns padded to their widest cell, a tab between; longer cells end with "...". Pure.
#pragma once
#include <string>
#include <vector>

namespace caisson::render::helm {

// `width_max` 0: no limit. Each row ends with a new line.
std::string write_table(const std::vector<std::vector<std::string>>& rows, std::size_t width_max = 0);

}  // namespace caisson::render::helm
