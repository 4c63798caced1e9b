// SPDX-License-Identifier: Apache-2.0
// A plain directory of manifests, as Argo CD reads it. Source: Argo CD 2.x, reposerver/repository findManifests.
#include <algorithm>

#include "core/base/file.h"
#include "core/document/json.h"
#include "core/document/yaml.h"
#include "delivery/render/inputs.h"
#include "delivery/render/render.h"

namespace caisson::render {
namespace {

constexpr std::size_t kDepthMax = 50;

bool is_manifest(const std::string& name) {
  return name.ends_with(".yaml") || name.ends_with(".yml") || name.ends_with(".json");
}

Result<void> collect(const FileSource& source, const std::string& root, const std::string& below,
                     const DirectoryOptions& options, std::size_t depth, std::vector<std::string>& out) {
  if (depth > kDepthMax) return Error{ErrorCode::invalid, below + ": directories are nested too deeply"};
  const std::vector<FileSource::Entry> entries =
      TRY(source.list(path_clean(path_join(root, below.empty() ? "." : below))));
  for (const FileSource::Entry& entry : entries) {
    const std::string path = below.empty() ? entry.name : below + "/" + entry.name;
    if (entry.directory) {
      if (options.recurse && entry.name != ".git") TRY(collect(source, root, path, options, depth + 1, out));
      continue;
    }
    const bool jsonnet = entry.name.ends_with(".jsonnet");
    if (!is_manifest(entry.name) && !jsonnet) continue;
    if (!options.exclude.empty() && glob_matches(options.exclude, path)) continue;
    if (!options.include.empty() && !glob_matches(options.include, path)) continue;
    if (jsonnet)
      return Error{ErrorCode::invalid, path_clean(path_join(root, path)) +
                                           ": Jsonnet is not supported: keep what it gives in the repository, and name "
                                           "this file in spec.source.directory.exclude"};
    out.push_back(path);
  }
  return {};
}

Result<void> add(const Value& object, const std::string& file, std::vector<Value>& out) {
  if (object.is_null() || (object.is_map() && object.empty())) return {};
  if (!object.is_map())
    return Error{ErrorCode::invalid,
                 file + ": every document must be a map, not a " + std::string(document::kind_name(object.kind()))};
  const std::string_view kind = object["kind"].as_string();
  if (kind.ends_with("List") && object["items"].is_list()) {
    for (const Value& item : object["items"].items()) TRY(add(item, file, out));
    return {};
  }
  for (const char* field : {"apiVersion", "kind"}) {
    if (object[field].as_string().empty())
      return Error{ErrorCode::invalid, file + ": " + field + " is missing in " + json::write(object).substr(0, 200)};
  }
  const Value& metadata = object["metadata"];
  if (metadata["name"].as_string().empty() && metadata["generateName"].as_string().empty()) {
    return Error{ErrorCode::invalid, file + ": metadata.name is missing in the " + std::string(kind)};
  }
  out.push_back(object);
  return {};
}

}  // namespace

Result<Rendering> directory(const FileSource& source, const std::string& path, const DirectoryOptions& options) {
  const RecordingSource recorded(source);
  const std::string root = path_clean(path.empty() ? "." : path);
  std::vector<std::string> files;
  TRY(collect(recorded, root, "", options, 0, files));
  std::sort(files.begin(), files.end());
  Rendering rendering;
  for (const std::string& name : files) {
    const std::string file = path_clean(path_join(root, name));
    const std::string text = TRY(recorded.read(file));
    const std::vector<Value> documents = TRY(yaml::read_all(text, {.name = file}));
    for (const Value& document : documents) TRY(add(document, file, rendering.objects));
  }
  rendering.inputs = recorded.inputs();
  return rendering;
}

}  // namespace caisson::render
