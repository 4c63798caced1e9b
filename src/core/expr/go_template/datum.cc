// SPDX-License-Identifier: Apache-2.0
#include "core/expr/go_template/datum.h"

#include <algorithm>
#include <cmath>

#include "core/base/check.h"
#include "core/base/encoding.h"
#include "core/base/text.h"
#include "core/expr/go_template/complex.h"
#include "core/expr/go_template/unicode.h"

namespace caisson::go_template {

constinit const Type kAny{Kind::interface, "interface {}"};
constinit const Type kBool{Kind::boolean, "bool"};
constinit const Type kInt{Kind::integer, "int"};
constinit const Type kInt8{Kind::int8, "int8"};
constinit const Type kInt16{Kind::int16, "int16"};
constinit const Type kInt32{Kind::int32, "int32"};
constinit const Type kInt64{Kind::int64, "int64"};
constinit const Type kUint{Kind::uint, "uint"};
constinit const Type kUint8{Kind::uint8, "uint8"};
constinit const Type kUint16{Kind::uint16, "uint16"};
constinit const Type kUint32{Kind::uint32, "uint32"};
constinit const Type kUint64{Kind::uint64, "uint64"};
constinit const Type kFloat32{Kind::float32, "float32"};
constinit const Type kFloat64{Kind::float64, "float64"};
constinit const Type kComplex128{Kind::complex128, "complex128"};
constinit const Type kString{Kind::string, "string"};
constinit const Type kList{Kind::slice, "[]interface {}", &kAny};
constinit const Type kStringList{Kind::slice, "[]string", &kString};
constinit const Type kIntList{Kind::slice, "[]int", &kInt};
constinit const Type kBytes{Kind::slice, "[]uint8", &kUint8};
constinit const Type kMap{Kind::map, "map[string]interface {}", &kAny};
constinit const Type kStringMap{Kind::map, "map[string]string", &kString};
constinit const Type kFunction{Kind::function, "func"};

namespace {

constexpr std::size_t kJsonDepthMax = 1'000;

constexpr std::string_view kKindNames[] = {
    "invalid", "bool",   "int",    "int8",   "int16",   "int32",     "int64",      "uint",
    "uint8",   "uint16", "uint32", "uint64", "float32", "float64",   "complex128", "string",
    "slice",   "array",  "map",    "struct", "ptr",     "interface", "func",
};

Error not_json(std::string what) {
  return Error{ErrorCode::invalid, "json: " + std::move(what)};
}

Result<Value> value_of(const Datum& datum, std::size_t depth);

Result<Value> value_of_number(const Datum& datum) {
  if (datum.is_float()) {
    const double number = datum.as_double();
    if (std::isnan(number)) return not_json("unsupported value: NaN");
    if (std::isinf(number)) return not_json(number > 0 ? "unsupported value: +Inf" : "unsupported value: -Inf");
    return Value(number);
  }
  if (datum.kind() == Kind::uint64 && datum.as_int() < 0) return Value(static_cast<double>(datum.as_uint()));
  return Value(static_cast<long long>(datum.as_int()));
}

Result<Value> value_of(const Datum& datum, std::size_t depth) {
  if (depth > kJsonDepthMax)
    return not_json("unsupported value: encountered a cycle via " + std::string(datum.type_name()));
  switch (datum.kind()) {
    case Kind::invalid:
    case Kind::interface:
      return Value();
    case Kind::boolean:
      return Value(datum.as_bool());
    case Kind::string:
      return datum.scalar_value();
    case Kind::map:
      return datum.as_map() ? datum.as_map()->to_value(depth) : Result<Value>(Value());
    case Kind::slice:
    case Kind::array:
      if (datum.type()->element == &kUint8) return Value(base64(datum.as_string()));
      return datum.as_list() ? datum.as_list()->to_value(depth) : Result<Value>(Value());
    case Kind::structure:
    case Kind::pointer:
      return datum.as_object() ? datum.as_object()->to_value() : Result<Value>(Value());
    case Kind::complex128:
    case Kind::function:
      return not_json("unsupported type: " + std::string(datum.type_name()));
    default:
      return value_of_number(datum);
  }
}

}  // namespace

std::string_view kind_name(Kind kind) {
  return kKindNames[static_cast<std::size_t>(kind)];
}

Datum::Datum(Ref<Map> map, const Type& type) : type_(&type), node_(map) {}
Datum::Datum(Ref<List> list, const Type& type) : type_(&type), node_(list) {}
Datum::Datum(Ref<Object> object) : type_(object ? &object->type() : nullptr), node_(object) {}

Datum Datum::nil_interface() {
  return nil_of(kAny);
}

Datum Datum::nil_of(const Type& type) {
  Datum out;
  out.type_ = &type;
  return out;
}

Datum Datum::of(Ref<Node> node, const Type& type) {
  Datum out = nil_of(type);
  out.node_ = std::move(node);
  return out;
}

Datum Datum::scalar(const Type& type, Value value) {
  Datum out;
  out.type_ = &type;
  out.scalar_ = std::move(value);
  return out;
}

Datum Datum::bytes(std::string_view bytes) {
  return scalar(kBytes, Value(bytes));
}

Datum Datum::from(const Value& value) {
  switch (value.kind()) {
    case ValueKind::null:
      return nil_interface();
    case ValueKind::boolean:
      return scalar(kBool, value);
    case ValueKind::integer:
      return scalar(kInt64, Value(static_cast<long long>(value.as_int())));
    case ValueKind::floating:
      return scalar(kFloat64, Value(value.as_double()));
    case ValueKind::string:
      return scalar(kString, value);
    case ValueKind::list:
      return Datum(make<List>(value));
    case ValueKind::map:
      return Datum(make<Map>(value));
  }
  return nil_interface();
}

Datum Datum::strings(const std::vector<std::string>& items) {
  std::vector<Datum> data;
  data.reserve(items.size());
  for (const std::string& item : items) data.emplace_back(item);
  return Datum(make<List>(std::move(data)), kStringList);
}

bool Datum::is_nil() const {
  switch (kind()) {
    case Kind::invalid:
    case Kind::interface:
      return true;
    case Kind::slice:
      return type_->element == &kUint8 ? scalar_.is_null() : !node_;
    case Kind::map:
    case Kind::pointer:
    case Kind::function:
      return !node_;
    default:
      return false;
  }
}

Map* Datum::as_map() const {
  return kind() == Kind::map ? static_cast<Map*>(node_.get()) : nullptr;
}

List* Datum::as_list() const {
  const bool is_list = (kind() == Kind::slice || kind() == Kind::array) && type_->element != &kUint8;
  return is_list ? static_cast<List*>(node_.get()) : nullptr;
}

Object* Datum::as_object() const {
  return kind() == Kind::structure || kind() == Kind::pointer ? static_cast<Object*>(node_.get()) : nullptr;
}

std::size_t Datum::size() const {
  if (kind() == Kind::string) return scalar_.as_string().size();
  if (const Map* map = as_map()) return map->size();
  if (const List* list = as_list()) return list->size();
  return kind() == Kind::slice && type_->element == &kUint8 ? scalar_.as_string().size() : 0;
}

Datum Datum::at(std::size_t index) const {
  CHECK(index < size());
  if (const List* list = as_list()) return list->items()[index];
  return scalar(kUint8, Value(static_cast<int>(static_cast<unsigned char>(scalar_.as_string()[index]))));
}

Datum Datum::with_type(const Type& type) const {
  Datum out = *this;
  out.type_ = &type;
  return out;
}

Datum Datum::made() && {
  if (node_) node_->set_made();
  return std::move(*this);
}

Datum Complex::datum(double real, double imaginary) {
  return Datum::of(Ref<Node>(new Complex(real, imaginary)), kComplex128);
}

Result<Value> Datum::to_value() const {
  return value_of(*this, 0);
}

Value with_json_numbers(const Value& value) {
  if (value.is_number()) return Value(value.as_double());
  if (!value.is_map() && !value.is_list()) return value;
  Value out = value;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const Value& item = value.is_list() ? value.items()[i] : value.entries()[i].value;
    Value changed = with_json_numbers(item);
    if (changed.shares_with(item)) continue;
    if (value.is_list()) {
      out.edit(i) = std::move(changed);
    } else {
      out.set(value.entries()[i].key, std::move(changed));
    }
  }
  return out;
}

