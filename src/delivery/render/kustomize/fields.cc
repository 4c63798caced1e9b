// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/kustomize/fields.h"

#include <algorithm>
#include <utility>

#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::render::kustomize_impl {
namespace {

enum class Type { text, flag, number, texts, text_map, any, object, objects };
// Whether a member is written when it says nothing.
enum class Written { when_set, always };
struct Field {
  std::string_view name;
  Type type;
  const Field* members = nullptr;  // of an object, or of the objects in a list; ends with an empty name
  Written written = Written::when_set;
};

constexpr Field kOptions[] = {{"labels", Type::text_map},
                              {"annotations", Type::text_map},
                              {"disableNameSuffixHash", Type::flag},
                              {"immutable", Type::flag},
                              {}};
constexpr Field kConfigMap[] = {{"name", Type::text},
                                {"namespace", Type::text},
                                {"behavior", Type::text},
                                {"literals", Type::texts},
                                {"files", Type::texts},
                                {"envs", Type::texts},
                                {"env", Type::text},
                                {"options", Type::object, kOptions},
                                {}};
constexpr Field kSecret[] = {{"name", Type::text},
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
                               {}};
constexpr Field kPatchOptions[] = {{"allowNameChange", Type::flag}, {"allowKindChange", Type::flag}, {}};
constexpr Field kPatch[] = {{"path", Type::text},
                            {"patch", Type::text},
                            {"target", Type::object, kSelector},
                            {"options", Type::object, kPatchOptions},
                            {}};
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
constexpr Field kReplica[] = {{"name", Type::text}, {"count", Type::number, nullptr, Written::always}, {}};
constexpr Field kVarObject[] = {{"apiVersion", Type::text},
                                {"group", Type::text},
                                {"version", Type::text},
                                {"kind", Type::text},
                                {"name", Type::text, nullptr, Written::always},
                                {"namespace", Type::text},
                                {}};
constexpr Field kVarField[] = {{"fieldPath", Type::text}, {}};
constexpr Field kVar[] = {{"name", Type::text, nullptr, Written::always},
                          {"objref", Type::object, kVarObject, Written::always},
                          {"fieldref", Type::object, kVarField, Written::always},
                          {}};
constexpr Field kFieldOptions[] = {
    {"delimiter", Type::text}, {"index", Type::number}, {"encoding", Type::text}, {"create", Type::flag}, {}};
constexpr Field kReplacementSource[] = {{"group", Type::text},
                                        {"version", Type::text},
                                        {"kind", Type::text},
                                        {"name", Type::text},
                                        {"namespace", Type::text},
                                        {"fieldPath", Type::text},
                                        {"options", Type::object, kFieldOptions},
                                        {}};
constexpr Field kReplacementTarget[] = {{"select", Type::object, kSelector},
                                        {"reject", Type::objects, kSelector},
                                        {"fieldPaths", Type::texts},
                                        {"options", Type::object, kFieldOptions},
                                        {}};
constexpr Field kReplacement[] = {{"path", Type::text},
                                  {"source", Type::object, kReplacementSource},
                                  {"targets", Type::objects, kReplacementTarget},
                                  {"sourceValue", Type::text},
                                  {}};
constexpr Field kLegacySort[] = {
    {"orderFirst", Type::texts, nullptr, Written::always}, {"orderLast", Type::texts, nullptr, Written::always}, {}};
constexpr Field kSort[] = {{"order", Type::text}, {"legacySortOptions", Type::object, kLegacySort}, {}};
constexpr Field kChart[] = {
    {"name", Type::text},        {"version", Type::text},      {"repo", Type::text},
    {"releaseName", Type::text}, {"namespace", Type::text},    {"additionalValuesFiles", Type::texts},
    {"valuesFile", Type::text},  {"valuesInline", Type::any},  {"valuesMerge", Type::text},
    {"includeCRDs", Type::flag}, {"skipHooks", Type::flag},    {"apiVersions", Type::texts},
    {"kubeVersion", Type::text}, {"nameTemplate", Type::text}, {"skipTests", Type::flag},
    {"debug", Type::flag},       {"devel", Type::flag},        {}};
constexpr Field kChartGlobals[] = {{"chartHome", Type::text}, {"configHome", Type::text}, {}};
constexpr Field kOldChart[] = {{"chartName", Type::text},     {"chartVersion", Type::text},
                               {"chartRepoUrl", Type::text},  {"chartHome", Type::text},
                               {"chartRepoName", Type::text}, {"helmBin", Type::text},
                               {"helmHome", Type::text},      {"values", Type::text},
                               {"valuesLocal", Type::any},    {"valuesMerge", Type::text},
                               {"releaseName", Type::text},   {"releaseNamespace", Type::text},
                               {"extraArgs", Type::texts},    {}};
constexpr Field kMetadata[] = {
    {"name", Type::text}, {"namespace", Type::text}, {"labels", Type::text_map}, {"annotations", Type::text_map}, {}};

constexpr Field kTop[] = {{"apiVersion", Type::text},
                          {"kind", Type::text},
                          {"metadata", Type::object, kMetadata},
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
                          {"replacements", Type::objects, kReplacement},
                          {"replicas", Type::objects, kReplica},
                          {"vars", Type::objects, kVar},
                          {"sortOptions", Type::object, kSort},
                          {"resources", Type::texts},
                          {"components", Type::texts},
                          {"crds", Type::texts},
                          {"bases", Type::texts},
                          {"configMapGenerator", Type::objects, kConfigMap},
                          {"secretGenerator", Type::objects, kSecret},
                          {"helmGlobals", Type::object, kChartGlobals},
                          {"helmCharts", Type::objects, kChart},
                          {"helmChartInflationGenerator", Type::objects, kOldChart},
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

Result<void> check_texts_of(const Value& map, const std::string& path) {
  if (!map.is_map()) return wrong(path, "must be a map");
  for (const auto& [key, value] : map.entries()) {
    if (value.is_string() || value.is_null()) continue;
    return wrong(
        path + "." + std::string(key),
        "must be a string, not the " + std::string(document::kind_name(value.kind())) + " " + json::write(value));
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
      return check_texts_of(value, path);
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
      return wrong(at, "must be a string, not the " + std::string(document::kind_name(value[i].kind())) + " " +
                           json::write(value[i]));
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

// --- writing

constexpr std::string_view kOrder[] = {"apiVersion",
                                       "kind",
                                       "metadata",
                                       "sortOptions",
                                       "resources",
                                       "bases",
                                       "namePrefix",
                                       "nameSuffix",
                                       "namespace",
                                       "crds",
                                       "commonLabels",
                                       "labels",
                                       "commonAnnotations",
                                       "patchesStrategicMerge",
                                       "patchesJson6902",
                                       "patches",
                                       "configMapGenerator",
                                       "secretGenerator",
                                       "helmCharts",
                                       "helmChartInflationGenerator",
                                       "helmGlobals",
                                       "generatorOptions",
                                       "vars",
                                       "images",
                                       "replacements",
                                       "replicas",
                                       "configurations",
                                       "generators",
                                       "transformers",
                                       "validators",
                                       "components",
                                       "openapi",
                                       "buildMetadata"};

Value written_members(const Value& object, const Field* members);

// Null: it says nothing.
Value written(const Value& value, const Field& field) {
  switch (field.type) {
    case Type::text:
      return value.as_string().empty() ? Value() : value;
    case Type::flag:
      return value.as_bool() ? value : Value();
    case Type::number:
      return value.as_int() == 0 ? Value() : value;
    case Type::texts:
    case Type::text_map:
    case Type::any: {
      if (value.empty()) return {};
      if (field.type != Type::text_map) return value;
      Value out = Value::map();
      for (const auto& [key, text] : value.entries()) out.set(key, text.is_null() ? Value("") : text);
      return out;
    }
    case Type::object:
      return value.is_null() ? Value() : written_members(value, field.members);
    case Type::objects:
      break;
  }
  if (value.empty()) return {};
  Value out = Value::list();
  for (const Value& item : value.items())
    out.push_back(item.is_null() ? Value() : written_members(item, field.members));
  return out;
}

Value empty_of(Type type) {
  return type == Type::text     ? Value("")
         : type == Type::number ? Value(0)
         : type == Type::object ? Value::map()
                                : Value();
}

Value written_members(const Value& object, const Field* members) {
  Value out = Value::map();
  for (const Field* field = members; !field->name.empty(); ++field) {
    Value value = written(object[field->name], *field);
    // A source value may be the empty string: kustomize tells it from an absent one.
    if (field->name == "sourceValue" && object[field->name].is_string()) value = object[field->name];
    if (value.is_null() && field->written == Written::always) {
      value = field->type == Type::object ? written_members(Value::map(), field->members) : empty_of(field->type);
      out.set(field->name, std::move(value));
    } else if (!value.is_null()) {
      out.set(field->name, std::move(value));
    }
  }
  // A target that selects nothing is written as such.
  if (members == kReplacementTarget && !out.contains("select")) out.set("select", Value());
  return out;
}

void append_to(Value& fields, const char* to, const char* from) {
  const Value moved = fields[from];
  fields.erase(from);
  for (const Value& item : moved.items()) fields.edit(to).push_back(item);
}

}  // namespace

Result<void> check_fields(Value& kustomization) {
  return check_object(kustomization, kTop, "");
}

Value written_field(std::string_view name, const Value& value) {
  for (const Field& field : kTop) {
    if (field.name == name) return written(value, field);
  }
  return {};
}

std::span<const std::string_view> field_order() {
  return kOrder;
}

std::string_view field_named(std::string_view text) {
  const auto found =
      std::find_if(std::begin(kOrder), std::end(kOrder), [&](auto name) { return equals_ignoring_case(name, text); });
  return found == std::end(kOrder) ? std::string_view() : *found;
}

Value modern_chart(const Value& old) {
  static constexpr std::pair<const char*, const char*> kNames[] = {
      {"chartName", "name"},         {"chartVersion", "version"},     {"chartRepoUrl", "repo"},
      {"values", "valuesFile"},      {"valuesLocal", "valuesInline"}, {"valuesMerge", "valuesMerge"},
      {"releaseName", "releaseName"}};
  Value chart = Value::map();
  for (const auto& [from, to] : kNames) {
    if (old.contains(from)) chart.set(to, old[from]);
  }
  return chart;
}

void modernise(Value& fields) {
  append_to(fields, "resources", "bases");
  append_to(fields, "images", "imageTags");
  for (const char* generators : {"configMapGenerator", "secretGenerator"}) {
    for (std::size_t i = 0; i < fields[generators].size(); ++i) {
      const Value env = fields[generators][i]["env"];
      if (env.is_null()) continue;
      Value& generator = fields.edit(generators).edit(i);
      generator.erase("env");
      if (!env.as_string().empty()) generator.edit("envs").push_back(env);
    }
  }
}

}  // namespace caisson::render::kustomize_impl
