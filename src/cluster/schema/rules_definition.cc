// SPDX-License-Identifier: Apache-2.0
// CustomResourceDefinitions: names, versions, columns, sub-resources, conversion, and schemas, which must be
// structural. Follows apiextensions-apiserver 1.33's pkg/apis/apiextensions/validation and pkg/apiserver/schema
// (validation.go, complete.go). What all versions share is told at its place of before versions (spec.validation …), as
// upstream does. Not checked: the estimated cost of rules in CEL; here they are bounded when they run.
#include <algorithm>
#include <set>

#include "cluster/schema/checks.h"
#include "cluster/schema/rules.h"
#include "cluster/schema/rules_cel.h"
#include "core/base/text.h"
#include "core/expr/cel/regex.h"

namespace caisson::schema {
namespace {

using Errors = std::vector<FieldError>;
constexpr int kDepthMax = 128;

std::string item(const std::string& list, std::size_t i) {
  return list + "[" + std::to_string(i) + "]";
}

// --- schemas: what OpenAPI's own validation refuses

void check_list(const Value& schema, const std::string& path, Errors& out) {
  const Value& type = schema["x-kubernetes-list-type"];
  const Value& keys = schema["x-kubernetes-list-map-keys"];
  const std::string_view text = type.as_string();
  if (!type.is_null() && text != "atomic" && text != "set" && text != "map")
    out.push_back({FieldError::Type::not_supported, path + ".x-kubernetes-list-type", type,
                   "supported values: \"atomic\", \"set\", \"map\""});
  if (text != "map") {
    if (!keys.empty())
      out.push_back(invalid_value(path + ".x-kubernetes-list-map-keys", keys,
                                  "must be empty if x-kubernetes-list-type is not map"));
    return;
  }
  if (keys.empty()) {
    out.push_back(
        required_value(path + ".x-kubernetes-list-map-keys", "must not be empty if x-kubernetes-list-type is map"));
    return;
  }
  const Value& items = schema["items"];
  if (items["type"].as_string() != "object")
    out.push_back(invalid_value(path + ".items.type", items["type"],
                                "must be object if parent array's x-kubernetes-list-type is map"));
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const Value& property = items["properties"][keys[i].as_string()];
    const auto required = items["required"].items();
    if (property.is_null())
      out.push_back(invalid_value(item(path + ".x-kubernetes-list-map-keys", i), keys[i],
                                  "entries must all be names of item properties"));
    else if (property["default"].is_null() && std::find(required.begin(), required.end(), keys[i]) == required.end())
      out.push_back(required_value(path + ".items.properties[" + keys[i].str() + "].default",
                                   "this property is in x-kubernetes-list-map-keys, so it must have a default or be a "
                                   "required property"));
  }
}

std::string_view json_type(const Value& value) {
  if (value.is_bool()) return "boolean";
  if (value.is_int()) return "integer";
  if (value.is_number()) return "number";
  if (value.is_string()) return "string";
  if (value.is_list()) return "array";
  return value.is_map() ? "object" : "null";
}

// RE2's words for a pattern that is none, as Go's regexp/syntax says them: "missing ): (" is "missing closing ): `(`".
std::string go_words(std::string message) {
  static constexpr std::pair<std::string_view, std::string_view> kWords[] = {
      {"missing )", "missing closing )"},
      {"missing ]", "missing closing ]"},
      {"no argument for repetition operator", "missing argument to repetition operator"},
      {"bad repetition operator", "invalid nested repetition operator"},
      {"invalid repetition size", "invalid repeat count"},
      {"invalid perl operator", "invalid or unsupported Perl syntax"},
      {"trailing \\", "trailing backslash at end of expression"}};
  constexpr std::string_view kPrefix = "error parsing regexp: ";
  if (!message.starts_with(kPrefix)) return message;
  std::string rest = message.substr(kPrefix.size());
  const std::size_t colon = rest.find(": ");
  std::string argument = colon == std::string::npos ? "" : ": `" + rest.substr(colon + 2) + "`";
  rest.resize(std::min(colon, rest.size()));
  for (const auto& [re2, go] : kWords)
    if (rest == re2) rest = go;
  return std::string(kPrefix) + rest + argument;
}

void check_default(const Value& schema, const std::string& path, Errors& out) {
  const Value* value = schema.find("default");
  if (value == nullptr || value->is_null() || schema["x-kubernetes-int-or-string"].as_bool()) return;
  const std::string_view type = schema["type"].as_string(), got = json_type(*value);
  if (type.empty() || type == got || (type == "number" && got == "integer")) return;
  out.push_back({FieldError::Type::type_invalid, path + ".default", Value(got),
                 " in body must be of type " + std::string(type) + ": \"" + std::string(got) + "\""});
}

void check_openapi(const Value& schema, const std::string& path, int depth, Errors& out);

void check_children(const Value& schema, const std::string& path, int depth, Errors& out) {
  for (const auto& [name, property] : schema["properties"].entries())
    check_openapi(property, path + ".properties[" + std::string(name) + "]", depth, out);
  if (schema["items"].is_map()) check_openapi(schema["items"], path + ".items", depth, out);
  if (schema["additionalProperties"].is_map())
    check_openapi(schema["additionalProperties"], path + ".additionalProperties", depth, out);
  for (const char* junctor : {"allOf", "anyOf", "oneOf"})
    for (std::size_t i = 0; i < schema[junctor].size(); ++i)
      check_openapi(schema[junctor][i], item(path + "." + junctor, i), depth, out);
  if (schema["not"].is_map()) check_openapi(schema["not"], path + ".not", depth, out);
}

void check_openapi(const Value& schema, const std::string& path, int depth, Errors& out) {
  if (depth > kDepthMax) {
    out.push_back(forbidden_value(path, "is nested too deeply"));
    return;
  }
  if (const Value& type = schema["type"]; !type.as_string().empty()) {
    static const std::vector<std::string> kTypes = {"array", "boolean", "integer", "number", "object", "string"};
    if (std::find(kTypes.begin(), kTypes.end(), type.as_string()) == kTypes.end())
      out.push_back(unsupported_value(path + ".type", type, kTypes));
  }
  if (schema["uniqueItems"].as_bool())
    out.push_back(forbidden_value(path + ".uniqueItems",
                                  "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"));
  if (schema["additionalProperties"].is_bool() && !schema["additionalProperties"].as_bool())
    out.push_back(forbidden_value(path + ".additionalProperties", "additionalProperties cannot be set to false"));
  if (!schema["additionalProperties"].is_null() && !schema["properties"].empty())
    out.push_back(
        forbidden_value(path + ".additionalProperties", "additionalProperties and properties are mutual exclusive"));
  if (!schema["$ref"].is_null()) out.push_back(forbidden_value(path + ".$ref", "$ref is not supported"));
  for (const char* keyword : {"definitions", "dependencies", "id", "patternProperties"})
    if (!schema[keyword].empty())
      out.push_back(forbidden_value(path + "." + keyword, std::string(keyword) + " is not supported"));
  if (const Value& pattern = schema["pattern"]; !pattern.as_string().empty())
    if (const auto compiled = cel::Regex::compile(pattern.as_string()); !compiled.ok())
      out.push_back(
          invalid_value(path + ".pattern", pattern,
                        "must be a valid regular expression, but isn't: " + go_words(compiled.error().message)));
  check_list(schema, path, out);
  check_default(schema, path, out);
  check_children(schema, path, depth + 1, out);
}

// --- schemas: structural form

// Below allOf, anyOf, oneOf and not a schema may only restrict what stands outside them.
void check_restriction(const Value& schema, const std::string& path, int depth, Errors& out) {
  if (depth > kDepthMax) return;
  for (const char* field : {"type", "description", "default", "nullable", "title"}) {
    const Value& value = schema[field];
    if (!value.is_null() && !(value.is_bool() && !value.as_bool()))
      out.push_back(forbidden_value(path + "." + field, "must be empty to be structural"));
  }
  for (const char* field :
       {"x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource", "x-kubernetes-int-or-string",
        "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type", "additionalProperties"})
    if (!schema[field].is_null()) out.push_back(forbidden_value(path + "." + field, "must be empty to be structural"));
  for (const auto& [name, property] : schema["properties"].entries())
    check_restriction(property, path + ".properties[" + std::string(name) + "]", depth + 1, out);
  if (schema["items"].is_map()) check_restriction(schema["items"], path + ".items", depth + 1, out);
  for (const char* junctor : {"allOf", "anyOf", "oneOf"})
    for (std::size_t i = 0; i < schema[junctor].size(); ++i)
      check_restriction(schema[junctor][i], item(path + "." + junctor, i), depth + 1, out);
  if (schema["not"].is_map()) check_restriction(schema["not"], path + ".not", depth + 1, out);
}

// int-or-string is written with the types it stands for: [{type: integer}, {type: string}].
bool names_int_or_string(const Value& any_of) {
  return any_of.size() == 2 && any_of[0] == Value{{"type", "integer"}} && any_of[1] == Value{{"type", "string"}};
}

void check_junctors(const Value& schema, const std::string& path, int depth, Errors& out) {
  const bool either = schema["x-kubernetes-int-or-string"].as_bool();
  for (const char* junctor : {"allOf", "anyOf", "oneOf"}) {
    const Value& list = schema[junctor];
    if (either && std::string_view(junctor) == "anyOf" && names_int_or_string(list)) continue;
    for (std::size_t i = 0; i < list.size(); ++i) {
      if (either && i == 0 && std::string_view(junctor) == "allOf" && names_int_or_string(list[i]["anyOf"])) continue;
      check_restriction(list[i], item(path + "." + junctor, i), depth + 1, out);
    }
  }
  if (schema["not"].is_map()) check_restriction(schema["not"], path + ".not", depth + 1, out);
}

enum class Place { root, field, list_item };

void check_structural(const Value& schema, const std::string& path, Place place, int depth, Errors& out) {
  if (depth > kDepthMax) return;
  const bool either = schema["x-kubernetes-int-or-string"].as_bool();
  const bool preserves = schema["x-kubernetes-preserve-unknown-fields"].as_bool();
  const Value& type = schema["type"];
  if (type.as_string().empty() && !either && !preserves)
    out.push_back(required_value(path + ".type", place == Place::root ? "must not be empty at the root"
                                                 : place == Place::list_item
                                                     ? "must not be empty for specified array items"
                                                     : "must not be empty for specified object fields"));
  else if (place == Place::root && type.as_string() != "object")
    out.push_back(invalid_value(path + ".type", type, "must be object at the root"));
  if (either && !type.as_string().empty())
    out.push_back(invalid_value(path + ".type", type, "must be empty if x-kubernetes-int-or-string is true"));
  if (type.as_string() == "array" && !schema["items"].is_map())
    out.push_back(required_value(path + ".items", "must be specified"));
  if (schema["x-kubernetes-embedded-resource"].as_bool() && type.as_string() != "object")
    out.push_back(invalid_value(path + ".type", type, "must be object if x-kubernetes-embedded-resource is true"));
  if (const Value& map_type = schema["x-kubernetes-map-type"]; !map_type.is_null()) {
    if (map_type.as_string() != "atomic" && map_type.as_string() != "granular")
      out.push_back({FieldError::Type::not_supported, path + ".x-kubernetes-map-type", map_type,
                     "supported values: \"granular\", \"atomic\""});
    else if (type.as_string() != "object")
      out.push_back(invalid_value(path + ".type", type, "must be object if x-kubernetes-map-type is specified"));
  }
  if (place == Place::root || schema["x-kubernetes-embedded-resource"].as_bool())
    for (const auto& [name, property] : schema["properties"]["metadata"]["properties"].entries())
      if (name != "name" && name != "generateName") {
        out.push_back(forbidden_value(path + ".properties[metadata]",
                                      "must not specify anything other than name and generateName, but metadata is "
                                      "implicitly specified"));
        break;
      }
  check_junctors(schema, path, depth, out);
  for (const auto& [name, property] : schema["properties"].entries())
    check_structural(property, path + ".properties[" + std::string(name) + "]", Place::field, depth + 1, out);
  if (schema["items"].is_map()) check_structural(schema["items"], path + ".items", Place::list_item, depth + 1, out);
  if (schema["additionalProperties"].is_map())
    check_structural(schema["additionalProperties"], path + ".additionalProperties", Place::field, depth + 1, out);
}

void check_schema(const Value& schema, const std::string& path, Errors& out) {
  Errors found;
  check_openapi(schema, path, 0, found);
  // With a keyword that upstream can't read, its structural form is not looked at.
  const bool readable = std::none_of(found.begin(), found.end(), [](const FieldError& error) {
    return error.type == FieldError::Type::forbidden && error.detail.ends_with(" is not supported");
  });
  if (readable) check_structural(schema, path, Place::root, 0, found);
  if (found.empty()) CelRules::check(schema, path, found);
  out.insert(out.end(), found.begin(), found.end());
}

// --- the rest of a version

void check_columns(const Value& columns, const std::string& path, Errors& out) {
  static constexpr std::string_view kTypes[] = {"boolean", "date", "integer", "number", "string"};
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const std::string at = item(path, i);
    if (columns[i]["name"].as_string().empty()) out.push_back(required_value(at + ".name"));
    const Value& type = columns[i]["type"];
    if (type.as_string().empty())
      out.push_back(required_value(at + ".type", "must be one of boolean,date,integer,number,string"));
    else if (std::find(std::begin(kTypes), std::end(kTypes), type.as_string()) == std::end(kTypes))
      out.push_back(invalid_value(at + ".type", type, "must be one of boolean,date,integer,number,string"));
    const Value& json_path = columns[i]["jsonPath"];
    if (json_path.as_string().empty())
      out.push_back(required_value(at + ".JSONPath"));
    else if (!json_path.as_string().starts_with('.'))
      out.push_back(invalid_value(at + ".JSONPath", json_path, "must be a simple json path starting with ."));
  }
}

