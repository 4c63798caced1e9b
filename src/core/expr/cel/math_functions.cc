// SPDX-License-Identifier: Apache-2.0
// cel-go's ext/math and ext/encoders.
#include <cmath>

#include "core/base/encoding.h"
#include "core/expr/cel/environment.h"

namespace caisson::cel {
namespace {

using Arguments = std::span<const Value>;

template <int Sign>
Result<Value> extreme(Arguments a) {
  const bool of_list = a.size() == 1 && a[0].is(Kind::list);
  const std::size_t count = of_list ? a[0].size() : a.size();
  if (count == 0) return bad("math.@" + std::string(Sign > 0 ? "max" : "min") + "(list) argument must not be empty");
  Value best;
  for (std::size_t i = 0; i < count; ++i) {
    Value item = of_list ? a[0].item(i) : a[i];
    if (!item.is(Kind::integer) && !item.is(Kind::unsigned_integer) && !item.is(Kind::floating))
      return no_such_overload();
    if (i == 0) {
      best = std::move(item);
      continue;
    }
    const auto order = compare(item, best);
    if (order && *order * Sign > 0) best = std::move(item);
  }
  return best;
}

Result<Value> ceiling(Arguments a) {
  return Value(std::ceil(a[0].as_double()));
}
Result<Value> floor_of(Arguments a) {
  return Value(std::floor(a[0].as_double()));
}
Result<Value> round_of(Arguments a) {
  return Value(std::round(a[0].as_double()));
}
Result<Value> truncate(Arguments a) {
  return Value(std::trunc(a[0].as_double()));
}
Result<Value> square_root(Arguments a) {
  if (a[0].is(Kind::integer)) return Value(std::sqrt(static_cast<double>(a[0].as_int())));
  if (a[0].is(Kind::unsigned_integer)) return Value(std::sqrt(static_cast<double>(a[0].as_uint())));
  return Value(std::sqrt(a[0].as_double()));
}
Result<Value> is_inf(Arguments a) {
  return Value(std::isinf(a[0].as_double()));
}
Result<Value> is_nan(Arguments a) {
  return Value(std::isnan(a[0].as_double()));
}
Result<Value> is_finite(Arguments a) {
  return Value(static_cast<bool>(std::isfinite(a[0].as_double())));
}

Result<Value> absolute(Arguments a) {
  if (a[0].is(Kind::unsigned_integer)) return a[0];
  if (a[0].is(Kind::floating)) return Value(std::fabs(a[0].as_double()));
  if (a[0].as_int() == INT64_MIN) return bad("integer overflow");
  return Value(std::int64_t{a[0].as_int() < 0 ? -a[0].as_int() : a[0].as_int()});
}
Result<Value> sign(Arguments a) {
  if (a[0].is(Kind::unsigned_integer)) return Value(std::uint64_t{a[0].as_uint() > 0 ? 1u : 0u});
  if (a[0].is(Kind::integer)) return Value(std::int64_t{(a[0].as_int() > 0) - (a[0].as_int() < 0)});
  const double d = a[0].as_double();
  return Value(std::isnan(d) ? d : static_cast<double>((d > 0) - (d < 0)));
}

template <class Operation>
Result<Value> bitwise(Arguments a, Operation operation) {
  if (a[0].is(Kind::integer)) return Value(static_cast<std::int64_t>(operation(a[0].as_int(), a[1].as_int())));
  return Value(static_cast<std::uint64_t>(operation(a[0].as_uint(), a[1].as_uint())));
}
Result<Value> bit_and(Arguments a) {
  return bitwise(a, [](auto x, auto y) { return x & y; });
}
Result<Value> bit_or(Arguments a) {
  return bitwise(a, [](auto x, auto y) { return x | y; });
}
Result<Value> bit_xor(Arguments a) {
  return bitwise(a, [](auto x, auto y) { return x ^ y; });
}
Result<Value> bit_not(Arguments a) {
  if (a[0].is(Kind::integer)) return Value(std::int64_t{~a[0].as_int()});
  return Value(std::uint64_t{~a[0].as_uint()});
}

// Shifts of the 64 bits; a right shift of an int brings in zeros, as cel-go has it.
template <bool Left>
Result<Value> shift(Arguments a) {
  const std::int64_t by = a[1].as_int();
  if (by < 0)
    return bad(std::string("math.bitShift") + (Left ? "Left" : "Right") + "() negative offset: " + std::to_string(by));
  const bool is_int = a[0].is(Kind::integer);
  std::uint64_t bits = is_int ? static_cast<std::uint64_t>(a[0].as_int()) : a[0].as_uint();
  bits = by > 63 ? 0 : Left ? bits << by : bits >> by;
  if (is_int) return Value(static_cast<std::int64_t>(bits));
  return Value(bits);
}

Result<Value> encode(Arguments a) {
  return Value::string(base64(a[0].as_bytes()));
}
Result<Value> decode(Arguments a) {
  auto bytes = unbase64(a[0].as_string());
  if (!bytes.ok()) return bad("illegal base64 data");
  return Value::bytes(std::move(bytes).value());
}

#define CEL_EXTREME(name, function)                                                                       \
  {"math.@" name "(double): double", function}, {"math.@" name "(int): int", function},                   \
      {"math.@" name "(uint): uint", function}, {"math.@" name "(double, double): double", function},     \
      {"math.@" name "(int, int): int", function}, {"math.@" name "(uint, uint): uint", function},        \
      {"math.@" name "(int, uint): dyn", function}, {"math.@" name "(int, double): dyn", function},       \
      {"math.@" name "(double, int): dyn", function}, {"math.@" name "(double, uint): dyn", function},    \
      {"math.@" name "(uint, int): dyn", function}, {"math.@" name "(uint, double): dyn", function},      \
      {"math.@" name "(list(double)): double", function}, {"math.@" name "(list(int)): int", function}, { \
    "math.@" name "(list(uint)): uint", function                                                          \
  }

constexpr Declaration kMath[] = {
    CEL_EXTREME("max", extreme<1>),
    CEL_EXTREME("min", extreme<-1>),
    {"math.ceil(double): double", ceiling},
    {"math.floor(double): double", floor_of},
    {"math.round(double): double", round_of},
    {"math.trunc(double): double", truncate},
    {"math.sqrt(double): double", square_root},
    {"math.sqrt(int): double", square_root},
    {"math.sqrt(uint): double", square_root},
    {"math.isInf(double): bool", is_inf},
    {"math.isNaN(double): bool", is_nan},
    {"math.isFinite(double): bool", is_finite},
    {"math.abs(double): double", absolute},
    {"math.abs(int): int", absolute},
    {"math.abs(uint): uint", absolute},
    {"math.sign(double): double", sign},
    {"math.sign(int): int", sign},
    {"math.sign(uint): uint", sign},
    {"math.bitAnd(int, int): int", bit_and},
    {"math.bitAnd(uint, uint): uint", bit_and},
    {"math.bitOr(int, int): int", bit_or},
    {"math.bitOr(uint, uint): uint", bit_or},
    {"math.bitXor(int, int): int", bit_xor},
    {"math.bitXor(uint, uint): uint", bit_xor},
    {"math.bitNot(int): int", bit_not},
    {"math.bitNot(uint): uint", bit_not},
    {"math.bitShiftLeft(int, int): int", shift<true>},
    {"math.bitShiftLeft(uint, int): uint", shift<true>},
    {"math.bitShiftRight(int, int): int", shift<false>},
    {"math.bitShiftRight(uint, int): uint", shift<false>},
};
#undef CEL_EXTREME

constexpr Declaration kEncoders[] = {
    {"base64.encode(bytes): string", encode},
    {"base64.decode(string): bytes", decode},
};

}  // namespace

std::span<const Declaration> math_functions() {
  return kMath;
}
std::span<const Declaration> encoder_functions() {
  return kEncoders;
}

}  // namespace caisson::cel
