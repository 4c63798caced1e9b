// SPDX-License-Identifier: Apache-2.0
// Source: Helm 3.22 pkg/chart/loader (what is read, in which order, and the words of its errors).
#include <algorithm>
#include <atomic>
#include <cmath>
#include <map>
#include <numeric>

#include "artifact/content/compress.h"
#include "artifact/content/tar.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/expr/go_template/datum.h"
#include "core/expr/go_template/yaml_first.h"
#include "delivery/render/helm/chart.h"
#include "delivery/render/helm/go_text.h"
#include "delivery/render/helm/ignore.h"
#include "delivery/render/helm/load_by_two.h"
#include "delivery/render/helm/two_threads.h"

namespace caisson::render::helm {
namespace {

Error invalid(std::string message) {
  return {ErrorCode::invalid, std::move(message)};
}

void drop_byte_order_mark(std::string& data) {
  if (data.starts_with("\xEF\xBB\xBF")) data.erase(0, 3);
}

struct ReadFile {
  std::string name, data;
  std::optional<Value> document = {};  // what `data` holds, of a values.yaml that was parsed when it was read
};

// Is a chart's own or a subchart's values.yaml?
bool is_values_file(std::string_view name) {
  if (!name.ends_with("values.yaml")) return false;
  const std::string folder = path_dir(name);
  return path_base(name) == "values.yaml" &&
         (folder == "." || folder.empty() || path_base(path_dir(folder)) == "charts");
}

// What a folder holds, less what .helmignore names: first the names, then what is in the files.
struct FolderRead {
  const FileSource& source;
  const LoadLimits& limits;
  std::string root;
  bool two_readers;
  IgnoreRules rules = {};
  std::vector<ReadFile> files = {};
  std::atomic<std::size_t> bytes = 0;

  Error chart_too_large() const { return {ErrorCode::too_large, root + ": the chart is larger than the maximum size"}; }

  Result<void> walk(const std::string& below, std::size_t depth) {
    if (depth > 64) return Error{ErrorCode::too_large, below + ": folders nest too deeply"};
    const auto entries = TRY(source.list(below.empty() ? root : path_join(root, below)));
    for (const FileSource::Entry& entry : entries) {
      std::string name = below.empty() ? entry.name : below + "/" + entry.name;
      if (rules.ignores(name, entry.directory)) continue;
      if (entry.directory) {
        TRY(walk(name, depth + 1));
        continue;
      }
      if (files.size() >= limits.files_max) return chart_too_large();
      files.push_back({std::move(name), {}});
    }
    return {};
  }

  Result<void> read(ReadFile& file) {
    if (bytes > limits.chart_bytes_max) return chart_too_large();
    file.data = TRY(source.read(path_join(root, file.name)).in("error reading " + file.name));
    if (file.data.size() > limits.file_bytes_max) {
      return Error{ErrorCode::too_large, "chart file \"" + path_base(file.name) +
                                             "\" is larger than the maximum file size " +
                                             std::to_string(limits.file_bytes_max)};
    }
    bytes += file.data.size();
    drop_byte_order_mark(file.data);
    constexpr std::size_t kBytesOfThread = 32u << 10;  // less is parsed at once where it is needed
    if (!two_readers || file.data.size() < kBytesOfThread || !is_values_file(file.name)) return {};
    auto document = read_yaml(file.data);
    if (document.ok()) file.document = std::move(document).value();  // an error is told where the chart is put together
    return {};
  }

