// SPDX-License-Identifier: Apache-2.0
// Operators of cel-spec 0.24, "Standard Definitions": 64-bit arithmetic that reports overflow.
#include <cmath>
#include <limits>

#include "core/expr/cel/environment.h"
#include "core/expr/cel/value_data.h"

namespace caisson::cel {
namespace {

using Arguments = std::span<const Value>;

Error overflow() {
  return bad("integer overflow");
}

Result<Value> add_int(Arguments a) {
  std::int64_t out = 0;
  if (__builtin_add_overflow(a[0].as_int(), a[1].as_int(), &out)) return overflow();
  return Value(out);
}
Result<Value> subtract_int(Arguments a) {
  std::int64_t out = 0;
  if (__builtin_sub_overflow(a[0].as_int(), a[1].as_int(), &out)) return overflow();
  return Value(out);
}
Result<Value> multiply_int(Arguments a) {
  std::int64_t out = 0;
  if (__builtin_mul_overflow(a[0].as_int(), a[1].as_int(), &out)) return overflow();
  return Value(out);
}
Result<Value> divide_int(Arguments a) {
  if (a[1].as_int() == 0) return bad("division by zero");
  if (a[1].as_int() == -1) {
    std::int64_t out = 0;
    if (__builtin_sub_overflow(std::int64_t{0}, a[0].as_int(), &out)) return overflow();
    return Value(out);
  }
  return Value(a[0].as_int() / a[1].as_int());
}
Result<Value> modulo_int(Arguments a) {
  if (a[1].as_int() == 0) return bad("modulus by zero");
  if (a[1].as_int() == -1) {
    if (a[0].as_int() == std::numeric_limits<std::int64_t>::min()) return overflow();
    return Value(std::int64_t{0});
  }
  return Value(a[0].as_int() % a[1].as_int());
}
Result<Value> negate_int(Arguments a) {
  std::int64_t out = 0;
  if (__builtin_sub_overflow(std::int64_t{0}, a[0].as_int(), &out)) return overflow();
  return Value(out);
}

Result<Value> add_uint(Arguments a) {
  std::uint64_t out = 0;
  if (__builtin_add_overflow(a[0].as_uint(), a[1].as_uint(), &out)) return overflow();
  return Value(out);
}
Result<Value> subtract_uint(Arguments a) {
  std::uint64_t out = 0;
  if (__builtin_sub_overflow(a[0].as_uint(), a[1].as_uint(), &out)) return overflow();
  return Value(out);
}
Result<Value> multiply_uint(Arguments a) {
  std::uint64_t out = 0;
  if (__builtin_mul_overflow(a[0].as_uint(), a[1].as_uint(), &out)) return overflow();
  return Value(out);
}
Result<Value> divide_uint(Arguments a) {
  if (a[1].as_uint() == 0) return bad("division by zero");
  return Value(a[0].as_uint() / a[1].as_uint());
}
Result<Value> modulo_uint(Arguments a) {
  if (a[1].as_uint() == 0) return bad("modulus by zero");
  return Value(a[0].as_uint() % a[1].as_uint());
}

Result<Value> add_double(Arguments a) {
  return Value(a[0].as_double() + a[1].as_double());
}
Result<Value> subtract_double(Arguments a) {
  return Value(a[0].as_double() - a[1].as_double());
}
Result<Value> multiply_double(Arguments a) {
  return Value(a[0].as_double() * a[1].as_double());
}
Result<Value> divide_double(Arguments a) {
  return Value(a[0].as_double() / a[1].as_double());
}
Result<Value> negate_double(Arguments a) {
  return Value(-a[0].as_double());
}

Result<Value> add_string(Arguments a) {
  return Value::string(std::string(a[0].as_string()).append(a[1].as_string()));
}
Result<Value> add_bytes(Arguments a) {
  return Value::bytes(std::string(a[0].as_bytes()).append(a[1].as_bytes()));
}

bool holds(const std::vector<Value>& items, const Value& item) {
  for (const Value& known : items) {
    if (equals(known, item)) return true;
  }
  return false;
}

// Where the schema makes a list a set or a map by keys, + is a union (Kubernetes: x-kubernetes-list-type).
Result<Value> add_list(Arguments a) {
  const TypeNode* schema = a[0].schema();
  std::vector<Value> items;
  items.reserve(a[0].size() + a[1].size());
  for (std::size_t i = 0; i < a[0].size(); ++i) items.push_back(a[0].item(i));
  if (schema == nullptr || schema->list_semantics == ListSemantics::atomic) {
    for (std::size_t i = 0; i < a[1].size(); ++i) items.push_back(a[1].item(i));
    return Value::list(std::move(items));
  }
  for (std::size_t i = 0; i < a[1].size(); ++i) {
    Value item = a[1].item(i);
    if (schema->list_semantics == ListSemantics::set) {
      if (!holds(items, item)) items.push_back(std::move(item));
      continue;
    }
    bool replaced = false;
    for (Value& known : items) {
      bool same = true;
      for (const std::string& key : schema->list_keys) {
        const auto left = known.find(Value::string(key)), right = item.find(Value::string(key));
        same = same && left.has_value() == right.has_value() && (!left || equals(*left, *right));
      }
      if (!same) continue;
      known = item;
      replaced = true;
      break;
    }
    if (!replaced) items.push_back(std::move(item));
  }
  return Value::list(std::move(items));
}

constexpr __int128 kNanos = 1'000'000'000;
__int128 nanos_of(Timestamp t) {
  return static_cast<__int128>(t.seconds) * kNanos + t.nanos;
}

Result<Value> time_from(__int128 nanos) {
  __int128 seconds = nanos / kNanos;
  __int128 rest = nanos % kNanos;
  if (rest < 0) {
    rest += kNanos;
    --seconds;
  }
  const Timestamp out{static_cast<std::int64_t>(seconds), static_cast<std::int32_t>(rest)};
  if (!in_range(out)) return bad("timestamp overflow");
  return Value(out);
}
Result<Value> duration_from(__int128 nanos) {
  if (nanos > std::numeric_limits<std::int64_t>::max() || nanos < std::numeric_limits<std::int64_t>::min())
    return bad("duration overflow");
  return Value(Duration(static_cast<std::int64_t>(nanos)));
}
Result<Value> add_time_duration(Arguments a) {
  return time_from(nanos_of(a[0].as_timestamp()) + a[1].as_duration().count());
}
Result<Value> add_duration_time(Arguments a) {
  return time_from(nanos_of(a[1].as_timestamp()) + a[0].as_duration().count());
}
Result<Value> add_duration(Arguments a) {
  return duration_from(static_cast<__int128>(a[0].as_duration().count()) + a[1].as_duration().count());
}
Result<Value> subtract_time(Arguments a) {
  return duration_from(nanos_of(a[0].as_timestamp()) - nanos_of(a[1].as_timestamp()));
}
Result<Value> subtract_time_duration(Arguments a) {
  return time_from(nanos_of(a[0].as_timestamp()) - a[1].as_duration().count());
}
Result<Value> subtract_duration(Arguments a) {
  return duration_from(static_cast<__int128>(a[0].as_duration().count()) - a[1].as_duration().count());
}

bool has_nan(Arguments a) {
  return (a[0].is(Kind::floating) && std::isnan(a[0].as_double())) ||
         (a[1].is(Kind::floating) && std::isnan(a[1].as_double()));
}
template <class Holds>
Result<Value> ordered(Arguments a, Holds holds) {
  if (has_nan(a)) return Value(false);
  const auto order = compare(a[0], a[1]);
  if (!order) return no_such_overload();
  return Value(holds(*order));
}
Result<Value> less(Arguments a) {
  return ordered(a, [](int order) { return order < 0; });
}
Result<Value> less_equal(Arguments a) {
  return ordered(a, [](int order) { return order <= 0; });
}
Result<Value> greater(Arguments a) {
  return ordered(a, [](int order) { return order > 0; });
}
Result<Value> greater_equal(Arguments a) {
  return ordered(a, [](int order) { return order >= 0; });
}

Result<Value> negate_bool(Arguments a) {
  return Value(!a[0].as_bool());
}

Result<Value> in_list(Arguments a) {
  for (std::size_t i = 0; i < a[1].size(); ++i) {
    if (equals(a[0], a[1].item(i))) return Value(true);
  }
  return Value(false);
}
Result<Value> in_map(Arguments a) {
  return Value(a[1].find(a[0]).has_value());
}

std::uint64_t cost_of_both(Arguments a, const Value&) {
  return string_cost(actual_size(a[0]) + actual_size(a[1]));
}
std::uint64_t cost_of_smaller(Arguments a, const Value&) {
  return string_cost(std::min(actual_size(a[0]), actual_size(a[1])));
}
std::uint64_t cost_of_list(Arguments a, const Value&) {
  return actual_size(a[1]);
}

#define CEL_ORDER(symbol, function)                                                                  \
  {"_" symbol "_(bool, bool): bool", function}, {"_" symbol "_(int, int): bool", function},          \
      {"_" symbol "_(int, double): bool", function}, {"_" symbol "_(int, uint): bool", function},    \
      {"_" symbol "_(uint, uint): bool", function}, {"_" symbol "_(uint, double): bool", function},  \
      {"_" symbol "_(uint, int): bool", function}, {"_" symbol "_(double, double): bool", function}, \
      {"_" symbol "_(double, int): bool", function}, {"_" symbol "_(double, uint): bool", function}, \
      {"_" symbol "_(string, string): bool", function, cost_of_smaller, false},                      \
      {"_" symbol "_(bytes, bytes): bool", function, cost_of_smaller, false},                        \
      {"_" symbol "_(timestamp, timestamp): bool", function}, {                                      \
    "_" symbol "_(duration, duration): bool", function                                               \
  }

constexpr Declaration kOperators[] = {
    {"_||_(bool, bool): bool"},
    {"_&&_(bool, bool): bool"},
    {"_?_:_(bool, A, A): A"},
    {"_==_(A, A): bool"},
    {"_!=_(A, A): bool"},
    {"@not_strictly_false(bool): bool"},
    {"_[_](list(A), int): A"},
    {"_[_](map(A, B), A): B"},
    {"!_(bool): bool", negate_bool},
    {"-_(int): int", negate_int},
    {"-_(double): double", negate_double},
    {"_+_(bytes, bytes): bytes", add_bytes, cost_of_both, false},
    {"_+_(double, double): double", add_double},
    {"_+_(duration, duration): duration", add_duration},
    {"_+_(duration, timestamp): timestamp", add_duration_time},
    {"_+_(timestamp, duration): timestamp", add_time_duration},
    {"_+_(int, int): int", add_int},
    {"_+_(list(A), list(A)): list(A)", add_list},
    {"_+_(string, string): string", add_string, cost_of_both, false},
    {"_+_(uint, uint): uint", add_uint},
    {"_-_(double, double): double", subtract_double},
    {"_-_(duration, duration): duration", subtract_duration},
    {"_-_(int, int): int", subtract_int},
    {"_-_(timestamp, duration): timestamp", subtract_time_duration},
    {"_-_(timestamp, timestamp): duration", subtract_time},
    {"_-_(uint, uint): uint", subtract_uint},
    {"_*_(double, double): double", multiply_double},
    {"_*_(int, int): int", multiply_int},
    {"_*_(uint, uint): uint", multiply_uint},
    {"_/_(double, double): double", divide_double},
    {"_/_(int, int): int", divide_int},
    {"_/_(uint, uint): uint", divide_uint},
    {"_%_(int, int): int", modulo_int},
    {"_%_(uint, uint): uint", modulo_uint},
    CEL_ORDER("<", less),
    CEL_ORDER("<=", less_equal),
    CEL_ORDER(">", greater),
    CEL_ORDER(">=", greater_equal),
    {"@in(A, list(A)): bool", in_list, cost_of_list, false},
    {"@in(A, map(A, B)): bool", in_map},
};
#undef CEL_ORDER

}  // namespace

std::span<const Declaration> standard_operators() {
  return kOperators;
}

}  // namespace caisson::cel