void check_scale(const Value& scale, const std::string& path, Errors& out) {
  const auto under = [&](const char* field, std::initializer_list<std::string_view> roots, const char* words) {
    const std::string_view text = scale[field].as_string();
    if (std::any_of(roots.begin(), roots.end(), [&](std::string_view root) { return text.starts_with(root); })) return;
    out.push_back(invalid_value(path + "." + field, scale[field], words));
  };
  for (const auto& [field, root, words] :
       {std::tuple{"specReplicasPath", ".spec.", "should be a json path under .spec"},
        std::tuple{"statusReplicasPath", ".status.", "should be a json path under .status"}}) {
    if (scale[field].as_string().empty())
      out.push_back(required_value(path + "." + field));
    else
      under(field, {root}, words);
  }
  if (!scale["labelSelectorPath"].as_string().empty())
    under("labelSelectorPath", {".spec.", ".status."}, "should be a json path under either .spec or .status");
}

// Where what a version has is told: at the definition when all versions have the same.
std::string place_of(const Value& versions, std::size_t i, const char* field, const std::string& hoisted,
                     const std::string& own) {
  for (const Value& version : versions.items())
    if (!(version[field] == versions[0][field])) return item("spec.versions", i) + "." + own;
  return "spec." + hoisted;
}

void check_versions(const Value& spec, Errors& out) {
  const Value& versions = spec["versions"];
  std::set<std::string> names;
  std::size_t storing = 0;
  bool unique = true;
  for (std::size_t i = 0; i < versions.size(); ++i) {
    const Value& version = versions[i];
    storing += version["storage"].as_bool() ? 1 : 0;
    unique = names.insert(version["name"].str()).second && unique;
    for (const std::string& why : check_dns_1035_label(version["name"].as_string())) {
      out.push_back(invalid_value(item("spec.versions", i) + ".name", version["name"], why));
      if (i == 0 && !version["name"].as_string().empty())
        out.push_back(invalid_value("spec.version", version["name"], why));
    }
    if (!version["schema"]["openAPIV3Schema"].is_map())
      out.push_back(required_value(item("spec.versions", i) + ".schema.openAPIV3Schema", "schemas are required"));
  }
  if (!unique) out.push_back(invalid_value("spec.versions", versions, "must contain unique version names"));
  if (storing != 1)
    out.push_back(invalid_value("spec.versions", versions, "must have exactly one version marked as storage version"));
  std::set<std::string> told;  // what all share is looked at once
  for (std::size_t i = 0; i < versions.size(); ++i) {
    const Value& version = versions[i];
    const std::string schema_at =
        place_of(versions, i, "schema", "validation.openAPIV3Schema", "schema.openAPIV3Schema");
    if (const Value& schema = version["schema"]["openAPIV3Schema"]; schema.is_map() && told.insert(schema_at).second)
      check_schema(schema, schema_at, out);
    const std::string columns_at =
        place_of(versions, i, "additionalPrinterColumns", "additionalPrinterColumns", "additionalPrinterColumns");
    if (told.insert(columns_at).second) check_columns(version["additionalPrinterColumns"], columns_at, out);
    const std::string scale_at = place_of(versions, i, "subresources", "subresources", "subresources") + ".scale";
    if (const Value& scale = version["subresources"]["scale"]; scale.is_map() && told.insert(scale_at).second)
      check_scale(scale, scale_at, out);
  }
}

