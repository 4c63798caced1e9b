// SPDX-License-Identifier: Apache-2.0
// Chart.yaml. Source: Helm 3.22 pkg/chart/metadata.go and dependency.go; Go's encoding/json for the types, with
// sigs.k8s.io/yaml's rule that a scalar becomes text where text is wanted.
#include <algorithm>
#include <set>

#include "core/base/file.h"
#include "core/base/text.h"
#include "delivery/render/helm/chart.h"
#include "delivery/render/helm/go_text.h"
#include "delivery/render/helm/version.h"

namespace caisson::render::helm {
namespace {

Error validation(const std::string& message) {
  return {ErrorCode::invalid, "validation: " + message};
}

// The member of that name, however its letters are cased.
const Value& member(const Value& from, std::string_view name) {
  static const Value kAbsent;
  if (const Value* exact = from.find(name)) return *exact;
  for (const auto& [key, value] : from.entries()) {
    if (equals_ignoring_case(key, name)) return value;
  }
  return kAbsent;
}

Error wrong_type(const Value& value, const std::string& field, std::string_view wanted) {
  return {ErrorCode::invalid, "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal " +
                                  go_json_kind(value) + " into Go struct field " + field + " of type " +
                                  std::string(wanted)};
}

Result<std::string> text_of(const Value& value, const std::string& field) {
  if (value.is_list() || value.is_map()) return wrong_type(value, field, "string");
  if (value.kind() == ValueKind::floating) {
    const std::string shortest = go_float(value.as_double());
    return shortest;
  }
  if (value.is_int()) return std::to_string(value.as_int());
  return value.scalar_text();
}

Result<std::vector<std::string>> texts_of(const Value& value, const std::string& field) {
  std::vector<std::string> out;
  if (value.is_null()) return out;
  if (!value.is_list()) return wrong_type(value, field, "[]string");
  for (const Value& item : value.items()) out.push_back(TRY(text_of(item, field)));
  return out;
}

std::uint32_t next_rune(std::string_view text, std::size_t& at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(at++);
  const int more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : first >= 0xC0 ? 1 : 0;
  std::uint32_t rune = more == 3 ? first & 7 : more == 2 ? first & 15 : more == 1 ? first & 31 : first;
  for (int i = 0; i < more && at < text.size(); ++i) rune = rune << 6 | (byte(at++) & 63);
  return rune;
}

bool is_space(std::uint32_t rune) {
  return (rune >= 9 && rune <= 13) || rune == ' ' || rune == 0x85 || rune == 0xA0 || rune == 0x1680 ||
         (rune >= 0x2000 && rune <= 0x200A) || rune == 0x2028 || rune == 0x2029 || rune == 0x202F || rune == 0x205F ||
         rune == 0x3000;
}

bool is_printable(std::uint32_t rune) {  // less controls, formats, private use and surrogates
  return rune >= 0x20 && !(rune >= 0x7F && rune < 0xA0) && rune != 0xAD && !(rune >= 0x200B && rune <= 0x200F) &&
         !(rune >= 0x202A && rune <= 0x202E) && !(rune >= 0x2060 && rune <= 0x206F) &&
         !(rune >= 0xD800 && rune <= 0xF8FF) && rune != 0xFEFF && !(rune >= 0xFFF0 && rune <= 0xFFFB);
}

// White space becomes a space, what does not print goes.
std::string sanitized(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t start = at;
    const std::uint32_t rune = next_rune(text, at);
    if (is_space(rune))
      out += ' ';
    else if (is_printable(rune))
      out += text.substr(start, at - start);
  }
  return out;
}

Result<Dependency> read_dependency(const Value& from) {
  if (!from.is_map()) return validation("dependencies must not contain empty or null nodes");
  Dependency out;
  out.name = TRY(text_of(member(from, "name"), "Dependency.dependencies.name"));
  out.version = TRY(text_of(member(from, "version"), "Dependency.dependencies.version"));
  out.repository = TRY(text_of(member(from, "repository"), "Dependency.dependencies.repository"));
  out.condition = TRY(text_of(member(from, "condition"), "Dependency.dependencies.condition"));
  out.alias = TRY(text_of(member(from, "alias"), "Dependency.dependencies.alias"));
  out.tags = TRY(texts_of(member(from, "tags"), "Dependency.dependencies.tags"));
  const Value& imports = member(from, "import-values");
  if (!imports.is_null() && !imports.is_list())
    return wrong_type(imports, "Dependency.dependencies.import-values", "[]interface {}");
  for (const Value& one : imports.items()) out.import_values.push_back(one);
  for (std::string* text : {&out.name, &out.version, &out.repository, &out.condition}) *text = sanitized(*text);
  for (std::string& tag : out.tags) tag = sanitized(tag);
  return out;
}

bool is_alias(std::string_view alias) {
  return std::all_of(alias.begin(), alias.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

Result<Value> read_maintainers(const Value& from) {
  if (!from.is_list()) return wrong_type(from, "Metadata.maintainers", "[]*chart.Maintainer");
  Value out = Value::list();
  for (const Value& one : from.items()) {
    if (one.is_null()) return validation("maintainers must not contain empty or null nodes");
    if (!one.is_map()) return wrong_type(one, "Metadata.maintainers", "chart.Maintainer");
    Value person = Value::map();
    for (const char* field : {"name", "email", "url"}) {
      const std::string text =
          sanitized(TRY(text_of(member(one, field), std::string("Maintainer.maintainers.") + field)));
      if (!text.empty()) person.set(field, text);
    }
    out.push_back(std::move(person));
  }
  return out;
}

Result<Value> read_annotations(const Value& from) {
  if (!from.is_map()) return wrong_type(from, "Metadata.annotations", "map[string]string");
  Value out = Value::map();
  for (const auto& [key, value] : from.entries()) out.set(key, TRY(text_of(value, "Metadata.annotations")));
  return out;
}

// One list or map of Chart.yaml into `fields`; empty ones are left out, as Go's omitempty does.
Result<void> read_collection(const Value& document, const char* name, Value& fields) {
  const Value& from = member(document, name);
  if (from.is_null()) return {};
  Value read;
  if (std::string_view(name) == "maintainers") {
    read = TRY(read_maintainers(from));
  } else if (std::string_view(name) == "annotations") {
    read = TRY(read_annotations(from));
  } else {
    read = Value::list();
    for (const std::string& text : TRY(texts_of(from, std::string("Metadata.") + name)))
      read.push_back(sanitized(text));
  }
  if (!read.empty()) fields.set(name, std::move(read));
  return {};
}

Value dependency_fields(const Dependency& dependency) {
  Value out = Value::map();
  out.set("name", dependency.name);
  if (!dependency.version.empty()) out.set("version", dependency.version);
  out.set("repository", dependency.repository);
  if (!dependency.condition.empty()) out.set("condition", dependency.condition);
  if (!dependency.tags.empty()) out.set("tags", Value::list_of(dependency.tags));
  if (!dependency.import_values.empty()) out.set("import-values", Value(dependency.import_values));
  if (!dependency.alias.empty()) out.set("alias", dependency.alias);
  return out;
}

}  // namespace

bool Metadata::is_library() const {
  return equals_ignoring_case(type, "library");
}

Result<void> read_metadata(const Value& document, Metadata& into) {
  if (document.is_null()) return {};
  if (!document.is_map()) {
    return Error{ErrorCode::invalid, "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal " +
                                         go_json_kind(document) + " into Go value of type chart.Metadata"};
  }
  if (into.fields.is_null()) into.fields = Value::map();
  const auto text = [&](const char* name, std::string* out, bool clean) -> Result<void> {
    const Value& from = member(document, name);
    if (from.is_null()) return {};
    std::string read = TRY(text_of(from, std::string("Metadata.") + name));
    if (clean) read = sanitized(read);
    if (out != nullptr) *out = read;
    if (!read.empty()) into.fields.set(name, read);
    return {};
  };
  TRY(text("name", &into.name, true));
  TRY(text("home", nullptr, true));
  TRY(read_collection(document, "sources", into.fields));
  TRY(text("version", &into.version, false));
  TRY(text("description", nullptr, true));
  TRY(read_collection(document, "keywords", into.fields));
  TRY(read_collection(document, "maintainers", into.fields));
  TRY(text("icon", nullptr, true));
  TRY(text("apiVersion", &into.api_version, false));
  TRY(text("condition", nullptr, true));
  TRY(text("tags", nullptr, true));
  TRY(text("appVersion", &into.app_version, true));
  if (const Value& deprecated = member(document, "deprecated"); !deprecated.is_null()) {
    if (!deprecated.is_bool()) return wrong_type(deprecated, "Metadata.deprecated", "bool");
    into.deprecated = deprecated.as_bool();
    if (into.deprecated) into.fields.set("deprecated", true);
  }
  TRY(read_collection(document, "annotations", into.fields));
  TRY(text("kubeVersion", &into.kube_version, true));
  if (const Value& dependencies = member(document, "dependencies"); !dependencies.is_null()) {
    if (!dependencies.is_list()) return wrong_type(dependencies, "Metadata.dependencies", "[]*chart.Dependency");
    into.dependencies.clear();
    Value shown = Value::list();
    for (const Value& one : dependencies.items()) {
      into.dependencies.push_back(TRY(read_dependency(one)));
      shown.push_back(dependency_fields(into.dependencies.back()));
    }
    if (!shown.empty()) into.fields.set("dependencies", std::move(shown));
  }
  return text("type", &into.type, false);
}

Result<void> check_metadata(Metadata& metadata) {
  if (metadata.api_version.empty()) return validation("chart.metadata.apiVersion is required");
  if (metadata.name.empty()) return validation("chart.metadata.name is required");
  if (metadata.name == "." || metadata.name == "..")
    return validation("chart.metadata.name " + go_quote(metadata.name) + " is not allowed");
  if (metadata.name.find('/') != std::string::npos)
    return validation("chart.metadata.name " + go_quote(metadata.name) + " is invalid");
  if (metadata.version.empty()) return validation("chart.metadata.version is required");
  if (!is_version(metadata.version))
    return validation("chart.metadata.version " + go_quote(metadata.version) + " is invalid");
  if (!metadata.type.empty() && metadata.type != "application" && metadata.type != "library")
    return validation("chart.metadata.type must be application or library");
  std::set<std::string> names;
  for (const Dependency& dependency : metadata.dependencies) {
    if (!is_alias(dependency.alias))
      return validation("dependency " + go_quote(dependency.name) + " has disallowed characters in the alias");
    if (!names.insert(dependency.key()).second)
      return validation("more than one dependency with name or alias " + go_quote(dependency.key()));
  }
  return {};
}

}  // namespace caisson::render::helm