namespace {

// A part of the document that `whole` is made from.
Datum part_of(const Node& whole, const Value& value) {
  return whole.is_made() ? Datum::from(value).made() : Datum::from(value);
}

}  // namespace

std::optional<Datum> Map::find(std::string_view key) const {
  constexpr std::size_t kHandedOutMax = 64;  // more of them are found faster by their key
  if (!opened_) {
    const Value* found = source_.find(key);
    if (!found) return std::nullopt;
    if (!found->is_map() && !found->is_list()) return Datum::from(*found);
    for (const auto& [place, datum] : handed_out_) {
      if (place == found) return datum;
    }
    if (handed_out_.size() < kHandedOutMax) return handed_out_.emplace_back(found, part_of(*this, *found)).second;
    open();
  }
  const auto found = entries_.find(key);
  if (found == entries_.end()) return std::nullopt;
  return found->second;
}

Result<Value> Map::to_value(std::size_t depth) const {
  Value out = opened_ ? Value::map() : source_;
  for (const auto& [key, item] : entries_) out.set(key, TRY(value_of(item, depth + 1)));
  for (const auto& [place, item] : handed_out_) {
    Value value = TRY(value_of(item, depth + 1));
    if (value.shares_with(*place)) continue;
    const auto holds = [held = place](const document::MapEntry& entry) { return &entry.value == held; };
    out.set(std::find_if(source_.entries().begin(), source_.entries().end(), holds)->key, std::move(value));
  }
  return out;
}

