// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/kustomize/edit_generators.h"

#include <algorithm>

#include "core/base/file.h"
#include "delivery/render/kustomize/stages.h"

namespace caisson::render {

using namespace kustomize_impl;

namespace {

constexpr int kFolderDepthMax = 50;

Result<void> walk(const FileSource& source, const std::string& folder, bool recursive, int depth,
                  std::vector<std::string>& out) {
  if (depth > kFolderDepthMax) return Error{ErrorCode::invalid, folder + ": folders are nested too deeply"};
  const std::vector<FileSource::Entry> entries = TRY(source.list(folder.empty() ? "." : folder));
  const auto is_kustomization = [](const FileSource::Entry& entry) { return is_kustomization_name(entry.name); };
  if (!folder.empty() && std::any_of(entries.begin(), entries.end(), is_kustomization)) {
    out.push_back(folder);
    return {};
  }
  for (const FileSource::Entry& entry : entries) {
    const std::string path = folder.empty() ? entry.name : folder + "/" + entry.name;
    if (entry.directory) {
      if (recursive) TRY(walk(source, path, recursive, depth + 1, out));
      continue;
    }
    const std::string text = TRY(source.read(path));
    if (parse_resources(text, path).ok()) out.push_back(path);
  }
  return {};
}

}  // namespace

Result<std::vector<std::string>> detect_resources(const FileSource& source, bool recursive) {
  std::vector<std::string> out;
  TRY(walk(source, "", recursive, 0, out));
  return out;
}

Result<void> check_generator(const FileSource& source, const Value& generator, bool secret) {
  const Options options;
  Mounts mounts(source, nullptr);
  Build build{mounts, options};
  const Kustomization kustomization{".", "kustomization.yaml", Value::map()};
  const Target target{build, kustomization, Origin()};
  if (secret)
    TRY(generate_secret(target, generator, "secretGenerator"));
  else
    TRY(generate_config_map(target, generator, "configMapGenerator"));
  return {};
}

Value with_generator_options(Value own, const Value& global) {
  for (const char* map : {"labels", "annotations"}) {
    for (const auto& [key, value] : global[map].entries()) {
      if (!own[map].contains(key)) own.edit(map).set(key, value);
    }
  }
  for (const char* flag : {"disableNameSuffixHash", "immutable"}) {
    if (global[flag].as_bool()) own.set(flag, true);
  }
  return own.is_null() ? Value::map() : own;
}

}  // namespace caisson::render
