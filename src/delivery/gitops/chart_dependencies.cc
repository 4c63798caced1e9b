// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/chart_dependencies.h"

#include <algorithm>
#include <iterator>
#include <set>

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/expr/go_template/semver.h"
#include "delivery/render/helm/repository/dependencies.h"
#include "delivery/render/helm/values.h"
#include "delivery/render/helm/version.h"

namespace caisson::gitops {
namespace {

using render::helm::Chart;
using render::helm::Dependency;

constexpr std::size_t kDependenciesMax = 256;

std::string shown(const Dependency& one) {
  return "dependency " + one.name + " " + one.version + " of " + one.repository;
}

// With the URL of a repository that is given by its name.
Result<Dependency> with_url(Dependency one, const ChartFetcher& charts) {
  const std::string& given = one.repository;
  if (given.empty()) return one;  // it should lie in charts/
  if (given.starts_with('@') || given.starts_with("alias:")) {
    const std::string name = given.substr(given.starts_with('@') ? 1 : 6);
    one.repository = TRY(charts.url_of(name).in("dependency " + one.name));
  } else if (given.find("://") == std::string::npos) {
    return Error{ErrorCode::invalid, "dependency " + one.name + ": no repository definition for " + given +
                                         ": it must be a URL, or \"@\" and the name of a repository"};
  }
  return one;
}

Result<Chart> read_local(const Dependency& one, const render::FileSource& files, const std::string& path,
                         std::vector<std::string>& warnings) {
  const std::string given = one.repository.substr(std::string_view("file://").size());
  const std::string folder = path_clean(path_join(path, given));
  if (given.starts_with('/') || folder == ".." || folder.starts_with("../"))
    return Error{ErrorCode::invalid, "leads out of the repository"};
  if (!files.list(folder).ok()) return Error{ErrorCode::not_found, "directory " + folder + " not found"};
  Chart chart = TRY(render::helm::load_chart(files, folder, warnings));
  if (render::helm::version_satisfies(one.version, chart.metadata.version)) return chart;
  return Error{ErrorCode::invalid, "the chart there has the version " + chart.metadata.version};
}

Result<Chart> download(const Dependency& one, const ChartFetcher& charts, std::vector<std::string>& warnings) {
  const ChartPlace place{one.repository, one.name};
  const std::string version = TRY(charts.resolve(place, one.version));
  const std::string archive = TRY(charts.fetch(place, version));
  return render::helm::load_archive(archive, warnings);
}

}  // namespace

Result<void> bring_dependencies(Chart& chart, const render::FileSource& files, const std::string& path,
                                const ChartFetcher& charts, std::vector<std::string>& warnings) {
  if (render::helm::check_dependencies(chart).ok()) return {};
  if (chart.metadata.dependencies.size() > kDependenciesMax)
    return Error{ErrorCode::too_large, "Chart.yaml: more than " + std::to_string(kDependenciesMax) + " dependencies"};
  std::vector<Dependency> wanted;
  for (const Dependency& one : chart.metadata.dependencies) wanted.push_back(TRY(with_url(one, charts)));
  const auto locked = TRY(render::helm::locked_dependencies(chart, wanted, warnings));
  std::set<std::string> seen;
  std::vector<Chart> brought;
  for (const Dependency& one : locked ? *locked : wanted) {
    if (one.repository.empty() || !seen.insert(one.repository + " " + one.name + " " + one.version).second) continue;
    TRY(go_template::Constraint::parse(one.version).in(shown(one) + " has an invalid version/constraint format"));
    auto found = one.repository.starts_with("file://") ? read_local(one, files, path, warnings)
                                                       : download(one, charts, warnings);
    brought.push_back(TRY(std::move(found).in(shown(one))));
  }
  std::erase_if(chart.dependencies, [&](const Chart& there) {
    return std::any_of(brought.begin(), brought.end(), [&](const Chart& one) { return one.name() == there.name(); });
  });
  std::move(brought.begin(), brought.end(), std::back_inserter(chart.dependencies));
  return {};
}

}  // namespace caisson::gitops
