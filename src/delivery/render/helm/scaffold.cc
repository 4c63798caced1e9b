// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/helm/scaffold.h"

#include <unistd.h>

#include <climits>
#include <string_view>

#include "core/base/file.h"
#include "core/base/text.h"
#include "delivery/render/helm/repository/package.h"
#include "delivery/render/helm/scaffold_files.h"

namespace caisson::render::helm {
namespace {

constexpr std::string_view kPlaceholder = "<CHARTNAME>";

Error bad_name(const std::string& what) {
  return {ErrorCode::bad_request, what};
}

Result<std::string> absolute_path(const std::string& path) {
  if (path.starts_with('/')) return path_clean(path);
  char here[PATH_MAX];
  if (::getcwd(here, sizeof here) == nullptr) return errno_error("getcwd");
  return path_clean(std::string(here) + "/" + path);
}

// Source: Helm 3.22 pkg/chartutil/create.go, validateChartName.
Result<void> check_name(const std::string& name) {
  if (name.empty() || name.size() > 250) return bad_name("chart name must be between 1 and 250 characters");
  for (const char c : name) {
    const bool fine =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
    if (!fine) return bad_name("chart name must match the regular expression \"^[a-zA-Z0-9._-]+$\"");
  }
  return {};
}

Result<std::vector<File>> starter_files(const std::string& starter) {
  std::vector<std::string> warnings;
  ChartAndFiles read = TRY(read_chart_and_files(starter, warnings).in("could not load " + starter));
  for (File& file : read.files) {
    if (file.name == "Chart.yaml") file.data = kScaffoldFiles[0].text;
  }
  return std::move(read.files);
}

}  // namespace

Result<std::vector<std::string>> create_chart(const std::string& path, const std::string& starter) {
  const std::string name = path_base(path);
  TRY(check_name(name));
  const std::string absolute = TRY(absolute_path(path));
  if (const std::string above = path_dir(absolute); !is_directory(above))
    return Error{ErrorCode::not_found, "stat " + above + ": no such file or directory"};
  if (exists(path) && !is_directory(path))
    return Error{ErrorCode::already_exists, "file " + path + " already exists and is not a directory"};
  std::vector<File> files;
  if (starter.empty()) {
    for (const ScaffoldFile& file : kScaffoldFiles) files.push_back({std::string(file.name), std::string(file.text)});
  } else {
    files = TRY(starter_files(starter));
  }
  std::vector<std::string> warnings;
  for (const File& file : files) {
    const std::string target = path_join(absolute, TRY(safe_path(file.name)));
    if (exists(target)) warnings.push_back("WARNING: File \"" + target + "\" already exists. Overwriting.");
    TRY(make_dirs(path_dir(target)));
    TRY(write_file_unsynced(target, replace_all(file.data, kPlaceholder, name)));
  }
  TRY(make_dirs(path_join(absolute, "charts")));
  return warnings;
}

}  // namespace caisson::render::helm