  // A values.yaml takes longest, so that they come first. Of several errors that of the first file is told.
  Result<void> read_all() {
    std::vector<std::size_t> order(files.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_partition(order.begin(), order.end(), [&](std::size_t i) { return is_values_file(files[i].name); });
    std::vector<Result<void>> results(files.size());
    constexpr std::size_t kFilesOfThread = 40;  // fewer are read while a thread starts
    on_two_threads(files.size(), two_readers && files.size() >= kFilesOfThread,
                   [&](std::size_t i) { results[order[i]] = read(files[order[i]]); });
    for (Result<void>& result : results) TRY(std::move(result));
    if (bytes > limits.chart_bytes_max) return chart_too_large();
    return {};
  }
};

Result<std::vector<ReadFile>> read_folder(const FileSource& source, const std::string& path, const LoadLimits& limits,
                                          bool two_readers) {
  FolderRead folder{source, limits, path, two_readers};
  const auto ignore = source.read(path_join(path, ".helmignore"));
  if (ignore.ok()) folder.rules = TRY(IgnoreRules::parse(*ignore));
  TRY(folder.walk("", 0));
  TRY(folder.read_all());
  return std::move(folder.files);
}

// An entry's path below the archive's one folder. Errors as Helm's, so that no name leaves the chart.
Result<std::string> archive_path(const std::string& name) {
  const char delimiter = name.find('\\') != std::string::npos ? '\\' : '/';
  const std::size_t cut = name.find(delimiter);
  if (name.substr(0, cut) == "Chart.yaml") return invalid("chart yaml not in base directory");
  std::string below = cut == std::string::npos ? "" : name.substr(cut + 1);
  std::replace(below.begin(), below.end(), delimiter, '/');
  if (below.starts_with('/')) return invalid("chart illegally contains absolute paths");
  below = path_clean(below);
  if (below == ".") return invalid("chart illegally contains content outside the base directory: \"" + name + "\"");
  if (below.starts_with("..")) return invalid("chart illegally references parent directory");
  const bool letter = (below[0] >= 'a' && below[0] <= 'z') || (below[0] >= 'A' && below[0] <= 'Z');
  if (letter && below.substr(1, 2) == ":/") return invalid("chart contains illegally named files");
  return below;
}

Result<std::string> read_entry(content::TarReader& reader, std::uint64_t size_bytes) {
  std::string data;
  data.reserve(size_bytes);
  while (true) {
    const std::string piece = TRY(reader.read_some());
    if (piece.empty()) return data;
    data += piece;
  }
}

Result<void> read_dependencies_file(const ReadFile& file, Chart& chart, ChartFiles& files,
                                    std::vector<std::string>& warnings) {
  if (chart.metadata.api_version != "v1") {
    warnings.push_back(
        "Warning: Dependencies are handled in Chart.yaml since apiVersion \"v2\". We recommend migrating "
        "dependencies to Chart.yaml.");
  }
  const Value document = TRY(read_yaml(file.data).in("cannot load requirements.yaml"));
  TRY(read_metadata(document, chart.metadata).in("cannot load requirements.yaml"));
  if (chart.metadata.api_version == "v1") files.others.push_back({file.name, file.data});
  return {};
}

Result<Value> read_values(const ReadFile& file) {
  Value values = file.document ? *file.document : TRY(read_yaml(file.data).in("cannot load values.yaml"));
  if (values.is_null()) return Value::map();
  if (values.is_map()) return values;
  return invalid("cannot load values.yaml: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal " +
                 std::string(values.is_list()     ? "array"
                             : values.is_bool()   ? "bool"
                             : values.is_string() ? "string"
                                                  : "number") +
                 " into Go value of type map[string]interface {}");
}

using Subcharts = std::map<std::string, std::vector<ReadFile>>;  // by the first part of the name below charts/

Result<void> place_file(ReadFile& file, Chart& chart, ChartFiles& files, Subcharts& subcharts,
                        std::vector<std::string>& warnings) {
  if (file.name == "Chart.yaml") return {};
  if (file.name == "Chart.lock" || file.name == "requirements.lock") {
    files.lock = TRY(read_yaml(file.data).in("cannot load " + file.name));
    if (file.name == "requirements.lock" && chart.metadata.api_version == "v1")
      files.others.push_back({std::move(file.name), std::move(file.data)});
  } else if (file.name == "values.yaml") {
    chart.values = TRY(read_values(file));
  } else if (file.name == "values.schema.json") {
    files.schema = std::move(file.data);
  } else if (file.name == "requirements.yaml") {
    TRY(read_dependencies_file(file, chart, files, warnings));
  } else if (file.name.starts_with("templates/")) {
    files.templates.push_back({std::move(file.name), std::move(file.data)});
  } else if (file.name.starts_with("charts/") && !file.name.ends_with(".prov")) {
    const std::string below = file.name.substr(7);
    subcharts[below.substr(0, below.find('/'))].push_back({below, std::move(file.data), std::move(file.document)});
  } else {
    files.others.push_back({std::move(file.name), std::move(file.data)});
  }
  return {};
}

Result<Chart> put_together(std::vector<ReadFile> all, std::vector<std::string>& warnings, const LoadLimits& limits,
                           std::size_t depth);

Result<Chart> load_subchart(const std::string& name, std::vector<ReadFile> files, std::vector<std::string>& warnings,
                            const LoadLimits& limits, std::size_t depth) {
  if (depth > limits.depth_max) return Error{ErrorCode::too_large, "charts nest too deeply"};
  if (name.ends_with(".tgz")) {
    if (files[0].name != name) return invalid("expected " + name + ", got " + files[0].name);
    return load_files(TRY(read_archive(files[0].data, limits)), warnings, limits, depth);
  }
  std::vector<ReadFile> below;
  for (ReadFile& file : files) {
    const std::size_t slash = file.name.find('/');
    if (slash != std::string::npos)
      below.push_back({file.name.substr(slash + 1), std::move(file.data), std::move(file.document)});
  }
  return put_together(std::move(below), warnings, limits, depth);
}

}  // namespace

Result<std::vector<File>> read_archive(std::string_view tgz, const LoadLimits& limits) {
  if (!tgz.starts_with("\x1F\x8B")) return invalid("gzip: invalid header");
  content::ByteSource bytes = TRY(content::decompress(content::from_string(std::string(tgz))));
  content::ArchiveLimits archive_limits;
  archive_limits.entries_max = limits.files_max;
  archive_limits.bytes_max = limits.chart_bytes_max;
  content::TarReader reader(std::move(bytes), archive_limits);
  const auto too_large = [&] {
    return Error{ErrorCode::too_large,
                 "decompressed chart is larger than the maximum file size " + std::to_string(limits.chart_bytes_max)};
  };
  std::vector<File> files;
  std::uint64_t total = 0;
  while (true) {
    auto next = reader.next();
    const bool too_many_bytes =
        !next.ok() && next.error().code == ErrorCode::too_large && files.size() < limits.files_max;
    if (too_many_bytes) return too_large();
    const auto entry = TRY(std::move(next));
    if (!entry) break;
    if (entry->type == content::EntryType::directory) continue;
    std::string name = TRY(archive_path(entry->name));
    if (entry->size_bytes > limits.file_bytes_max) {
      return Error{ErrorCode::too_large, "decompressed chart file \"" + entry->name +
                                             "\" is larger than the maximum file size " +
                                             std::to_string(limits.file_bytes_max)};
    }
    total += entry->size_bytes;
    if (total > limits.chart_bytes_max) return too_large();
    std::string data = TRY(read_entry(reader, entry->size_bytes));
    drop_byte_order_mark(data);
    files.push_back({std::move(name), std::move(data)});
  }
  if (files.empty()) return invalid("no files in chart archive");
  return files;
}

namespace {

Result<Chart> put_together(std::vector<ReadFile> all, std::vector<std::string>& warnings, const LoadLimits& limits,
                           std::size_t depth) {
  Chart chart;
  bool described = false;
  for (const ReadFile& file : all) {
    if (file.name != "Chart.yaml") continue;
    described = true;
    const Value document = TRY(read_yaml(file.data, false).in("cannot load Chart.yaml"));
    TRY(read_metadata(document, chart.metadata).in("cannot load Chart.yaml"));
    if (chart.metadata.api_version.empty()) {  // Helm 2 took charts without one
      chart.metadata.api_version = "v1";
      chart.metadata.fields.set("apiVersion", "v1");
    }
  }
  auto files = std::make_shared<ChartFiles>();
  Subcharts subcharts;
  for (ReadFile& file : all) TRY(place_file(file, chart, *files, subcharts, warnings));
  if (!described) return Error{ErrorCode::not_found, "Chart.yaml file is missing"};
  TRY(check_metadata(chart.metadata));
  if (chart.values.is_null()) chart.values = Value::map();
  for (auto& [name, below] : subcharts) {
    if (name.starts_with('_') || name.starts_with('.')) continue;
    Chart child = TRY(load_subchart(name, std::move(below), warnings, limits, depth + 1)
                          .in("error unpacking subchart " + name + " in " + chart.name()));
    chart.dependencies.push_back(std::move(child));
  }
  chart.files = std::move(files);
  return chart;
}

std::vector<File> without_documents(std::vector<ReadFile> read) {
  std::vector<File> files;
  for (ReadFile& file : read) files.push_back({std::move(file.name), std::move(file.data)});
  return files;
}

std::vector<ReadFile> without_documents(std::vector<File> files) {
  std::vector<ReadFile> read;
  for (File& file : files) read.push_back({std::move(file.name), std::move(file.data)});
  return read;
}

// The archive at `path` of `source`.
Result<std::vector<File>> read_archive_file(const FileSource& source, const std::string& path,
                                            const LoadLimits& limits) {
  const std::string bytes = TRY(source.read(path));
  if (!bytes.starts_with("\x1F\x8B\x08")) {
    if (path.ends_with(".yml") || path.ends_with(".yaml"))
      return invalid("file '" + path + "' seems to be a YAML file, but expected a gzipped archive");
    return invalid("file '" + path + "' does not appear to be a gzipped archive");
  }
  return read_archive(bytes, limits);
}

Result<Chart> load_path(const FileSource& source, const std::string& path, std::vector<std::string>& warnings,
                        const LoadLimits& limits, bool two_readers) {
  if (!source.list(path).ok()) return load_files(TRY(read_archive_file(source, path, limits)), warnings, limits);
  return put_together(TRY(read_folder(source, path, limits, two_readers)), warnings, limits, 0);
}

}  // namespace

Result<Chart> load_files(std::vector<File> files, std::vector<std::string>& warnings, const LoadLimits& limits,
                         std::size_t depth) {
  return put_together(without_documents(std::move(files)), warnings, limits, depth);
}

Result<Chart> load_archive(std::string_view tgz, std::vector<std::string>& warnings, const LoadLimits& limits) {
  return load_files(TRY(read_archive(tgz, limits)), warnings, limits);
}

Result<Chart> load_chart(const FileSource& source, const std::string& path, std::vector<std::string>& warnings,
                         const LoadLimits& limits) {
  return load_path(source, path, warnings, limits, false);
}

Result<Chart> load_chart_by_two(const FileSource& source, const std::string& path, std::vector<std::string>& warnings,
                                const LoadLimits& limits) {
  return load_path(source, path, warnings, limits, true);
}

Result<std::vector<File>> read_chart_files(const FileSource& source, const std::string& path,
                                           const LoadLimits& limits) {
  if (!source.list(path).ok()) return read_archive_file(source, path, limits);
  return without_documents(TRY(read_folder(source, path, limits, false)));
}

namespace {

void collect_crds(const Chart& chart, const std::string& parent, std::vector<Crd>& out) {
  const std::string path = chart_path(chart, parent);
  for (const File& file : chart.files->others) {
    if (!file.name.starts_with("crds/")) continue;
    const std::size_t dot = path_base(file.name).rfind('.');
    if (dot == std::string::npos) continue;
    const std::string extension = to_lower(path_base(file.name).substr(dot));
    if (extension == ".yaml" || extension == ".yml" || extension == ".json")
      out.push_back({path + "/" + file.name, &file});
  }
  for (const Chart& child : chart.dependencies) collect_crds(child, path, out);
}

// JSON has no infinity: Go's encoder, which every document passes through, refuses it.
const Value* infinity_in(const Value& value) {
  if (value.kind() == ValueKind::floating && !std::isfinite(value.as_double())) return &value;
  for (const Value& item : value.items()) {
    if (const Value* found = infinity_in(item)) return found;
  }
  for (const auto& entry : value.entries()) {
    if (const Value* found = infinity_in(entry.value)) return found;
  }
  return nullptr;
}

}  // namespace

std::string chart_path(const Chart& chart, const std::string& parent) {
  if (parent.empty()) return chart.name();
  const std::string above = chart.parent_name.empty() ? parent : path_join(path_dir(parent), chart.parent_name);
  return above + "/charts/" + chart.name();
}

std::vector<Crd> crds(const Chart& chart) {
  std::vector<Crd> out;
  collect_crds(chart, "", out);
  return out;
}

Result<Value> read_yaml(std::string_view text, bool json_numbers) {
  constexpr std::string_view kConverting = "error converting YAML to JSON";
  Value document = TRY(go_template::read_first_yaml(text).in(kConverting));
  if (const Value* infinity = infinity_in(document)) {
    const Error refused{ErrorCode::bad_request, "json: unsupported value: " + go_float(infinity->as_double())};
    return Error(refused).in(kConverting);
  }
  return json_numbers ? go_template::with_json_numbers(document) : std::move(document);
}

}  // namespace caisson::render::helm