bool Map::contains(std::string_view key) const {
  return opened_ ? entries_.find(key) != entries_.end() : source_.contains(key);
}

const Map::Entries& Map::entries() const {
  open();
  return entries_;
}

void Map::set(std::string_view key, Datum value) {
  open();
  if (!value.is_valid()) value = Datum::nil_interface();
  entries_.insert_or_assign(std::string(key), std::move(value));
}

bool Map::erase(std::string_view key) {
  open();
  const auto found = entries_.find(key);
  if (found == entries_.end()) return false;
  entries_.erase(found);
  return true;
}

void Map::clear() {
  const Entries dropped = std::exchange(entries_, {});  // what it holds may hold this map
  const auto also_dropped = std::exchange(handed_out_, {});
  opened_ = true;
  source_ = Value();
}

void Map::open() const {
  if (opened_) return;
  opened_ = true;
  for (const document::MapEntry& entry : source_.entries()) {
    const auto is_it = [&](const auto& item) { return item.first == &entry.value; };
    const auto found = std::find_if(handed_out_.begin(), handed_out_.end(), is_it);
    entries_.emplace(entry.key, found == handed_out_.end() ? part_of(*this, entry.value) : std::move(found->second));
  }
  handed_out_.clear();
  source_ = Value();
}

const std::vector<Datum>& List::items() const {
  if (!opened_) {
    opened_ = true;
    items_.reserve(source_.size());
    for (const Value& item : source_.items()) items_.push_back(part_of(*this, item));
  }
  return items_;
}

Result<Value> List::to_value(std::size_t depth) const {
  if (!opened_) return source_;
  std::vector<Value> values;
  values.reserve(items_.size());
  bool unchanged = source_.size() == items_.size();
  for (const Datum& item : items_) {
    Value value = TRY(value_of(item, depth + 1));
    const bool is_scalar = !value.is_map() && !value.is_list();
    unchanged = unchanged && (is_scalar || value.shares_with(source_[values.size()]));
    values.push_back(std::move(value));
  }
  return unchanged && !source_.is_null() ? source_ : Value(std::move(values));
}

std::optional<Datum> Object::field(std::string_view) const {
  return std::nullopt;
}

std::vector<std::string_view> Object::field_names() const {
  return {};
}

Result<Value> Object::to_value() const {
  Value out = Value::map();
  for (const std::string_view name : field_names()) {
    const auto member = field(name);
    if (member) out.set(name, TRY(member->to_value()));
  }
  return out;
}

bool Object::equals(const Object& other) const {
  return this == &other;
}

}  // namespace caisson::go_template
