// SPDX-License-Identifier: Apache-2.0
// A chart read by two threads: for a command that waits for it.
#pragma once
#include "delivery/render/helm/chart.h"

namespace caisson::render::helm {

// As load_chart(). A folder's files are read by the calling thread and one more, and a large values.yaml is parsed while
// others are read. REQUIRES: source.read() may be called by two threads at once.
Result<Chart> load_chart_by_two(const FileSource& source, const std::string& path, std::vector<std::string>& warnings,
                                const LoadLimits& limits = {});

}  // namespace caisson::render::helm
