// SPDX-License-Identifier: Apache-2.0
// Source: Helm 3.22 pkg/action/dependency.go.
#include <algorithm>

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/expr/go_template/semver.h"
#include "delivery/render/helm/go_text.h"
#include "delivery/render/helm/repository/dependencies.h"
#include "delivery/render/helm/repository/package.h"
#include "delivery/render/helm/repository/table.h"

namespace caisson::render::helm {
namespace {

using go_template::Constraint;
using go_template::Version;

// Empty when `version` meets what the dependency wants.
std::string version_trouble(const std::string& version, const Dependency& wanted) {
  if (version == wanted.version) return "";
  const auto range = Constraint::parse(wanted.version);
  const auto parsed = Version::parse(version);
  if (!range.ok() || !parsed.ok()) return "invalid version";
  return range->check(*parsed) ? "" : "wrong version";
}

std::string archive_status(const std::string& path, const Dependency& wanted) {
  std::vector<std::string> warnings;
  const auto read = read_chart_and_files(path, warnings);
  if (!read.ok()) return "corrupt";
  if (read->chart.name() != wanted.name) return "misnamed";
  const std::string trouble = version_trouble(read->chart.metadata.version, wanted);
  return trouble.empty() ? "ok" : trouble;
}

std::string status(const std::string& charts, const Dependency& wanted, const Chart& parent) {
  std::vector<std::string> archives, versioned;
  const auto names = list_dir(charts);
  for (const std::string& name : names.ok() ? *names : std::vector<std::string>()) {
    if (!name.starts_with(wanted.name + "-") || !name.ends_with(".tgz")) continue;
    archives.push_back(name);
    const std::string version = name.substr(wanted.name.size() + 1, name.size() - wanted.name.size() - 5);
    if (Version::parse_strict(version).ok()) versioned.push_back(name);
  }
  if (archives.size() == 1) return archive_status(path_join(charts, archives[0]), wanted);
  if (versioned.size() == 1) return archive_status(path_join(charts, versioned[0]), wanted);
  if (versioned.size() > 1) return "too many matches";
  const auto unpacked = std::find_if(parent.dependencies.begin(), parent.dependencies.end(),
                                     [&](const Chart& child) { return child.name() == wanted.name; });
  if (unpacked == parent.dependencies.end()) return "missing";
  const std::string trouble = version_trouble(unpacked->metadata.version, wanted);
  return trouble.empty() ? "unpacked" : trouble;
}

// What lies in charts/ and is no dependency.
std::string strangers(const std::string& charts, const Chart& chart) {
  std::string out;
  const auto names = list_dir(charts);
  for (const std::string& name : names.ok() ? *names : std::vector<std::string>()) {
    const std::string path = path_join(charts, name);
    if (name.starts_with('.') || (!is_directory(path) && !name.ends_with(".tgz"))) continue;
    std::vector<std::string> warnings;
    const auto read = read_chart_and_files(path, warnings);
    const bool named = read.ok() && std::any_of(chart.metadata.dependencies.begin(), chart.metadata.dependencies.end(),
                                                [&](const Dependency& one) { return one.name == read->chart.name(); });
    if (!read.ok())
      out += "WARNING: " + go_quote(path) + " is not a chart.\n";
    else if (!named)
      out += "WARNING: " + go_quote(path) + " is not in Chart.yaml.\n";
  }
  return out;
}

}  // namespace

Result<std::string> list_dependencies(const std::string& path, std::size_t column_width_max) {
  std::vector<std::string> warnings;
  const ChartAndFiles read = TRY(read_chart_and_files(path, warnings));
  const std::string charts = path_clean(path + "/charts");
  const Chart& chart = read.chart;
  if (chart.metadata.dependencies.empty()) return "WARNING: no dependencies at " + charts + "\n";
  std::vector<std::vector<std::string>> rows{{"NAME", "VERSION", "REPOSITORY", "STATUS"}};
  for (const Dependency& one : chart.metadata.dependencies)
    rows.push_back({one.name, one.version, one.repository, status(charts, one, chart)});
  return write_table(rows, column_width_max) + "\n" + strangers(charts, chart);
}

}  // namespace caisson::render::helm
