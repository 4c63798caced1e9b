// SPDX-License-Identifier: Apache-2.0
#include "cluster/schema/go_names.h"

#include <map>

#include "cluster/schema/kind_files.h"
#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::schema {
namespace {

// Member to type, of "core.v1.Secret" (kinds/go_types.yaml).
using NamedTypes = std::map<std::string_view, std::map<std::string_view, std::string_view>>;

const NamedTypes& named_types() {
  static const Value kSource = [] {
    for (const KindFile& file : kind_files())
      if (file.path == "go_types.yaml") return json::parse(file.json).value();
    return Value::map();
  }();
  static const NamedTypes kTypes = [] {
    NamedTypes types;
    for (const auto& [name, members] : kSource.entries())
      for (const std::string_view word : split(members.as_string(), ' '))
        types[name][word.substr(0, word.find('='))] = word.substr(word.find('=') + 1);
    return types;
  }();
  return kTypes;
}

}  // namespace

std::string_view last_parts(std::string_view full, int parts) {
  std::size_t at = full.size();
  for (; parts > 0 && at != std::string_view::npos; --parts) at = full.rfind('.', at - 1);
  return at == std::string_view::npos ? full : full.substr(at + 1);
}

std::string_view named_go_type(const ObjectType& holder, std::string_view member) {
  const auto type = named_types().find(last_parts(holder.name, 3));
  if (type == named_types().end()) return {};
  const auto found = type->second.find(member);
  return found == type->second.end() ? std::string_view() : found->second;
}

std::string go_type(const Field& field) {
  switch (field.type) {
    case FieldType::any:
      return "interface {}";
    case FieldType::boolean:
      return "bool";
    case FieldType::integer:
      return field.format == Format::int64 ? "int64" : "int32";
    case FieldType::int_or_string:
      return "int32";
    case FieldType::number:
      return "float64";
    case FieldType::string:
      return field.format == Format::byte ? "[]uint8" : "string";
    case FieldType::list:
      return "[]" + (field.element ? go_type(*field.element) : "interface {}");
    case FieldType::map:
      return "map[string]" + (field.element ? go_type(*field.element) : "string");
    case FieldType::object:
      return field.object ? std::string(last_parts(field.object->name, 2)) : "map[string]interface {}";
  }
  return "";
}

std::optional<std::size_t> base64_error_at(std::string_view text) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::size_t at = 0, digits = 0;  // digits of the group of four that is being read
  const auto skip_newlines = [&] {
    while (at < text.size() && (text[at] == '\n' || text[at] == '\r')) ++at;
  };
  while (true) {
    skip_newlines();
    if (at == text.size()) return digits == 0 ? std::nullopt : std::optional(at - digits);
    const char c = text[at++];
    if (kAlphabet.find(c) != std::string_view::npos) {
      digits = (digits + 1) % 4;
      continue;
    }
    if (c != '=' || digits < 2) return at - 1;
    if (digits == 2) {
      skip_newlines();
      if (at == text.size()) return at;
      if (text[at] != '=') return at - 1;
      ++at;
    }
    skip_newlines();
    return at == text.size() ? std::nullopt : std::optional(at);
  }
}

}  // namespace caisson::schema
