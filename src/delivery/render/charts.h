// SPDX-License-Identifier: Apache-2.0
// Charts that a kustomization names by repository (helmCharts[].repo) and that do not lie in its tree. This room says
// which chart it wants; a ChartPuller brings it, and without one a build refuses it. Source: kustomize v5.8
// HelmChartInflationGenerator, which runs `helm pull --untar`.
#pragma once
#include <string>

#include "core/base/result.h"

namespace caisson::render {

struct ChartPull {
  std::string name, version, repo;  // as the kustomization has them; no version: the newest, a range: the newest in it
  bool devel = false;               // without a version, pre-releases count, too
  std::string config_home;          // helmGlobals.configHome: whose logins and repositories count; empty: none
  // Where kustomize leaves the chart's folder, in the source: "deploy/charts/web-1.2.0". Empty: nowhere, for the
  // kustomization itself was fetched.
  std::string folder;
};

// Threads: as the rendering that uses it. Errors: what the repository or registry says, in Helm's words.
class ChartPuller {
 public:
  virtual ~ChartPuller() = default;
  virtual Result<std::string> pull(const ChartPull& chart) = 0;  // the .tgz
};

}  // namespace caisson::render
