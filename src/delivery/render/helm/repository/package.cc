// SPDX-License-Identifier: Apache-2.0
// Source: Helm 3.22 pkg/chartutil/save.go.
#include "delivery/render/helm/repository/package.h"

#include <unistd.h>

#include <climits>
#include <cstdlib>

#include "artifact/content/compress.h"
#include "artifact/content/tar.h"
#include "core/base/file.h"
#include "core/document/yaml.h"

namespace caisson::render::helm {
namespace {

constexpr std::size_t kDepthMax = 16;

void append_file(std::string& tar, const std::string& name, const std::string& data) {
  content::TarEntry entry;
  entry.name = name;
  entry.size_bytes = data.size();
  content::append_header(tar, entry);
  tar += data;
  tar.append(content::padding_bytes(data.size()), '\0');
}

// Archives in charts/ become folders.
Result<void> append_files(std::string& tar, const std::string& root, const std::vector<File>& files,
                          std::size_t depth) {
  if (depth > kDepthMax) return Error{ErrorCode::too_large, "charts nest too deeply"};
  for (const File& file : files) {
    if (file.name == "Chart.yaml" && depth == 0) continue;
    const bool archive =
        file.name.starts_with("charts/") && file.name.ends_with(".tgz") && file.name.find('/', 7) == std::string::npos;
    if (!archive) {
      append_file(tar, root + "/" + file.name, file.data);
      continue;
    }
    std::vector<std::string> warnings;
    const std::vector<File> below = TRY(read_archive(file.data));
    const Chart chart = TRY(load_files(below, warnings, {}, depth + 1));
    TRY(append_files(tar, root + "/charts/" + chart.name(), below, depth + 1));
  }
  return {};
}

}  // namespace

std::string metadata_yaml(const Metadata& metadata) {
  return yaml::write(metadata.fields, {.sort_keys = true});
}

std::string package_name(const Metadata& metadata) {
  return metadata.name + "-" + metadata.version + ".tgz";
}

Result<std::string> pack_chart(const Metadata& metadata, const std::vector<File>& files) {
  std::string tar;
  append_file(tar, metadata.name + "/Chart.yaml", metadata_yaml(metadata));
  TRY(append_files(tar, metadata.name, files, 0));
  tar.append(content::kTrailerBytes, '\0');
  const content::ByteSource packed = TRY(content::compress_gzip(content::from_string(std::move(tar))));
  return content::read_all(packed, LoadLimits{}.chart_bytes_max);
}

Result<std::string> real_path(const std::string& path) {
  char absolute[PATH_MAX];
  if (::realpath(path.c_str(), absolute) == nullptr)
    return Error{ErrorCode::not_found, "stat " + path + ": no such file or directory"};
  return std::string(absolute);
}

Result<ChartAndFiles> read_chart_and_files(const std::string& path, std::vector<std::string>& warnings) {
  const std::string absolute = TRY(real_path(path));
  const auto source = disk_source("/");
  ChartAndFiles out;
  out.files = TRY(read_chart_files(*source, absolute.substr(1)));
  out.chart = TRY(load_files(out.files, warnings));
  return out;
}

}  // namespace caisson::render::helm
