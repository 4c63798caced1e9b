// SPDX-License-Identifier: Apache-2.0
#include "main/cli/kustomize_charts.h"

#include <cstdlib>

#include "core/base/file.h"
#include "delivery/render/helm/chart.h"
#include "delivery/render/helm/repository/download.h"
#include "delivery/render/helm/repository/oci.h"

namespace caisson::cli {
namespace {

using namespace render::helm;

// As kustomize sets Helm's variables: below configHome, or where nothing is.
Home home_for(const std::string& config_home) {
  const std::string config = config_home.empty() ? "/nonexistent" : config_home;
  return home_of([&](const char* name) -> std::string {
    const std::string_view wanted = name;
    if (wanted == "HELM_CONFIG_HOME") return config;
    if (wanted == "HELM_CACHE_HOME") return config + "/.cache";
    if (wanted == "HELM_DATA_HOME") return config + "/.data";
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
  });
}

// The chart's folder, whole or not at all: one that is there counts as the chart from then on.
Result<void> unpack_chart(const std::string& archive, const std::string& folder) {
  std::vector<std::string> warnings;
  const Chart chart = TRY(load_archive(archive, warnings));
  const std::string root = path_join(folder, TRY(safe_path(chart.name())));
  if (exists(root)) {
    return Error{ErrorCode::already_exists,
                 "failed to untar: a file or directory with the name " + root + " already exists"};
  }
  TRY(make_dirs(folder));
  const TempDir building = TRY(TempDir::make(".pull", folder));
  const std::string made = building.path() + "/chart";
  for (const File& file : TRY(read_archive(archive))) {
    const std::string path = path_join(made, TRY(safe_path(file.name)));
    TRY(make_dirs(path_dir(path)));
    TRY(write_file_unsynced(path, file.data));
  }
  return rename_file(made, root);
}

}  // namespace

Result<std::string> ChartHomePuller::pull(const render::ChartPull& chart) {
  std::string repo = chart.repo;
  ChartRequest request;
  request.name = chart.name;
  request.version = chart.version.empty() && chart.devel ? ">0.0.0-0" : chart.version;
  if (is_oci(repo)) {
    if (repo.ends_with('/')) repo.pop_back();
    request.name = repo + "/" + chart.name;
  } else {
    request.repo_url = repo;
  }
  const Talk silent{[](const std::string&) {}, [](const std::string&) {}};
  DownloadedChart got =
      TRY(download_chart(home_for(chart.config_home), request, silent).in("pull chart " + chart.name + " of " + repo));
  // The source is the whole file system.
  if (!chart.folder.empty()) TRY(unpack_chart(got.archive, chart.folder.starts_with('/') ? chart.folder : "/" + chart.folder));
  return std::move(got.archive);
}

}  // namespace caisson::cli
