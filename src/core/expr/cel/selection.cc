// SPDX-License-Identifier: Apache-2.0
#include "core/expr/cel/selection.h"

#include <cmath>
#include <cstdlib>
#include <optional>

#include "core/expr/cel/environment.h"

namespace caisson::cel {
namespace {

// A whole number of any numeric type.
std::optional<std::int64_t> as_index(const Value& v) {
  if (v.is(Kind::integer)) return v.as_int();
  if (v.is(Kind::unsigned_integer) && v.as_uint() <= static_cast<std::uint64_t>(INT64_MAX))
    return static_cast<std::int64_t>(v.as_uint());
  if (v.is(Kind::floating) && v.as_double() == std::floor(v.as_double()) && std::abs(v.as_double()) < 9e15)
    return static_cast<std::int64_t>(v.as_double());
  return std::nullopt;
}

// Nothing when absent; an error when `on` can have no such thing. A field that is not set reads as its default where
// no optional is wanted.
Result<std::optional<Value>> find(const Value& on, const Value& key, bool is_field, bool defaults) {
  if (on.is(Kind::map)) return on.find(key);
  if (on.is(Kind::object) && key.is(Kind::string)) {
    if (!defaults && !TRY(on.as_object().has_field(key.as_string()))) return std::optional<Value>();
    return std::optional<Value>(TRY(on.as_object().field(key.as_string())));
  }
  if (!on.is(Kind::list)) return is_field ? bad("no such key: " + shown_key(key)) : no_such_overload();
  const auto index = as_index(key);
  if (!index) return bad("unsupported index type '" + key.type().str() + "' in list");
  if (*index < 0 || static_cast<std::size_t>(*index) >= on.size()) return std::optional<Value>();
  return std::optional<Value>(on.item(static_cast<std::size_t>(*index)));
}

}  // namespace

std::string shown_key(const Value& key) {
  return key.is(Kind::string) ? std::string(key.as_string()) : key.debug_string();
}

Result<Value> selected(const Value& on, const Value& key, bool optional, bool is_field) {
  const auto is_null = [](const Value* value) { return value != nullptr && value->is(Kind::null); };
  if (optional && (is_null(&on) || (on.is(Kind::optional) && is_null(on.as_optional()))))
    return Value::optional(std::nullopt);  // cel-go: asked with '?', null has nothing
  if (on.is(Kind::optional)) {
    if (on.as_optional() == nullptr) return on;
    return Value::optional(TRY(find(*on.as_optional(), key, is_field, false)));
  }
  std::optional<Value> found = TRY(find(on, key, is_field, !optional));
  if (optional) return Value::optional(std::move(found));
  if (found) return *std::move(found);
  if (on.is(Kind::list)) return bad("index out of bounds: " + shown_key(key));
  return bad("no such key: " + shown_key(key));
}

Result<Value> has_selected(Value on, const Value& name) {
  if (on.is(Kind::optional)) {
    if (on.as_optional() == nullptr) return Value(false);
    on = Value(*on.as_optional());
  }
  if (on.is(Kind::object)) return Value(TRY(on.as_object().has_field(name.as_string())));
  if (on.is(Kind::map)) return Value(on.find(name).has_value());
  return bad("no such key: " + shown_key(name));
}

}  // namespace caisson::cel
