// SPDX-License-Identifier: Apache-2.0
#include "core/expr/cel/value.h"

#include <cmath>

#include "core/base/check.h"
#include "core/base/encoding.h"
#include "core/expr/cel/value_data.h"

namespace caisson::cel {
namespace {

constexpr std::size_t kLinearMax = 8;

std::uint64_t mix(std::uint64_t x) {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdULL;
  return x ^ (x >> 33);
}

// Equal keys hash equally: whole numbers by their value, whatever their type.
std::uint64_t hash_key(const Value& key) {
  switch (key.kind()) {
    case Kind::boolean:
      return key.as_bool() ? 3 : 5;
    case Kind::integer:
      return mix(static_cast<std::uint64_t>(key.as_int()));
    case Kind::unsigned_integer:
      return mix(key.as_uint());
    case Kind::floating: {
      const double d = key.as_double();
      if (d >= -9.2e18 && d <= 9.2e18) return mix(static_cast<std::uint64_t>(static_cast<std::int64_t>(d)));
      return d > 0 && d < 1.8446744073709551e19 ? mix(static_cast<std::uint64_t>(d)) : 7;
    }
    case Kind::string:
      return std::hash<std::string_view>{}(key.as_string());
    default:
      return 11;
  }
}

void put(MapData& map, std::size_t position) {
  const std::size_t mask = map.index.size() - 1;
  std::size_t at = hash_key(map.entries[position].first) & mask;
  while (map.index[at] != 0) at = (at + 1) & mask;
  map.index[at] = static_cast<std::uint32_t>(position + 1);
}

Value from_string(const document::Value& document, TypeKind kind) {
  if (kind == TypeKind::timestamp) {
    const std::string text = document.str();
    // A plain date is the format "date".
    if (auto time = parse_timestamp(text.size() == 10 ? text + "T00:00:00Z" : text)) return Value(*time);
  } else if (kind == TypeKind::duration) {
    if (auto duration = parse_go_duration(document.as_string())) return Value(*duration);
  } else if (kind == TypeKind::bytes) {
    auto bytes = unbase64(document.as_string());
    if (bytes.ok()) return Value::bytes(std::move(bytes).value());
  }
  return Value::from(document);
}

}  // namespace

Result<Value> Object::field(std::string_view name) const {
  return Error{ErrorCode::bad_request, "no such field '" + std::string(name) + "'"};
}
Result<bool> Object::has_field(std::string_view name) const {
  return Error{ErrorCode::bad_request, "no such field '" + std::string(name) + "'"};
}
Result<document::Value> Object::to_document() const {
  return Error{ErrorCode::bad_request, "a value of type " + type().str() + " has no form in JSON"};
}

bool is_key(const Value& key) {
  return key.is(Kind::boolean) || key.is(Kind::integer) || key.is(Kind::unsigned_integer) || key.is(Kind::string);
}

void MapData::make_index() {
  index.clear();
  if (entries.size() <= kLinearMax) return;
  std::size_t slots = 16;
  while (slots < entries.size() * 4) slots *= 2;
  index.resize(slots);
  for (std::size_t i = 0; i < entries.size(); ++i) put(*this, i);
}

void MapData::add_last_to_index() {
  put(*this, entries.size() - 1);
}

const Value* MapData::find(const Value& key) const {
  if (index.empty()) {
    for (const auto& [known, value] : entries) {
      if (equals(known, key)) return &value;
    }
    return nullptr;
  }
  const std::size_t mask = index.size() - 1;
  for (std::size_t at = hash_key(key) & mask; index[at] != 0; at = (at + 1) & mask) {
    const auto& [known, value] = entries[index[at] - 1];
    if (equals(known, key)) return &value;
  }
  return nullptr;
}

Value::Value(Type value) : Value(Kind::type, std::make_shared<const Type>(std::move(value))) {}

Value Value::string(std::string_view text) {
  return {Kind::string, document::Value(text)};
}

Value Value::bytes(std::string bytes) {
  return {Kind::bytes, std::make_shared<const std::string>(std::move(bytes))};
}

Value Value::list(std::vector<Value> items) {
  return {Kind::list, std::make_shared<ListData>(ListData{std::move(items)})};
}

Result<Value> Value::map(std::vector<std::pair<Value, Value>> entries) {
  auto data = std::make_shared<MapData>();
  data->entries = std::move(entries);
  for (const auto& [key, value] : data->entries) {
    if (!is_key(key)) return Error{ErrorCode::bad_request, "unsupported key type: " + key.type().str()};
  }
  data->make_index();
  for (std::size_t i = 0; i < data->entries.size(); ++i) {
    if (data->find(data->entries[i].first) != &data->entries[i].second)
      return Error{ErrorCode::bad_request, "Failed with repeated key"};
  }
  return Value(Kind::map, std::move(data));
}

Value Value::optional(std::optional<Value> value) {
  return {Kind::optional, value ? std::make_shared<const Value>(*std::move(value)) : nullptr};
}

Value Value::unknown(std::string variable) {
  return {Kind::unknown, std::make_shared<const std::string>(std::move(variable))};
}

Value Value::from(const document::Value& document) {
  switch (document.kind()) {
    case document::ValueKind::null:
      return {};
    case document::ValueKind::boolean:
      return Value(document.as_bool());
    case document::ValueKind::integer:
      return Value(document.as_int());
    case document::ValueKind::floating:
      return Value(document.as_double());
    case document::ValueKind::string:
      return {Kind::string, document};
    case document::ValueKind::list:
      return {Kind::list, document};
    case document::ValueKind::map:
      return {Kind::map, document};
  }
  return {};
}

Value Value::from(const document::Value& document, const Type& type) {
  const TypeKind kind = type.kind();
  if (document.is_string()) return from_string(document, kind);
  if (document.is_int() && kind == TypeKind::floating) return Value(document.as_double());
  if (document.is_number() && kind == TypeKind::integer && document.as_double() == std::floor(document.as_double()))
    return Value(document.as_int());
  const bool fits = (document.is_list() && kind == TypeKind::list) ||
                    (document.is_map() && (kind == TypeKind::map || kind == TypeKind::object));
  if (!fits || type.node() == nullptr) return from(document);
  Value out = from(document);
  out.schema_ = type.node();
  out.schema_kind_ = kind;
  return out;
}

std::size_t Value::size() const {
  if (is_view()) return payload_.document.size();
  if (kind_ == Kind::list) return shared<ListData>().items.size();
  return kind_ == Kind::map ? shared<MapData>().entries.size() : 0;
}

Value Value::item(std::size_t index) const {
  if (!is_view()) return shared<ListData>().items[index];
  const document::Value& item = payload_.document.items()[index];
  return schema_ == nullptr || schema_->parameters.empty() ? from(item) : from(item, schema_->parameters[0]);
}

std::pair<Value, Value> Value::entry(std::size_t index) const {
  if (!is_view()) return shared<MapData>().entries[index];
  const document::MapEntry& entry = payload_.document.entries()[index];
  if (schema_ == nullptr) return {string(entry.key), from(entry.value)};
  if (schema_kind_ == TypeKind::map) return {string(entry.key), from(entry.value, schema_->parameters[1])};
  const Field* field = schema_->find_key(entry.key);
  if (field == nullptr) return {string(entry.key), from(entry.value)};
  return {string(field->name), from(entry.value, field->type)};
}

std::optional<Value> Value::find(const Value& key) const {
  if (kind_ != Kind::map) return std::nullopt;
  if (!is_view()) {
    const Value* found = shared<MapData>().find(key);
    return found == nullptr ? std::nullopt : std::optional<Value>(*found);
  }
  if (!key.is(Kind::string)) return std::nullopt;
  const Field* field = nullptr;
  if (schema_kind_ == TypeKind::object && schema_->has_fields) {
    field = schema_->find(key.as_string());
    if (field == nullptr) return std::nullopt;
  }
  const document::Value* found =
      payload_.document.find(field == nullptr ? key.as_string() : std::string_view(field->key));
  if (found == nullptr) return std::nullopt;
  if (field != nullptr) return from(*found, field->type);
  if (schema_kind_ == TypeKind::map) return from(*found, schema_->parameters[1]);
  return from(*found);
}

Type Value::type() const {
  switch (kind()) {
    case Kind::null:
      return TypeKind::null;
    case Kind::boolean:
      return TypeKind::boolean;
    case Kind::integer:
      return TypeKind::integer;
    case Kind::unsigned_integer:
      return TypeKind::unsigned_integer;
    case Kind::floating:
      return TypeKind::floating;
    case Kind::string:
      return TypeKind::string;
    case Kind::bytes:
      return TypeKind::bytes;
    case Kind::timestamp:
      return TypeKind::timestamp;
    case Kind::duration:
      return TypeKind::duration;
    case Kind::list:
      return TypeKind::list;
    case Kind::map:
      if (schema_kind_ == TypeKind::object) return Type::object(schema_->name);
      return TypeKind::map;
    case Kind::type:
      return TypeKind::type;
    case Kind::optional:
      return Type::opaque("optional_type");
    case Kind::object:
      return as_object().type();
    case Kind::unknown:
      break;
  }
  return TypeKind::error;
}

Result<document::Value> Value::to_document() const {
  if (is_view()) return payload_.document;
  switch (kind()) {
    case Kind::null:
      return document::Value();
    case Kind::boolean:
      return document::Value(as_bool());
    case Kind::integer:
      return document::Value(static_cast<long long>(as_int()));
    case Kind::unsigned_integer:
      if (as_uint() > static_cast<std::uint64_t>(INT64_MAX)) return document::Value(static_cast<double>(as_uint()));
      return document::Value(static_cast<long long>(as_uint()));
    case Kind::floating:
      return document::Value(as_double());
    case Kind::string:
      return payload_.document;
    case Kind::bytes:
      return document::Value(base64(as_bytes()));
    case Kind::timestamp:
      return document::Value(timestamp_text(as_timestamp()));
    case Kind::duration:
      return document::Value(duration_text(as_duration()));
    case Kind::type:
      return document::Value(as_type().name());
    case Kind::optional:
      return as_optional() == nullptr ? document::Value() : as_optional()->to_document();
    case Kind::object:
      return as_object().to_document();
    case Kind::unknown:
      return Error{ErrorCode::bad_request, "the value is not known"};
    case Kind::list:
    case Kind::map:
      break;
  }
  document::Value out = is(Kind::list) ? document::Value::list() : document::Value::map();
  for (std::size_t i = 0; i < size(); ++i) {
    if (is(Kind::list)) {
      out.push_back(TRY(item(i).to_document()));
      continue;
    }
    const auto [key, value] = entry(i);
    out.set(key.is(Kind::string) ? std::string(key.as_string()) : key.debug_string(), TRY(value.to_document()));
  }
  return out;
}

std::string Value::debug_string() const {
  switch (kind()) {
    case Kind::null:
      return "null";
    case Kind::boolean:
      return as_bool() ? "true" : "false";
    case Kind::integer:
      return std::to_string(as_int());
    case Kind::unsigned_integer:
      return std::to_string(as_uint()) + "u";
    case Kind::floating:
      return double_text(as_double()) + (as_double() == std::floor(as_double()) ? ".0" : "");
    case Kind::string:
      return "\"" + std::string(as_string()) + "\"";
    case Kind::bytes:
      return "b\"" + hex(as_bytes()) + "\"";
    case Kind::timestamp:
      return "timestamp(\"" + timestamp_text(as_timestamp()) + "\")";
    case Kind::duration:
      return "duration(\"" + duration_text(as_duration()) + "\")";
    case Kind::type:
      return std::string(as_type().name());
    case Kind::optional:
      return as_optional() == nullptr ? "optional.none()" : "optional.of(" + as_optional()->debug_string() + ")";
    case Kind::object:
      return std::string(as_object().type().name()) + "{…}";
    case Kind::unknown:
      return "unknown(" + std::string(unknown_variable()) + ")";
    case Kind::list:
    case Kind::map:
      break;
  }
  const bool is_list = is(Kind::list);
  std::string out = is_list ? "[" : "{";
  for (std::size_t i = 0; i < size(); ++i) {
    if (i > 0) out += ", ";
    if (is_list) {
      out += item(i).debug_string();
    } else {
      const auto [key, value] = entry(i);
      out += key.debug_string() + ": " + value.debug_string();
    }
  }
  return out + (is_list ? "]" : "}");
}

}  // namespace caisson::cel
