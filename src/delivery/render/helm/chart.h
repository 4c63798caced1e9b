// SPDX-License-Identifier: Apache-2.0
// A chart: what lies in a chart's folder or .tgz, read and checked as Helm 3 does (Chart.yaml v1 and v2,
// requirements.yaml, charts/, .helmignore). Plain values: copying a chart copies its metadata and values and shares its
// files. Any thread.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/document/value.h"
#include "delivery/render/render.h"

namespace caisson::render::helm {

struct File {
  std::string name;  // below the chart's folder: "templates/web.yaml"
  std::string data;
  bool operator==(const File&) const = default;
};

struct Dependency {
  std::string name, version, repository, condition, alias;
  std::vector<std::string> tags;
  std::vector<Value> import_values;  // strings, or maps of child and parent
  bool enabled = false;
  const std::string& key() const { return alias.empty() ? name : alias; }
};

struct Metadata {
  std::string api_version, name, version, type, app_version, kube_version;
  bool deprecated = false;
  std::vector<Dependency> dependencies;
  Value fields;  // by Chart.yaml's names, empty ones left out, as Helm prints them
  bool is_library() const;
};

// What does not change once it is read.
struct ChartFiles {
  std::vector<File> templates;  // names begin with "templates/"
  std::vector<File> others;     // what .Files gives
  std::optional<std::string> schema;
  Value lock;  // Chart.lock; null when absent
};

struct Chart {
  Metadata metadata;
  Value values;  // a map; numbers are floats, as Go's encoding/json reads them
  std::shared_ptr<const ChartFiles> files;
  std::vector<Chart> dependencies;  // from charts/, sorted by the name of their folder or archive
  // The parent's own name, where an alias has renamed the parent but its Chart.yaml does not name this dependency: its
  // templates' paths still go by it, as in Helm.
  std::string parent_name;
  const std::string& name() const { return metadata.name; }
};

struct LoadLimits {
  std::size_t file_bytes_max = 5u << 20;
  std::size_t chart_bytes_max = 100u << 20;
  std::size_t files_max = 20'000;
  std::size_t depth_max = 16;  // charts within charts
};

// The chart in the folder or .tgz at `path` of `source`. `warnings` gets what Helm logs. Errors: not_found; invalid
// with Helm's words ("validation: chart.metadata.version is required"); too_large.
Result<Chart> load_chart(const FileSource& source, const std::string& path, std::vector<std::string>& warnings,
                         const LoadLimits& limits = {});
// The same from the bytes of a .tgz. Names that leave the chart's folder are refused.
Result<Chart> load_archive(std::string_view tgz, std::vector<std::string>& warnings, const LoadLimits& limits = {});
// The same from files whose names are relative to the chart's folder.
Result<Chart> load_files(std::vector<File> files, std::vector<std::string>& warnings, const LoadLimits& limits = {},
                         std::size_t depth = 0);

// The files of the folder or .tgz at `path`, with names below the chart's folder; in a folder less what .helmignore
// names.
Result<std::vector<File>> read_chart_files(const FileSource& source, const std::string& path,
                                           const LoadLimits& limits = {});
// What a .tgz holds, below its one folder.
Result<std::vector<File>> read_archive(std::string_view tgz, const LoadLimits& limits = {});

// Chart.yaml's content over what `into` has (requirements.yaml adds to it). Errors: invalid, as Go's decoder puts it.
Result<void> read_metadata(const Value& document, Metadata& into);
// Errors: "validation: chart.metadata.…".
Result<void> check_metadata(Metadata& metadata);

// "parent/charts/child"; `parent` is the parent's path, empty for the root.
std::string chart_path(const Chart& chart, const std::string& parent);

struct Crd {
  std::string source;  // "parent/charts/child/crds/x.yaml"
  const File* file;    // lives as long as the chart's files
};
std::vector<Crd> crds(const Chart& chart);

// YAML as sigs.k8s.io/yaml reads it for Helm: the first document, YAML 1.1's booleans, the last of duplicate keys,
// every number a float when `json_numbers`. Errors begin "error converting YAML to JSON: yaml: ".
Result<Value> read_yaml(std::string_view text, bool json_numbers = true);

}  // namespace caisson::render::helm
