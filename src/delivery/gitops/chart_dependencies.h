// SPDX-License-Identifier: Apache-2.0
// Dependencies of a chart in git that do not all lie in its charts/: brought as `helm dependency build` does, which
// Argo CD runs for such a chart. By Chart.lock, or without one the newest versions in Chart.yaml's ranges; from Helm
// repositories, registries (oci://), other charts of the same tree (file://), and "@name" by the repository Secrets.
// Source: Argo CD 3.0 reposerver/repository (runHelmBuild), Helm 3.22 pkg/downloader. Blocks (network); any thread.
#pragma once
#include <string>
#include <vector>

#include "core/base/result.h"
#include "delivery/gitops/chart_source.h"
#include "delivery/render/helm/chart.h"

namespace caisson::gitops {

// Nothing to do when all are there. `path`: where the chart lies in `files`. What is brought takes the place of what
// charts/ has by that name; dependencies of dependencies are not brought, as in Helm. Errors name the dependency:
// invalid (range, lock file, a folder beyond the tree), not_found, what the network says.
Result<void> bring_dependencies(render::helm::Chart& chart, const render::FileSource& files, const std::string& path,
                                const ChartFetcher& charts, std::vector<std::string>& warnings);

}  // namespace caisson::gitops
