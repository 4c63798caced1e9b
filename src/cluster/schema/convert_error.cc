// SPDX-License-Identifier: Apache-2.0
// What runtime.DefaultUnstructuredConverter would say of an object: the first value that does not fit. It makes a typed
// object of what a strategic merge patch gave, and knows other words than the decoder of a body (decode_error.cc).
// Follows apimachinery 1.33, pkg/runtime/converter.go.
#include <cmath>

#include "cluster/schema/go_names.h"
#include "cluster/schema/update_checks.h"
#include "core/base/quantity.h"
#include "core/base/text.h"
#include "core/calendar/go_time.h"
#include "core/document/json.h"

namespace caisson::schema {
namespace {

using Refusal = std::optional<std::string>;

// reflect's kind of a value that was read from JSON.
std::string_view go_kind(const Value& value) {
  return value.is_map()      ? "map"
         : value.is_list()   ? "slice"
         : value.is_bool()   ? "bool"
         : value.is_int()    ? "int64"
         : value.is_number() ? "float64"
                             : "string";
}

std::string_view json_kind_of(const Value& value) {
  return value.is_map() ? "object" : value.is_list() ? "array" : value.is_bool() ? "bool" : value.is_number() ? "number" : "string";
}

// A type with an UnmarshalJSON of its own gets the value as JSON again.
std::string not_json(const Value& value, std::string_view type) {
  const std::string number = value.is_number() && type == "int32" ? " " + value.scalar_text() : "";
  return "json: cannot unmarshal " + std::string(json_kind_of(value)) + number + " into Go value of type " +
         std::string(type);
}

// bool, string, int32, int64 and float64, and types made of them: `kind` is reflect's, `type` the name.
Refusal plain(const Value& value, std::string_view kind, const std::string& type) {
  const bool number = kind == "int32" || kind == "int64" || kind == "float64";
  if (go_kind(value) == kind) return std::nullopt;
  if (number && value.is_int()) return std::nullopt;
  if (number && value.is_number() && (kind == "float64" || value.as_double() == std::trunc(value.as_double())))
    return std::nullopt;
  const bool convertible = (number && value.is_number()) || (kind == "string" && value.is_int());
  return convertible ? "cannot convert " + std::string(go_kind(value)) + " to " + type
                     : "unrecognized type: " + std::string(kind);
}

Refusal convert(const Field& field, const Value& value, std::string_view named);

Refusal convert_text(const Field& field, const Value& value, std::string_view named) {
  if (field.format == Format::quantity) {
    const std::string literal = value.is_string() ? std::string(trim(value.as_string())) : json::write(value);
    if (Quantity::parse(literal)) return std::nullopt;
    return Quantity::refusal(literal).message;
  }
  if (field.format == Format::time || field.format == Format::micro_time) {
    if (!value.is_string()) return not_json(value, "string");
    const std::string_view layout =
        field.format == Format::time ? calendar::kRfc3339 : std::string_view("2006-01-02T15:04:05.000000Z07:00");
    const auto parsed = calendar::parse_go_time(layout, value.as_string(), calendar::TimeZone::utc());
    return parsed.ok() ? Refusal() : parsed.error().message;
  }
  if (field.format == Format::byte) {
    if (!value.is_string()) return "cannot restore slice from " + std::string(go_kind(value));
    const auto place = base64_error_at(value.as_string());
    return place ? Refusal("error decoding from json: illegal base64 data at input byte " + std::to_string(*place)) : std::nullopt;
  }
  return plain(value, "string", named.empty() ? "string" : std::string(named));
}

Refusal convert_object(const Field& field, const Value& value) {
  if (!value.is_map()) return "cannot restore struct from: " + std::string(go_kind(value));
  if (!field.object || field.object->in_crd) return std::nullopt;
  for (const auto& [key, child] : value.entries())
    if (const Member* member = field.object->find(key))
      if (Refusal why = convert(*member->field, child, named_go_type(*field.object, key))) return why;
  return std::nullopt;
}

Refusal convert_items(const Field& field, const Value& value, std::string_view named) {
  if (!value.is_list()) return "cannot restore slice from " + std::string(go_kind(value));
  const std::string_view of_item = named.starts_with("[]") ? named.substr(2) : std::string_view();
  for (const Value& item : value.items())
    if (Refusal why = field.element ? convert(*field.element, item, of_item) : std::nullopt) return why;
  return std::nullopt;
}

Refusal convert(const Field& field, const Value& value, std::string_view named) {
  if (value.is_null()) return std::nullopt;
  switch (field.type) {
    case FieldType::any:
      return std::nullopt;
    case FieldType::boolean:
      return plain(value, "bool", "bool");
    case FieldType::number:
      return plain(value, "float64", "float64");
    case FieldType::integer:
      return plain(value, field.format == Format::int64 ? "int64" : "int32", named.empty() ? go_type(field) : std::string(named));
    case FieldType::int_or_string:
      return value.is_string() || value.is_int() ? Refusal() : not_json(value, "int32");
    case FieldType::string:
      return convert_text(field, value, named);
    case FieldType::list:
      return convert_items(field, value, named);
    case FieldType::map:
      if (!value.is_map()) return "cannot restore map from " + std::string(go_kind(value));
      for (const auto& [key, child] : value.entries())
        if (Refusal why = field.element ? convert(*field.element, child, {}) : std::nullopt) return why;
      return std::nullopt;
    case FieldType::object:
      return convert_object(field, value);
  }
  return std::nullopt;
}

}  // namespace

std::optional<Error> convert_error(const KindSchema& kind, const Value& object) {
  auto why = convert(kind.root(), object, {});
  if (!why) return std::nullopt;
  return Error{ErrorCode::bad_request, *why};
}

}  // namespace caisson::schema
