// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/kustomize/kustomization.h"

#include <algorithm>

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/document/yaml.h"

namespace caisson::render::kustomize_impl {
namespace {

constexpr std::string_view kFileNames[] = {"kustomization.yaml", "kustomization.yml", "Kustomization"};

enum class Type { text, flag, number, texts, text_map, flag_map, any, object, objects };
struct Field {
  std::string_view name;
  Type type;
  const Field* members = nullptr;  // of an object, or of the objects in a list; ends with an empty name
};

constexpr Field kOptions[] = {{"labels", Type::text_map},
                              {"annotations", Type::text_map},
                              {"disableNameSuffixHash", Type::flag},
                              {"immutable", Type::flag},
                              {}};
constexpr Field kGenerator[] = {{"name", Type::text},
                                {"namespace", Type::text},
                                {"behavior", Type::text},
                                {"type", Type::text},
                                {"literals", Type::texts},
                                {"files", Type::texts},
                                {"envs", Type::texts},
                                {"env", Type::text},
                                {"options", Type::object, kOptions},
                                {}};
constexpr Field kSelector[] = {{"group", Type::text},
                               {"version", Type::text},
                               {"kind", Type::text},
                               {"name", Type::text},
                               {"namespace", Type::text},
                               {"labelSelector", Type::text},
                               {"annotationSelector", Type::text},
                               {"apiVersion", Type::text},
                               {}};
constexpr Field kPatch[] = {
    {"path", Type::text}, {"patch", Type::text}, {"target", Type::object, kSelector}, {"options", Type::flag_map}, {}};
constexpr Field kFieldSpec[] = {{"group", Type::text}, {"version", Type::text}, {"kind", Type::text},
                                {"path", Type::text},  {"create", Type::flag},  {}};
constexpr Field kLabel[] = {{"pairs", Type::text_map},
                            {"includeSelectors", Type::flag},
                            {"includeTemplates", Type::flag},
                            {"includeVolumeClaimTemplates", Type::flag},
                            {"fields", Type::objects, kFieldSpec},
                            {}};
constexpr Field kImage[] = {{"name", Type::text},   {"newName", Type::text},   {"newTag", Type::text},
                            {"digest", Type::text}, {"tagSuffix", Type::text}, {}};
constexpr Field kReplica[] = {{"name", Type::text}, {"count", Type::number}, {}};
constexpr Field kVar[] = {{"name", Type::text}, {"objref", Type::any}, {"fieldref", Type::any}, {}};
constexpr Field kSort[] = {{"order", Type::text}, {"legacySortOptions", Type::any}, {}};

constexpr Field kTop[] = {{"apiVersion", Type::text},
                          {"kind", Type::text},
                          {"metadata", Type::any},
                          {"openapi", Type::text_map},
                          {"namePrefix", Type::text},
                          {"nameSuffix", Type::text},
                          {"namespace", Type::text},
                          {"commonLabels", Type::text_map},
                          {"labels", Type::objects, kLabel},
                          {"commonAnnotations", Type::text_map},
                          {"patchesStrategicMerge", Type::texts},
                          {"patchesJson6902", Type::objects, kPatch},
                          {"patches", Type::objects, kPatch},
                          {"images", Type::objects, kImage},
                          {"imageTags", Type::objects, kImage},
                          {"replacements", Type::any},
                          {"replicas", Type::objects, kReplica},
                          {"vars", Type::objects, kVar},
                          {"sortOptions", Type::object, kSort},
                          {"resources", Type::texts},
                          {"components", Type::texts},
                          {"crds", Type::texts},
                          {"bases", Type::texts},
                          {"configMapGenerator", Type::objects, kGenerator},
                          {"secretGenerator", Type::objects, kGenerator},
                          {"helmGlobals", Type::any},
                          {"helmCharts", Type::any},
                          {"helmChartInflationGenerator", Type::any},
                          {"generatorOptions", Type::object, kOptions},
                          {"configurations", Type::texts},
                          {"generators", Type::texts},
                          {"transformers", Type::texts},
                          {"validators", Type::texts},
                          {"buildMetadata", Type::texts},
                          {}};

Error wrong(const std::string& path, std::string_view why) {
  return Error{ErrorCode::invalid, path + ": " + std::string(why)};
}

Result<void> check_object(Value& object, const Field* fields, const std::string& path);

Result<void> check_texts_of(const Value& map, const std::string& path, bool flags) {
  if (!map.is_map()) return wrong(path, "must be a map");
  for (const auto& [key, value] : map.entries()) {
    const bool good = flags ? value.is_bool() : value.is_string() || value.is_null();
    if (!good) {
      return wrong(path + "." + std::string(key), std::string(flags ? "must be true or false" : "must be a string") +
                                                      ", not the " + std::string(document::kind_name(value.kind())) +
                                                      " " + json::write(value));
    }
  }
  return {};
}

Result<void> check(Value& value, const Field& field, const std::string& path) {
  const auto must = [&](bool good, const char* what) -> Result<void> {
    if (good) return {};
    return wrong(path, std::string("must be ") + what + ", not the " + std::string(document::kind_name(value.kind())) +
                           " " + json::write(value));
  };
  if (value.is_null()) return {};
  switch (field.type) {
    case Type::any:
      return {};
    case Type::text:
      return must(value.is_string(), "a string");
    case Type::flag:
      return must(value.is_bool(), "true or false");
    case Type::number:
      return must(value.is_int(), "an integer");
    case Type::text_map:
      return check_texts_of(value, path, false);
    case Type::flag_map:
      return check_texts_of(value, path, true);
    case Type::object:
      return check_object(value, field.members, path);
    case Type::texts:
    case Type::objects:
      break;
  }
  TRY(must(value.is_list(), "a list"));
  for (std::size_t i = 0; i < value.size(); ++i) {
    const std::string at = path + "[" + std::to_string(i) + "]";
    if (field.type == Type::objects)
      TRY(check_object(value.edit(i), field.members, at));
    else if (!value[i].is_string())
      return wrong(at, "must be a string");
  }
  return {};
}

// Names are matched as Go's encoding/json does, without regard to case; a wrong case is put right.
Result<void> check_object(Value& object, const Field* fields, const std::string& path) {
  if (object.is_null()) return {};
  if (!object.is_map()) return wrong(path, "must be a map");
  Value out = Value::map();
  for (const auto& [key, value] : object.entries()) {
    const Field* known = fields;
    while (!known->name.empty() && !equals_ignoring_case(known->name, key)) ++known;
    const std::string at = path.empty() ? std::string(key) : path + "." + std::string(key);
    if (known->name.empty()) return wrong(at, "unknown field");
    Value member = value;
    TRY(check(member, *known, at));
    out.set(known->name, std::move(member));
  }
  object = std::move(out);
  return {};
}

void append_to(Value& fields, const char* to, const char* from) {
  const Value moved = fields[from];
  fields.erase(from);
  for (const Value& item : moved.items()) fields.edit(to).push_back(item);
}

// Deprecated fields live on in those that replaced them.
void modernise(Value& fields, const std::string& file, std::vector<std::string>& warnings) {
  static constexpr std::pair<const char*, const char*> kDeprecated[] = {
      {"bases", "resources"},         {"commonLabels", "labels"},           {"imageTags", "images"},
      {"patchesJson6902", "patches"}, {"patchesStrategicMerge", "patches"}, {"vars", "replacements"}};
  for (const auto& [old, now] : kDeprecated) {
    if (!fields[old].is_null()) warnings.push_back(file + ": '" + old + "' is deprecated; use '" + now + "'");
  }
  append_to(fields, "resources", "bases");
  append_to(fields, "images", "imageTags");
  for (const char* generators : {"configMapGenerator", "secretGenerator"}) {
    for (std::size_t i = 0; i < fields[generators].size(); ++i) {
      Value& generator = fields.edit(generators).edit(i);
      const Value env = generator["env"];
      generator.erase("env");
      if (env.is_string()) generator.edit("envs").push_back(env);
    }
  }
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

}  // namespace

bool is_kustomization_name(std::string_view file_name) {
  return std::find(std::begin(kFileNames), std::end(kFileNames), file_name) != std::end(kFileNames);
}

Result<Kustomization> load_kustomization(const FileSource& source, const std::string& directory,
                                         std::vector<std::string>& warnings) {
  const std::vector<FileSource::Entry> entries = TRY(source.list(directory));
  std::string file;
  for (const FileSource::Entry& entry : entries) {
    if (entry.directory || !is_kustomization_name(entry.name)) continue;
    const std::string path = path_clean(path_join(directory, entry.name));
    if (!file.empty()) return Error{ErrorCode::invalid, "there are two kustomization files, " + file + " and " + path};
    file = path;
  }
  if (file.empty()) {
    return Error{ErrorCode::not_found,
                 directory + ": no kustomization.yaml, kustomization.yml or Kustomization in this directory"};
  }
  const std::string text = TRY(source.read(file));
  yaml::ReadOptions options{.name = file, .old_booleans = true};
  options.duplicate_keys_refused = false;
  const std::vector<Value> documents = TRY(yaml::read_all(text, options));
  Kustomization made{directory, file, documents.empty() ? Value() : documents.front()};
  if (!made.fields.is_map() && !made.fields.is_null()) return Error{ErrorCode::invalid, file + ": must be a map"};
  TRY(check_object(made.fields, kTop, "").in(file));
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
  modernise(made.fields, file, warnings);
  return made;
}

}  // namespace caisson::render::kustomize_impl
