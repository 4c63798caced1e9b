// SPDX-License-Identifier: Apache-2.0
#include "delivery/pipeline/params.h"

#include "core/base/text.h"
#include "core/document/json.h"
#include "delivery/pipeline/cel.h"

namespace caisson::pipeline {
namespace {

Error invalid(std::string message) {
  return Error{ErrorCode::invalid, std::move(message)};
}

std::string_view type_of(const Value& declaration) {
  if (const auto type = declaration["type"].as_string(); !type.empty()) return type;
  if (!declaration["properties"].is_null()) return "object";
  const Value& fallback = declaration["default"];
  return fallback.is_list() ? "array" : fallback.is_map() ? "object" : "string";
}

const Value* find_named(const Value& list, std::string_view name) {
  for (const Value& item : list.items()) {
    if (item["name"].as_string() == name) return &item;
  }
  return nullptr;
}

Result<void> check_type(std::string_view name, std::string_view type, const Value& value) {
  const bool fits = type == "array"    ? value.is_list()
                    : type == "object" ? value.is_map()
                                       : !value.is_list() && !value.is_map();
  if (!fits)
    return invalid("param \"" + std::string(name) + "\" is of type " + std::string(type) + ", but its value is a " +
                   std::string(document::kind_name(value.kind())));
  return {};
}

}  // namespace

Result<void> add_params(Scope& scope, const Value& declared, const Value& given, bool extra_allowed) {
  std::vector<std::string> missing;
  for (const Value& declaration : declared.items()) {
    const std::string name = declaration["name"].str();
    const Value* fallback = declaration.find("default");
    const Value* set = find_named(given, name);
    Value value = set != nullptr ? (*set)["value"] : fallback != nullptr ? *fallback : Value();
    if (set == nullptr && fallback == nullptr) {
      missing.push_back(name);
      continue;
    }
    TRY(check_type(name, type_of(declaration), value));
    if (value.is_map()) {  // keys that the run leaves out come from the default
      for (const auto& entry : fallback != nullptr ? fallback->entries() : std::span<const document::MapEntry>()) {
        if (!value.contains(entry.key)) value.set(entry.key, entry.value);
      }
      for (const auto& property : declaration["properties"].entries()) {
        if (!value.contains(property.key))
          return invalid("param \"" + name + "\" lacks the key \"" + std::string(property.key) + "\"");
      }
    }
    if (const Value& choices = declaration["enum"]; !choices.empty()) {
      bool found = false;
      for (const Value& choice : choices.items()) found = found || choice == value;
      if (!found) return invalid("param \"" + name + "\" value " + value.scalar_text() + " is not one of its enum");
    }
    scope.set("params." + name, std::move(value));
  }
  if (!missing.empty())
    return invalid("missing values for these params which have no default values: [" + join(missing, " ") + "]");
  for (const Value& extra : given.items()) {
    const std::string name = extra["name"].str();
    if (extra_allowed && find_named(declared, name) == nullptr) scope.set("params." + name, extra["value"]);
  }
  return {};
}

Result<void> check_references(const Value& document, const Scope& scope, std::string_view prefix,
                              std::string_view what) {
  for (const std::string& reference : references(document)) {
    if (!reference.starts_with(prefix)) continue;
    std::string name = reference.substr(0, reference.find('['));
    bool known = false;
    while (!known && name.size() > prefix.size()) {
      known = scope.find(name) != nullptr;
      const auto dot = name.rfind('.');
      name.resize(dot == std::string::npos ? 0 : dot);
    }
    if (!known) return invalid(std::string(what) + ": $(" + reference + ") refers to something that is not declared");
  }
  return {};
}

Result<bool> when_holds(const Value& when) {
  if (when.contains("cel")) return when_cel_holds(when["cel"].as_string());
  const std::string_view operation = when["operator"].as_string();
  bool found = false;
  for (const Value& value : when["values"].items()) found = found || value.scalar_text() == when["input"].scalar_text();
  if (operation == "in") return found;
  if (operation == "notin") return !found;
  return invalid("operator \"" + std::string(operation) + "\" is not recognized. valid operators: in, notin");
}

Result<Value> parse_result(std::string_view type, const std::string& text) {
  if (type != "array" && type != "object") return Value(text);
  Value value = TRY(json::parse(text));
  if (type == "array" ? !value.is_list() : !value.is_map())
    return Error{ErrorCode::bad_request,
                 "the result is of type " + std::string(type) + ", but was written as something else"};
  return value;
}

}  // namespace caisson::pipeline
