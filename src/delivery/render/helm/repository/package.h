// SPDX-License-Identifier: Apache-2.0
// A chart's files as the .tgz that Helm makes of them: Chart.yaml first and as Helm writes it, subcharts unpacked. The
// same files give the same bytes. Pure; any thread.
#pragma once
#include <string>
#include <vector>

#include "core/base/result.h"
#include "delivery/render/helm/chart.h"

namespace caisson::render::helm {

// Errors: too_large.
Result<std::string> pack_chart(const Metadata& metadata, const std::vector<File>& files);
std::string package_name(const Metadata& metadata);  // "web-1.2.0.tgz"
// The folder or .tgz at `path`, with its files as read_chart_files gives them. `warnings` gets what Helm logs.
struct ChartAndFiles {
  Chart chart;
  std::vector<File> files;
};
Result<ChartAndFiles> read_chart_and_files(const std::string& path, std::vector<std::string>& warnings);
// Without links and dots. Errors: not_found "stat PATH: no such file or directory".
Result<std::string> real_path(const std::string& path);
std::string metadata_yaml(const Metadata& metadata);  // Chart.yaml

}  // namespace caisson::render::helm