// --- names, conversion, status

void check_names(const Value& names, Errors& out) {
  for (const char* field : {"plural", "singular", "kind", "listKind"}) {
    const std::string path = std::string("spec.names.") + field, text = names[field].str();
    const bool mixed = std::string_view(field) == "kind" || std::string_view(field) == "listKind";
    if (text.empty()) {
      out.push_back(required_value(path));
      continue;
    }
    for (const std::string& why : check_dns_1035_label(mixed ? to_lower(text) : text))
      out.push_back(
          invalid_value(path, names[field], mixed ? "may have mixed case, but should otherwise match: " + why : why));
  }
  for (const char* field : {"shortNames", "categories"})
    for (std::size_t i = 0; i < names[field].size(); ++i)
      for (const std::string& why : check_dns_1035_label(names[field][i].as_string()))
        out.push_back(invalid_value(item(std::string("spec.names.") + field, i), names[field][i], why));
  if (!names["kind"].as_string().empty() && names["kind"] == names["listKind"])
    out.push_back(invalid_value("spec.names.listKind", names["listKind"], "kind and listKind may not be the same"));
}

void check_conversion(const Value& conversion, Errors& out) {
  const std::string at = "spec.conversion";
  const std::string_view strategy = conversion["strategy"].as_string();
  const Value& webhook = conversion["webhook"];
  if (strategy == "Webhook") {
    if (!webhook["clientConfig"].is_map())
      out.push_back(required_value(at + ".webhookClientConfig", "required when strategy is set to Webhook"));
    else
      check_webhook_client(webhook["clientConfig"], at + ".webhookClientConfig", out);
    const auto versions = webhook["conversionReviewVersions"].items();
    if (versions.empty())
      out.push_back(required_value(at + ".conversionReviewVersions"));
    else if (std::find(versions.begin(), versions.end(), Value("v1")) == versions.end())
      out.push_back(invalid_value(at + ".conversionReviewVersions", webhook["conversionReviewVersions"],
                                  "must include at least one of v1"));
    return;
  }
  if (!strategy.empty() && strategy != "None")
    out.push_back(unsupported_value(at + ".strategy", conversion["strategy"], {"None", "Webhook"}));
  if (webhook.is_map())
    out.push_back(
        forbidden_value(at + ".webhookClientConfig", "should not be set when strategy is not set to Webhook"));
}

