// SPDX-License-Identifier: Apache-2.0
// `helm dependency`: charts/ filled with what Chart.yaml names, and Chart.lock, which says what that was. Source: Helm
// 3.22 pkg/downloader/manager.go, internal/resolver, pkg/action/dependency.go. Blocks; one thread a chart.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "delivery/render/helm/chart.h"
#include "delivery/render/helm/repository/home.h"
#include "delivery/render/helm/repository/repositories.h"

namespace caisson::render::helm {

struct DependencyOptions {
  Home home;
  Access access;              // for OCI registries; repositories have theirs in repositories.yaml
  bool skip_refresh = false;  // the cached indexes are taken as they are
  std::string keyring;        // not empty: every downloaded chart's provenance is checked with it
};

// By Chart.yaml's ranges: the newest versions, and a new Chart.lock. Errors in Helm's words.
Result<void> update_dependencies(const std::string& chart, const DependencyOptions& options, const Talk& talk);
// By Chart.lock, which must fit Chart.yaml; without one as update_dependencies.
Result<void> build_dependencies(const std::string& chart, const DependencyOptions& options, const Talk& talk);
// The table of `helm dependency list`, with its warnings.
Result<std::string> list_dependencies(const std::string& chart, std::size_t column_width_max);

// What the chart's lock file says; nothing without one. `wanted`: the chart's dependencies with URLs for the names of
// repositories. Errors: "the lock file (Chart.lock) is out of sync with the dependencies file (Chart.yaml). …".
Result<std::optional<std::vector<Dependency>>> locked_dependencies(const Chart& chart,
                                                                   const std::vector<Dependency>& wanted,
                                                                   std::vector<std::string>& warnings);
// "sha256:…" of what is wanted and what was taken, by which Chart.lock is known to fit.
std::string dependencies_digest(const std::vector<Dependency>& wanted, const std::vector<Dependency>& locked);

}  // namespace caisson::render::helm
