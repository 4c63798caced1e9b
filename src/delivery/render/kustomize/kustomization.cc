// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/kustomize/kustomization.h"

#include <algorithm>
#include <optional>

#include "core/base/file.h"
#include "core/document/yaml.h"
#include "core/expr/go_template/yaml_error.h"
#include "delivery/render/kustomize/fields.h"

namespace caisson::render::kustomize_impl {
namespace {

constexpr std::string_view kFileNames[] = {"kustomization.yaml", "kustomization.yml", "Kustomization"};

// Warns of deprecated fields, in kustomize's words; those that are the same by another name move there.
void replace_deprecated(Value& fields, std::vector<std::string>& warnings) {
  static constexpr std::pair<const char*, const char*> kDeprecated[] = {
      {"bases", "resources"},         {"commonLabels", "labels"},           {"imageTags", "images"},
      {"patchesJson6902", "patches"}, {"patchesStrategicMerge", "patches"}, {"vars", "replacements"}};
  for (const auto& [old, now] : kDeprecated) {
    if (fields[old].is_null()) continue;
    const std::string_view experimental = std::string_view(old) == "vars" ? "[EXPERIMENTAL] " : "";
    warnings.push_back("'" + std::string(old) + "' is deprecated. Please use '" + now + "' instead. " +
                       std::string(experimental) +
                       "Run 'kustomize edit fix' to update your Kustomization automatically.");
  }
  modernise(fields);
}

Error wrong(const std::string& path, std::string_view why) {
  return Error{ErrorCode::invalid, path + ": " + std::string(why)};
}

Result<void> check_kind(Value& fields) {
  const std::string kind = fields["kind"].as_string().empty() ? "Kustomization" : fields["kind"].str();
  if (kind != "Kustomization" && kind != "Component") return wrong("kind", "must be Kustomization or Component");
  const std::string wanted =
      kind == "Component" ? "kustomize.config.k8s.io/v1alpha1" : "kustomize.config.k8s.io/v1beta1";
  const std::string_view version = fields["apiVersion"].as_string();
  if (!version.empty() && version != wanted) return wrong("apiVersion", "must be " + wanted + " for a " + kind);
  fields.set("kind", Value(kind));
  return {};
}

struct File {
  std::string path, text;
};

// Each name is tried: a directory may hold thousands of files.
Result<File> read_kustomization_file(const FileSource& source, const std::string& directory) {
  std::optional<File> found;
  for (const std::string_view name : kFileNames) {
    const std::string path = directory == "." ? std::string(name) : path_join(directory, name);
    auto text = source.read(path);
    if (!text.ok()) {
      if (text.error().code == ErrorCode::not_found || text.error().code == ErrorCode::bad_request) continue;
      return std::move(text).error();
    }
    if (found) return Error{ErrorCode::invalid, "there are two kustomization files, " + found->path + " and " + path};
    found = File{path, std::move(text).value()};
  }
  if (found) return *std::move(found);
  TRY(source.list(directory));  // no directory at all
  return Error{ErrorCode::not_found,
               directory + ": no kustomization.yaml, kustomization.yml or Kustomization in this directory"};
}

}  // namespace

Result<std::vector<Value>> read_documents(std::string_view text, const yaml::ReadOptions& options) {
  auto documents = yaml::read_all(text, options);
  if (documents.ok()) return documents;
  Error error = std::move(documents).error();
  const std::string theirs = go_template::go_yaml_error(error);
  if (error.message.find(theirs.substr(theirs.rfind(": ") + 2)) == std::string::npos)
    error.message += " (" + theirs + ")";
  return error;
}

bool is_kustomization_name(std::string_view file_name) {
  return std::find(std::begin(kFileNames), std::end(kFileNames), file_name) != std::end(kFileNames);
}

Result<Kustomization> load_kustomization(const FileSource& source, const std::string& directory,
                                         std::vector<std::string>& warnings) {
  const auto [file, text] = TRY(read_kustomization_file(source, directory));
  yaml::ReadOptions options{.name = file, .old_booleans = true};
  options.duplicate_keys_refused = false;
  const std::vector<Value> documents = TRY(read_documents(text, options));
  Kustomization made{directory, file, documents.empty() ? Value() : documents.front()};
  if (!made.fields.is_map() && !made.fields.is_null()) return Error{ErrorCode::invalid, file + ": must be a map"};
  TRY(check_fields(made.fields).in(file));
  Value content = made.fields;
  content.erase("apiVersion");
  content.erase("kind");
  const auto has_content = [](const document::MapEntry& entry) {
    return !entry.value.is_null() && !((entry.value.is_string()) && entry.value.as_string().empty());
  };
  if (std::none_of(content.entries().begin(), content.entries().end(), has_content)) {
    return Error{ErrorCode::invalid, file + " is empty"};
  }
  TRY(check_kind(made.fields).in(file));
  replace_deprecated(made.fields, warnings);
  return made;
}

}  // namespace caisson::render::kustomize_impl
