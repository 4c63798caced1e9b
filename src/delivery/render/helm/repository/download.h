// SPDX-License-Identifier: Apache-2.0
// From what a user calls a chart to its .tgz: "repo/chart" by the cached indexes, a URL, "oci://…", or a name in the
// repository --repo. Source: Helm 3.22 pkg/downloader/chart_downloader.go and pkg/action/install.go. Blocks; any
// thread.
#pragma once
#include <string>

#include "core/base/result.h"
#include "delivery/render/helm/repository/home.h"
#include "delivery/render/helm/repository/repositories.h"

namespace caisson::render::helm {

struct ChartRequest {
  std::string name;      // as above
  std::string version;   // a version or a range; empty: the newest
  std::string repo_url;  // --repo
  Access access;         // where no repository of repositories.yaml says otherwise
  bool with_provenance = false;
};

struct DownloadedChart {
  std::string file_name;  // "web-1.2.0.tgz"
  std::string archive, provenance;
};

inline constexpr std::size_t kArchiveBytesMax = 100u << 20;

// Errors in Helm's words: not_found ("repo x not found", `chart "x" matching 2 not found in y index. (try 'helm repo
// update')`); unavailable; bad_request.
Result<DownloadedChart> download_chart(const Home& home, const ChartRequest& request, const Talk& talk);

// The URL of chart `name` in the repository at `url`, by its index as it is now.
Result<std::string> find_chart_url(const std::string& url, const std::string& name, const std::string& version,
                                   const Access& access);

}  // namespace caisson::render::helm