void check_stored_versions(const Value& object, Errors& out) {
  const Value& stored = object["status"]["storedVersions"];
  if (stored.empty()) {
    out.push_back(
        invalid_value("status.storedVersions", go_value("[]string(nil)"), "must have at least one stored version"));
    return;
  }
  const auto has = [&](const Value& name) {
    const auto items = stored.items();
    return std::find(items.begin(), items.end(), name) != items.end();
  };
  for (const Value& version : object["spec"]["versions"].items())
    if (version["storage"].as_bool() && !has(version["name"]))
      out.push_back(
          invalid_value("status.storedVersions", stored, "must have the storage version " + version["name"].str()));
  for (std::size_t i = 0; i < stored.size(); ++i) {
    const auto versions = object["spec"]["versions"].items();
    if (std::none_of(versions.begin(), versions.end(), [&](const Value& v) { return v["name"] == stored[i]; }))
      out.push_back(invalid_value(item("status.storedVersions", i), stored[i], "must appear in spec.versions"));
  }
}

bool is_protected(std::string_view group) {
  for (const std::string_view domain : {"k8s.io", "kubernetes.io"})
    if (group == domain || group.ends_with("." + std::string(domain))) return true;
  return false;
}

}  // namespace

void check_definition(const Value& object, Errors& out) {
  const Value& spec = object["spec"];
  const std::string want = spec["names"]["plural"].str() + "." + spec["group"].str();
  if (const std::string_view name = object["metadata"]["name"].as_string(); !name.empty() && name != want)
    out.push_back(
        invalid_value("metadata.name", object["metadata"]["name"], "must be spec.names.plural+\".\"+spec.group"));
  const std::string_view group = spec["group"].as_string();
  if (const auto why = check_dns_subdomain(group); !group.empty() && !why.empty())
    out.push_back(invalid_value("spec.group", spec["group"], join(why, ",")));
  else if (!group.empty() && group.find('.') == std::string_view::npos)
    out.push_back(invalid_value("spec.group", spec["group"], "should be a domain with at least one dot"));
  const std::string_view scope = spec["scope"].as_string();
  if (!scope.empty() && scope != "Namespaced" && scope != "Cluster")
    out.push_back(unsupported_value("spec.scope", spec["scope"], {"Cluster", "Namespaced"}));
  if (spec["preserveUnknownFields"].as_bool())
    out.push_back(invalid_value("spec.preserveUnknownFields", spec["preserveUnknownFields"],
                                "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in "
                                "spec.versions[*].schema instead"));
  check_versions(spec, out);
  check_names(spec["names"], out);
  check_conversion(spec["conversion"], out);
  check_stored_versions(object, out);
  if (is_protected(group) && object["metadata"]["annotations"]["api-approved.kubernetes.io"].as_string().empty())
    out.push_back(required_value("metadata.annotations[api-approved.kubernetes.io]",
                                 "protected groups must have approval annotation \"api-approved.kubernetes.io\", see "
                                 "https://github.com/kubernetes/enhancements/pull/1111"));
}

}  // namespace caisson::schema
