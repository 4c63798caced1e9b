// SPDX-License-Identifier: Apache-2.0
#include "core/expr/cel/schema.h"

#include <algorithm>

namespace caisson::cel {
namespace {

using document::Value;
constexpr int kDepthMax = 64;

constexpr std::string_view kReserved[] = {"true",     "false",   "null",      "in",       "as",  "break",  "const",
                                          "continue", "else",    "for",       "function", "if",  "import", "let",
                                          "loop",     "package", "namespace", "return",   "var", "void",   "while"};

std::uint64_t size_of(const Value& schema, std::string_view key) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, schema[key].as_int()));
}

Type convert(const Value& schema, const std::string& name, int depth);

Type object_type(const Value& schema, const std::string& name, int depth) {
  if (const Value& values = schema["additionalProperties"]; values.is_map()) {
    TypeNode node{.parameters = {TypeKind::string, convert(values, name + ".@values", depth + 1)}};
    node.size_max = size_of(schema, "maxProperties");
    return Type::from(TypeKind::map, std::move(node));
  }
  if (schema["additionalProperties"].as_bool()) return Type::map(TypeKind::string, Type());
  TypeNode node{.name = name};
  node.has_fields = true;
  const auto add = [&](std::string_view key, const Value& property) {
    auto written = escape_property(key);
    if (!written) return;
    node.fields.push_back({*written, std::string(key), convert(property, name + "." + std::string(key), depth + 1)});
  };
  for (const auto& [key, property] : schema["properties"].entries()) add(key, property);
  if (schema["x-kubernetes-embedded-resource"].as_bool()) {
    const Value text{{"type", "string"}};
    const Value metadata{{"type", "object"}, {"properties", Value{{"name", text}, {"generateName", text}}}};
    for (const auto& [key, property] :
         {std::pair<std::string_view, Value>{"apiVersion", text}, {"kind", text}, {"metadata", metadata}}) {
      if (!schema["properties"].contains(key)) add(key, property);
    }
  }
  std::sort(node.fields.begin(), node.fields.end(), [](const Field& a, const Field& b) { return a.name < b.name; });
  return Type::from(TypeKind::object, std::move(node));
}

Type list_type(const Value& schema, const std::string& name, int depth) {
  TypeNode node{.parameters = {convert(schema["items"], name + ".@items", depth + 1)}};
  const std::string_view semantics = schema["x-kubernetes-list-type"].as_string();
  if (semantics == "set") node.list_semantics = ListSemantics::set;
  if (semantics == "map") node.list_semantics = ListSemantics::map;
  for (const Value& key : schema["x-kubernetes-list-map-keys"].items()) {
    if (auto written = escape_property(key.as_string())) node.list_keys.push_back(*std::move(written));
  }
  node.size_max = size_of(schema, "maxItems");
  return Type::from(TypeKind::list, std::move(node));
}

Type string_type(const Value& schema) {
  const std::string_view format = schema["format"].as_string();
  if (format == "byte") return TypeKind::bytes;
  if (format == "duration") return TypeKind::duration;
  if (format == "date" || format == "date-time") return TypeKind::timestamp;
  TypeNode node;
  node.size_max = size_of(schema, "maxLength");
  return node.size_max == 0 ? Type(TypeKind::string) : Type::from(TypeKind::string, std::move(node));
}

Type convert(const Value& schema, const std::string& name, int depth) {
  if (depth > kDepthMax || schema["x-kubernetes-int-or-string"].as_bool()) return Type();
  const std::string_view type = schema["type"].as_string();
  if (type == "object" || schema["x-kubernetes-embedded-resource"].as_bool()) return object_type(schema, name, depth);
  if (type == "array") return list_type(schema, name, depth);
  if (type == "string") return string_type(schema);
  if (type == "boolean") return TypeKind::boolean;
  if (type == "number") return TypeKind::floating;
  if (type == "integer") return TypeKind::integer;
  return Type();
}

}  // namespace

std::optional<std::string> escape_property(std::string_view name) {
  if (std::find(std::begin(kReserved), std::end(kReserved), name) != std::end(kReserved))
    return "__" + std::string(name) + "__";
  std::string out;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (name.substr(i).starts_with("__")) {
      out += "__underscores__";
      ++i;
    } else if (c == '.') {
      out += "__dot__";
    } else if (c == '-') {
      out += "__dash__";
    } else if (c == '/') {
      out += "__slash__";
    } else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c >= '0' && c <= '9' && !out.empty())) {
      out += c;
    } else {
      return std::nullopt;
    }
  }
  return out.empty() ? std::nullopt : std::optional(out);
}

Type type_from_schema(const Value& schema, const std::string& name) {
  return convert(schema, name, 0);
}

}  // namespace caisson::cel
