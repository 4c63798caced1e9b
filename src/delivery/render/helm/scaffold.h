// SPDX-License-Identifier: Apache-2.0
// `helm create`: a chart to begin with, of the files that Helm's own has, or a copy of a starter chart in which
// "<CHARTNAME>" is the new chart's name. Writes to disk.
#pragma once
#include <string>
#include <vector>

#include "core/base/result.h"

namespace caisson::render::helm {

// In the folder `path`, whose last part is the chart's name. Gives warnings: which files were there and are no more.
// Errors: bad_request for a name that no chart can have; what the disk says.
Result<std::vector<std::string>> create_chart(const std::string& path, const std::string& starter);

}  // namespace caisson::render::helm
