// SPDX-License-Identifier: Apache-2.0
// Pulls charts for helmCharts as `helm pull --untar` does, with what Helm knows of repositories and registries below
// helmGlobals.configHome, and leaves them below chartHome, where the next build finds them. One thread.
#pragma once
#include "delivery/render/charts.h"

namespace caisson::cli {

class ChartHomePuller final : public render::ChartPuller {
 public:
  // Errors: already_exists when something that is no folder is in the chart's place; what the download gives.
  Result<std::string> pull(const render::ChartPull& chart) override;
};

}  // namespace caisson::cli
