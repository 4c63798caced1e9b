// SPDX-License-Identifier: Apache-2.0
// Functions and conversions of cel-spec 0.24, "Standard Definitions", and optional values.
#include <charconv>
#include <cmath>

#include "core/base/text.h"
#include "core/expr/cel/environment.h"
#include "core/expr/cel/regex.h"
#include "core/expr/cel/value_data.h"

namespace caisson::cel {
namespace {

using Arguments = std::span<const Value>;

Error conversion(std::string_view from, std::string_view to) {
  return bad("type conversion error from '" + std::string(from) + "' to '" + std::string(to) + "'");
}

Result<Value> same(Arguments a) {
  return a[0];
}

template <class T>
Result<Value> parse_whole(std::string_view text, std::string_view type) {
  T value = 0;
  std::string_view digits = text;
  if (digits.size() > 1 && digits[0] == '+' && digits[1] != '-') digits.remove_prefix(1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size() || digits.empty()) return conversion("string", type);
  return Value(value);
}

Result<Value> uint_to_int(Arguments a) {
  if (a[0].as_uint() > static_cast<std::uint64_t>(INT64_MAX)) return bad("integer overflow");
  return Value(static_cast<std::int64_t>(a[0].as_uint()));
}
Result<Value> double_to_int(Arguments a) {
  const double d = a[0].as_double();
  if (std::isnan(d) || d <= -9223372036854775808.0 || d >= 9223372036854775808.0) return bad("integer overflow");
  return Value(static_cast<std::int64_t>(d));
}
Result<Value> string_to_int(Arguments a) {
  return parse_whole<std::int64_t>(a[0].as_string(), "int");
}
Result<Value> time_to_int(Arguments a) {
  return Value(a[0].as_timestamp().seconds);
}

Result<Value> int_to_uint(Arguments a) {
  if (a[0].as_int() < 0) return bad("unsigned integer overflow");
  return Value(static_cast<std::uint64_t>(a[0].as_int()));
}
Result<Value> double_to_uint(Arguments a) {
  const double d = a[0].as_double();
  if (std::isnan(d) || d < 0 || d >= 18446744073709551616.0) return bad("unsigned integer overflow");
  return Value(static_cast<std::uint64_t>(d));
}
Result<Value> string_to_uint(Arguments a) {
  if (a[0].as_string().starts_with('+')) return conversion("string", "uint");
  return parse_whole<std::uint64_t>(a[0].as_string(), "uint");
}

Result<Value> int_to_double(Arguments a) {
  return Value(static_cast<double>(a[0].as_int()));
}
Result<Value> uint_to_double(Arguments a) {
  return Value(static_cast<double>(a[0].as_uint()));
}
Result<Value> string_to_double(Arguments a) {
  std::string_view text = a[0].as_string();
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return conversion("string", "double");
  return Value(value);
}

Result<Value> string_to_bool(Arguments a) {
  for (const std::string_view yes : {"1", "t", "T", "true", "TRUE", "True"}) {
    if (a[0].as_string() == yes) return Value(true);
  }
  for (const std::string_view no : {"0", "f", "F", "false", "FALSE", "False"}) {
    if (a[0].as_string() == no) return Value(false);
  }
  return conversion("string", "bool");
}

Result<Value> string_to_bytes(Arguments a) {
  return Value::bytes(std::string(a[0].as_string()));
}
Result<Value> bytes_to_string(Arguments a) {
  if (!is_valid_utf8(a[0].as_bytes())) return bad("invalid UTF-8 in bytes, cannot convert to string");
  return Value::string(a[0].as_bytes());
}
Result<Value> to_string(Arguments a) {
  switch (a[0].kind()) {
    case Kind::boolean:
      return Value::string(a[0].as_bool() ? "true" : "false");
    case Kind::integer:
      return Value::string(std::to_string(a[0].as_int()));
    case Kind::unsigned_integer:
      return Value::string(std::to_string(a[0].as_uint()));
    case Kind::floating:
      return Value::string(double_text(a[0].as_double()));
    case Kind::timestamp:
      return Value::string(timestamp_text(a[0].as_timestamp()));
    case Kind::duration:
      return Value::string(duration_text(a[0].as_duration()));
    default:
      return no_such_overload();
  }
}

Result<Value> type_of(Arguments a) {
  return Value(a[0].type());
}
Result<Value> size_of(Arguments a) {
  return Value(static_cast<std::int64_t>(actual_size(a[0])));
}

Result<Value> starts_with(Arguments a) {
  return Value(a[0].as_string().starts_with(a[1].as_string()));
}
Result<Value> ends_with(Arguments a) {
  return Value(a[0].as_string().ends_with(a[1].as_string()));
}
Result<Value> contains(Arguments a) {
  return Value(a[0].as_string().find(a[1].as_string()) != std::string_view::npos);
}
Result<Value> matches(Arguments a) {
  const Regex regex = TRY(Regex::compile(a[1].as_string()));
  return Value(regex.matches(a[0].as_string()));
}

std::uint64_t cost_of_contains(Arguments a, const Value&) {
  return string_cost(actual_size(a[0])) * string_cost(actual_size(a[1]));
}

constexpr Declaration kFunctions[] = {
    {"bool(bool): bool", same},
    {"bool(string): bool", string_to_bool},
    {"bytes(bytes): bytes", same},
    {"bytes(string): bytes", string_to_bytes, cost_of_first, false},
    {"double(double): double", same},
    {"double(int): double", int_to_double},
    {"double(string): double", string_to_double},
    {"double(uint): double", uint_to_double},
    {"dyn(A): dyn", same},
    {"int(int): int", same},
    {"int(double): int", double_to_int},
    {"int(string): int", string_to_int},
    {"int(timestamp): int", time_to_int},
    {"int(uint): int", uint_to_int},
    {"string(string): string", same},
    {"string(bool): string", to_string},
    {"string(bytes): string", bytes_to_string, cost_of_first, false},
    {"string(double): string", to_string},
    {"string(duration): string", to_string},
    {"string(int): string", to_string},
    {"string(timestamp): string", to_string},
    {"string(uint): string", to_string},
    {"type(A): type(A)", type_of},
    {"uint(uint): uint", same},
    {"uint(double): uint", double_to_uint},
    {"uint(int): uint", int_to_uint},
    {"uint(string): uint", string_to_uint},
    {"size(bytes): int", size_of},
    {"(bytes).size(): int", size_of},
    {"size(list(A)): int", size_of},
    {"(list(A)).size(): int", size_of},
    {"size(map(A, B)): int", size_of},
    {"(map(A, B)).size(): int", size_of},
    {"size(string): int", size_of},
    {"(string).size(): int", size_of},
    {"(string).contains(string): bool", contains, cost_of_contains, false},
    {"(string).endsWith(string): bool", ends_with, cost_of_first, false},
    {"(string).startsWith(string): bool", starts_with, cost_of_first, false},
    {"matches(string, string): bool", matches, cost_of_regex, false},
    {"(string).matches(string): bool", matches, cost_of_regex, false},
};

// --- optional values

bool is_zero(const Value& v) {
  switch (v.kind()) {
    case Kind::null:
      return true;
    case Kind::boolean:
      return !v.as_bool();
    case Kind::integer:
      return v.as_int() == 0;
    case Kind::unsigned_integer:
      return v.as_uint() == 0;
    case Kind::floating:
      return v.as_double() == 0;
    case Kind::string:
      return v.as_string().empty();
    case Kind::bytes:
      return v.as_bytes().empty();
    case Kind::timestamp:
      return v.as_timestamp() == Timestamp{};
    case Kind::duration:
      return v.as_duration().count() == 0;
    case Kind::list:
    case Kind::map:
      return v.size() == 0;
    case Kind::optional:
      return v.as_optional() == nullptr || is_zero(*v.as_optional());
    case Kind::object:
      return v.as_object().is_zero();
    default:
      return false;
  }
}

Result<Value> optional_of(Arguments a) {
  return Value::optional(a[0]);
}
Result<Value> optional_of_non_zero(Arguments a) {
  return Value::optional(is_zero(a[0]) ? std::nullopt : std::optional<Value>(a[0]));
}
Result<Value> optional_none(Arguments) {
  return Value::optional(std::nullopt);
}
Result<Value> optional_value(Arguments a) {
  if (a[0].as_optional() == nullptr) return bad("optional.none() dereference");
  return Value(*a[0].as_optional());
}
Result<Value> optional_has_value(Arguments a) {
  return Value(a[0].as_optional() != nullptr);
}
Result<Value> first(Arguments a) {
  return Value::optional(a[0].size() == 0 ? std::nullopt : std::optional<Value>(a[0].item(0)));
}
Result<Value> last(Arguments a) {
  return Value::optional(a[0].size() == 0 ? std::nullopt : std::optional<Value>(a[0].item(a[0].size() - 1)));
}
Result<Value> unwrap(Arguments a) {
  std::vector<Value> out;
  for (std::size_t i = 0; i < a[0].size(); ++i) {
    const Value item = a[0].item(i);
    if (!item.is(Kind::optional)) return no_such_overload();
    if (item.as_optional() != nullptr) out.push_back(*item.as_optional());
  }
  return Value::list(std::move(out));
}

constexpr Declaration kOptionals[] = {
    {"optional.of(A): optional(A)", optional_of},
    {"optional.ofNonZeroValue(A): optional(A)", optional_of_non_zero},
    {"optional.none(): optional(A)", optional_none},
    {"(optional(A)).value(): A", optional_value},
    {"(optional(A)).hasValue(): bool", optional_has_value},
    {"(optional(A)).or(optional(A)): optional(A)"},
    {"(optional(A)).orValue(A): A"},
    {"_?._(dyn, string): optional(A)"},
    {"_[?_](list(A), int): optional(A)"},
    {"_[?_](optional(list(A)), int): optional(A)"},
    {"_[?_](map(A, B), A): optional(B)"},
    {"_[?_](optional(map(A, B)), A): optional(B)"},
    {"_[_](optional(list(A)), int): optional(A)"},
    {"_[_](optional(map(A, B)), A): optional(B)"},
    {"(list(A)).first(): optional(A)", first},
    {"(list(A)).last(): optional(A)", last},
    {"optional.unwrap(list(optional(A))): list(A)", unwrap},
    {"(list(optional(A))).unwrapOpt(): list(A)", unwrap},
};

Result<Value> map_insert(Arguments) {
  return no_such_overload();
}  // the evaluator's own: it grows in place
constexpr Declaration kMaps[] = {
    {"cel.@mapInsert(map(A, B), A, B): map(A, B)", map_insert},
    {"cel.@mapInsert(map(A, B), map(A, B)): map(A, B)", map_insert},
};

}  // namespace

std::span<const Declaration> standard_functions() {
  return kFunctions;
}
std::span<const Declaration> optional_functions() {
  return kOptionals;
}
std::span<const Declaration> map_functions() {
  return kMaps;
}

}  // namespace caisson::cel
