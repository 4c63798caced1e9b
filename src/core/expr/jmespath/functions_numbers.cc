// SPDX-License-Identifier: Apache-2.0
// Kyverno's arithmetic: over numbers, quantities ("500m", "1Gi") and durations ("1h30m"), with its rules of what may be
// joined with what (quantity / quantity is a number, quantity * quantity is refused, …).
#include <cmath>
#include <limits>
#include <variant>

#include "core/base/clock.h"
#include "core/base/quantity.h"
#include "core/expr/jmespath/functions.h"

namespace caisson::jmespath {
namespace {

using Operand = std::variant<double, Quantity, Duration>;

Result<Operand> operand(const Call& call, const Value& value) {
  if (value.is_number()) return Operand(value.as_double());
  if (value.is_string()) {
    if (const auto quantity = Quantity::parse(value.as_string())) return Operand(*quantity);
    const auto duration = parse_duration(value.as_string());
    if (duration.ok()) return Operand(*duration);
  }
  return call.fail("invalid operand");
}

Error mismatch(const Call& call) {
  return call.invalid_type("Types mismatch");
}
Error zero_divisor(const Call& call) {
  return {ErrorCode::bad_request,
          "invalid-value: JMESPath function '" + std::string(call.function.name) + "': Zero divisor passed"};
}
Error not_integer(const Call& call) {
  return call.fail("Non-integer argument(s) passed for modulo");
}

Result<Value> text_of(const Call& call, const std::optional<Quantity>& quantity) {
  if (!quantity) return call.fail("the result has too many digits");
  return Value(quantity->str());
}
Result<Value> text_of(const Call& call, double seconds) {
  if (!(std::fabs(seconds) < 9.2e9)) return call.fail("the duration is out of range");
  return Value(format_duration(Duration(static_cast<std::int64_t>(seconds * 1e9))));
}
double seconds_of(Duration duration) {
  return static_cast<double>(duration.count()) / 1e9;
}

Result<Value> add(const Call& call, const Value& left, const Value& right, int sign) {
  const Operand a = TRY(operand(call, left)), b = TRY(operand(call, right));
  if (a.index() != b.index()) return mismatch(call);
  if (const auto* number = std::get_if<double>(&a)) return number_value(*number + sign * std::get<double>(b));
  if (const auto* quantity = std::get_if<Quantity>(&a)) {
    const auto& other = std::get<Quantity>(b);
    return text_of(call, sign > 0 ? quantity->plus(other) : quantity->minus(other));
  }
  std::int64_t sum;
  if (__builtin_add_overflow(std::get<Duration>(a).count(), sign * std::get<Duration>(b).count(), &sum))
    return call.fail("the duration is out of range");
  return Value(format_duration(Duration(sum)));
}

Result<Value> run_add(const Call& call) {
  return add(call, call.value(0), call.value(1), 1);
}
Result<Value> run_subtract(const Call& call) {
  return add(call, call.value(0), call.value(1), -1);
}
Result<Value> run_sum(const Call& call) {
  const auto items = call.value(0).items();
  if (items.empty()) return call.fail("at least one element in the array is required");
  Value total = items[0];
  for (const Value& item : items.subspan(1)) total = TRY(add(call, total, item, 1));
  return total;
}

Result<Value> multiply(const Call& call, const Operand& a, double by) {
  if (const auto* number = std::get_if<double>(&a)) return number_value(*number * by);
  if (const auto* quantity = std::get_if<Quantity>(&a)) {
    const auto factor = Quantity::of(by);
    return text_of(call, factor ? quantity->times(*factor) : std::nullopt);
  }
  return text_of(call, seconds_of(std::get<Duration>(a)) * by);
}
Result<Value> run_multiply(const Call& call) {
  const Operand a = TRY(operand(call, call.value(0))), b = TRY(operand(call, call.value(1)));
  if (const auto* number = std::get_if<double>(&b)) return multiply(call, a, *number);
  if (const auto* number = std::get_if<double>(&a)) return multiply(call, b, *number);
  return mismatch(call);
}

Result<Value> run_divide(const Call& call) {
  const Operand a = TRY(operand(call, call.value(0))), b = TRY(operand(call, call.value(1)));
  if (const auto* by = std::get_if<double>(&b)) {
    if (*by == 0) return zero_divisor(call);
    if (const auto* number = std::get_if<double>(&a)) return number_value(*number / *by);
    if (const auto* duration = std::get_if<Duration>(&a)) return text_of(call, seconds_of(*duration) / *by);
    const auto divisor = Quantity::of(*by);
    return text_of(call, divisor ? std::get<Quantity>(a).divided_by(*divisor) : std::nullopt);
  }
  if (a.index() != b.index()) return mismatch(call);
  if (const auto* by = std::get_if<Quantity>(&b)) {
    if (by->is_zero()) return zero_divisor(call);
    return number_value(std::get<Quantity>(a).as_double() / by->as_double());
  }
  const Duration by = std::get<Duration>(b);
  if (by.count() == 0) return zero_divisor(call);
  return number_value(seconds_of(std::get<Duration>(a)) / seconds_of(by));
}

// Both as integers; empty when one is none.
std::optional<std::pair<std::int64_t, std::int64_t>> integers(double a, double b) {
  constexpr double kLimit = 9.2e18;
  if (!(std::fabs(a) < kLimit) || !(std::fabs(b) < kLimit) || std::trunc(a) != a || std::trunc(b) != b) return {};
  return std::pair(static_cast<std::int64_t>(a), static_cast<std::int64_t>(b));
}
Result<Value> run_modulo(const Call& call) {
  const Operand a = TRY(operand(call, call.value(0))), b = TRY(operand(call, call.value(1)));
  if (a.index() != b.index()) return mismatch(call);
  if (const auto* duration = std::get_if<Duration>(&a)) {
    const std::int64_t by = std::get<Duration>(b).count();
    if (by == 0) return zero_divisor(call);
    return Value(format_duration(Duration(by == -1 ? 0 : duration->count() % by)));
  }
  const auto* quantity = std::get_if<Quantity>(&a);
  const auto both = quantity != nullptr ? integers(quantity->as_double(), std::get<Quantity>(b).as_double())
                                        : integers(std::get<double>(a), std::get<double>(b));
  if (!both) return not_integer(call);
  if (both->second == 0) return zero_divisor(call);
  const std::int64_t rest = both->second == -1 ? 0 : both->first % both->second;
  return quantity != nullptr ? Value(Quantity::of_integer(rest, quantity->form()).str()) : Value(rest);
}

Result<Value> run_round(const Call& call) {
  const double digits = call.number(1);
  if (std::trunc(digits) != digits) return call.fail("Non-integer argument(s) passed for round off");
  if (digits < 0) return call.fail("argument is out of bounds");
  const double shift = std::pow(10.0, digits);
  if (!std::isfinite(shift)) return call.value(0);
  return number_value(std::round(call.number(0) * shift) / shift);
}

constexpr Function kTable[] = {
    {"add", 2, false, {kAny, kAny}, "any", run_add, "numbers, quantities or durations added"},
    {"divide", 2, false, {kAny, kAny}, "any", run_divide, "one divided by the other"},
    {"modulo", 2, false, {kAny, kAny}, "any", run_modulo, "the rest of a division"},
    {"multiply", 2, false, {kAny, kAny}, "any", run_multiply, "a number, quantity or duration times a number"},
    {"round", 2, false, {kNumber, kNumber}, "number", run_round, "rounded to so many digits behind the point"},
    {"subtract", 2, false, {kAny, kAny}, "any", run_subtract, "the second taken from the first"},
    {"sum", 1, false, {kArray}, "any", run_sum, "the total of numbers, quantities or durations"},
};

}  // namespace

std::span<const Function> number_functions() {
  return kTable;
}

}  // namespace caisson::jmespath
