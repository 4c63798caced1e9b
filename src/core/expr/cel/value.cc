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

Value Value::string(std::string_view text) {
  Value out;
  out.data_ = Text{document::Value(text)};
  return out;
}

Value Value::bytes(std::string bytes) {
  Value out;
  out.data_ = std::make_shared<const std::string>(std::move(bytes));
  return out;
}

Value Value::list(std::vector<Value> items) {
  Value out;
  out.data_ = std::shared_ptr<const ListData>(std::make_shared<ListData>(ListData{std::move(items)}));
  return out;
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
  Value out;
  out.data_ = std::shared_ptr<const MapData>(std::move(data));
  return out;
}

Value Value::optional(std::optional<Value> value) {
  Value out;
  out.data_ = Optional{value ? std::make_shared<const Value>(*std::move(value)) : nullptr};
  return out;
}

Value Value::unknown(std::string variable) {
  Value out;
  out.data_ = Unknown{std::make_shared<const std::string>(std::move(variable))};
  return out;
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
    case document::ValueKind::string: {
      Value out;
      out.data_ = Text{document};
      return out;
    }
    case document::ValueKind::list:
    case document::ValueKind::map:
      break;
  }
  Value out;
  out.data_ = View{document, nullptr, TypeKind::dyn};
  return out;
}

Value Value::from(const document::Value& document, const Type& type) {
  const TypeKind kind = type.kind();
  if (document.is_string()) return from_string(document, kind);
  if (document.is_int() && kind == TypeKind::floating) return Value(document.as_double());
  if (document.is_number() && kind == TypeKind::integer && document.as_double() == std::floor(document.as_double()))
    return Value(document.as_int());
  const bool fits = (document.is_list() && kind == TypeKind::list) ||
                    (document.is_map() && (kind == TypeKind::map || kind == TypeKind::object));
  if (!fits) return from(document);
  Value out;
  out.data_ = View{document, type.node(), kind};
  return out;
}

Kind Value::kind() const {
  switch (data_.index()) {
    case 0:
      return Kind::null;
    case 1:
      return Kind::boolean;
    case 2:
      return Kind::integer;
    case 3:
      return Kind::unsigned_integer;
    case 4:
      return Kind::floating;
    case 5:
      return Kind::string;
    case 6:
      return Kind::bytes;
    case 7:
      return Kind::timestamp;
    case 8:
      return Kind::duration;
    case 9:
      return std::get_if<View>(&data_)->document.is_list() ? Kind::list : Kind::map;
    case 10:
      return Kind::list;
    case 11:
      return Kind::map;
    case 12:
      return Kind::type;
    case 13:
      return Kind::optional;
    case 14:
      return Kind::object;
    default:
      return Kind::unknown;
  }
}

std::string_view Value::as_string() const {
  return std::get_if<Text>(&data_)->text.as_string();
}
std::string_view Value::as_bytes() const {
  return **std::get_if<std::shared_ptr<const std::string>>(&data_);
}
const Value* Value::as_optional() const {
  return std::get_if<Optional>(&data_)->value.get();
}
std::string_view Value::unknown_variable() const {
  return *std::get_if<Unknown>(&data_)->variable;
}

std::size_t Value::size() const {
  if (const View* v = view()) return v->document.size();
  if (const auto* list = std::get_if<std::shared_ptr<const ListData>>(&data_)) return (*list)->items.size();
  if (const auto* map = std::get_if<std::shared_ptr<const MapData>>(&data_)) return (*map)->entries.size();
  return 0;
}

Value Value::item(std::size_t index) const {
  if (const View* v = view()) {
    const document::Value& item = v->document.items()[index];
    return v->schema == nullptr || v->schema->parameters.empty() ? from(item) : from(item, v->schema->parameters[0]);
  }
  return (*std::get_if<std::shared_ptr<const ListData>>(&data_))->items[index];
}

std::pair<Value, Value> Value::entry(std::size_t index) const {
  const View* v = view();
  if (v == nullptr) return (*std::get_if<std::shared_ptr<const MapData>>(&data_))->entries[index];
  const document::MapEntry& entry = v->document.entries()[index];
  if (v->schema == nullptr) return {string(entry.key), from(entry.value)};
  if (v->kind == TypeKind::map) return {string(entry.key), from(entry.value, v->schema->parameters[1])};
  const Field* field = v->schema->find_key(entry.key);
  if (field == nullptr) return {string(entry.key), from(entry.value)};
  return {string(field->name), from(entry.value, field->type)};
}

std::optional<Value> Value::find(const Value& key) const {
  const View* v = view();
  if (v == nullptr) {
    const auto* map = std::get_if<std::shared_ptr<const MapData>>(&data_);
    if (map == nullptr) return std::nullopt;
    const Value* found = (*map)->find(key);
    return found == nullptr ? std::nullopt : std::optional<Value>(*found);
  }
  if (!key.is(Kind::string)) return std::nullopt;
  const Field* field = nullptr;
  if (v->kind == TypeKind::object && v->schema->has_fields) {
    field = v->schema->find(key.as_string());
    if (field == nullptr) return std::nullopt;
  }
  const document::Value* found = v->document.find(field == nullptr ? key.as_string() : std::string_view(field->key));
  if (found == nullptr) return std::nullopt;
  if (field != nullptr) return from(*found, field->type);
  if (v->kind == TypeKind::map) return from(*found, v->schema->parameters[1]);
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
    case Kind::map: {
      const View* v = view();
      if (v != nullptr && v->kind == TypeKind::object) return Type::object(v->schema->name);
      return TypeKind::map;
    }
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
  if (const View* v = view()) return v->document;
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
      return std::get_if<Text>(&data_)->text;
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
