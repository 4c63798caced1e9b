// SPDX-License-Identifier: Apache-2.0
// Equality and order across types, as cel-go has them: an int and a double compare as doubles within int's range.
#include <cmath>

#include "core/expr/cel/value_data.h"

namespace caisson::cel {
namespace {

template <class T>
int order(T a, T b) {
  return a < b ? -1 : b < a ? 1 : 0;
}

bool is_number(const Value& v) {
  return v.is(Kind::integer) || v.is(Kind::unsigned_integer) || v.is(Kind::floating);
}

int compare_int_uint(std::int64_t a, std::uint64_t b) {
  return a < 0 ? -1 : order(static_cast<std::uint64_t>(a), b);
}
int compare_int_double(std::int64_t a, double b) {
  if (b < -9223372036854775808.0) return 1;
  if (b > 9223372036854775807.0) return -1;
  return order(static_cast<double>(a), b);
}
int compare_uint_double(std::uint64_t a, double b) {
  if (b < 0) return 1;
  if (b > 18446744073709551615.0) return -1;
  return order(static_cast<double>(a), b);
}

// Neither is NaN.
int compare_numbers(const Value& a, const Value& b) {
  if (a.is(Kind::integer)) {
    if (b.is(Kind::integer)) return order(a.as_int(), b.as_int());
    if (b.is(Kind::unsigned_integer)) return compare_int_uint(a.as_int(), b.as_uint());
    return compare_int_double(a.as_int(), b.as_double());
  }
  if (a.is(Kind::unsigned_integer)) {
    if (b.is(Kind::integer)) return -compare_int_uint(b.as_int(), a.as_uint());
    if (b.is(Kind::unsigned_integer)) return order(a.as_uint(), b.as_uint());
    return compare_uint_double(a.as_uint(), b.as_double());
  }
  if (b.is(Kind::integer)) return -compare_int_double(b.as_int(), a.as_double());
  if (b.is(Kind::unsigned_integer)) return -compare_uint_double(b.as_uint(), a.as_double());
  return order(a.as_double(), b.as_double());
}

bool is_nan(const Value& v) {
  return v.is(Kind::floating) && std::isnan(v.as_double());
}

bool contains(const Value& list, const Value& item) {
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (equals(list.item(i), item)) return true;
  }
  return false;
}

bool same_keys(const Value& a, const Value& b, const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    const auto left = a.find(Value::string(key)), right = b.find(Value::string(key));
    if (left.has_value() != right.has_value() || (left && !equals(*left, *right))) return false;
  }
  return true;
}

// Lists whose schema makes them sets or maps by keys compare without order.
bool equal_unordered(const Value& a, const Value& b, const TypeNode& schema) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    const Value item = a.item(i);
    if (schema.list_semantics == ListSemantics::set) {
      if (!contains(b, item)) return false;
      continue;
    }
    bool found = false;
    for (std::size_t k = 0; k < b.size() && !found; ++k) {
      const Value other = b.item(k);
      found = same_keys(item, other, schema.list_keys) && equals(item, other);
    }
    if (!found) return false;
  }
  return true;
}

bool equal_lists(const Value& a, const Value& b) {
  if (a.size() != b.size()) return false;
  if (a.schema() != nullptr && a.schema()->list_semantics != ListSemantics::atomic)
    return equal_unordered(a, b, *a.schema());
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!equals(a.item(i), b.item(i))) return false;
  }
  return true;
}

bool equal_maps(const Value& a, const Value& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto [key, value] = a.entry(i);
    const auto other = b.find(key);
    if (!other || !equals(value, *other)) return false;
  }
  return true;
}

bool equal_optionals(const Value* a, const Value* b) {
  return a == nullptr || b == nullptr ? a == b : equals(*a, *b);
}

}  // namespace

bool equals(const Value& a, const Value& b) {
  if (is_number(a) && is_number(b)) return !is_nan(a) && !is_nan(b) && compare_numbers(a, b) == 0;
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::null:
      return true;
    case Kind::boolean:
      return a.as_bool() == b.as_bool();
    case Kind::string:
      return a.as_string() == b.as_string();
    case Kind::bytes:
      return a.as_bytes() == b.as_bytes();
    case Kind::timestamp:
      return a.as_timestamp() == b.as_timestamp();
    case Kind::duration:
      return a.as_duration() == b.as_duration();
    case Kind::list:
      return equal_lists(a, b);
    case Kind::map:
      return equal_maps(a, b);
    case Kind::type:
      return a.as_type().name() == b.as_type().name();
    case Kind::optional:
      return equal_optionals(a.as_optional(), b.as_optional());
    case Kind::object:
      return a.as_object().equals(b.as_object());
    default:
      return false;
  }
}

std::optional<int> compare(const Value& a, const Value& b) {
  if (is_number(a) && is_number(b)) {
    if (is_nan(a) || is_nan(b)) return std::nullopt;
    return compare_numbers(a, b);
  }
  if (a.kind() != b.kind()) return std::nullopt;
  switch (a.kind()) {
    case Kind::boolean:
      return order(a.as_bool(), b.as_bool());
    case Kind::string:
      return order(a.as_string(), b.as_string());
    case Kind::bytes:
      return order(a.as_bytes(), b.as_bytes());
    case Kind::timestamp:
      return order(a.as_timestamp(), b.as_timestamp());
    case Kind::duration:
      return order(a.as_duration(), b.as_duration());
    default:
      return std::nullopt;
  }
}

}  // namespace caisson::cel
