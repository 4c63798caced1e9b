// SPDX-License-Identifier: Apache-2.0
// Sprig's arithmetic. Follows numeric.go of Sprig 3.3; the decimal arithmetic of addf and its kin is in decimal.h.
#include <cmath>

#include "core/expr/go_template/format.h"
#include "core/expr/go_template/numbers.h"
#include "core/expr/go_template/sprig/convert.h"
#include "core/expr/go_template/sprig/decimal.h"
#include "core/expr/go_template/sprig/functions.h"

namespace caisson::go_template::sprig {
namespace {

// Go's integers wrap around.
std::int64_t wrap_add(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}
std::int64_t wrap_sub(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
}
std::int64_t wrap_mul(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b));
}

// 10^places by squaring, as Go's math.Pow does it: where the last bit differs from libm's, so does what round gives.
double power_of_ten(std::int64_t places) {
  constexpr int kExponentMax = 1 << 12;
  double result = 1, base = 0;
  int exponent = 0, base_exponent = 0;
  base = std::frexp(10.0, &base_exponent);
  for (std::uint64_t n = places < 0 ? ~static_cast<std::uint64_t>(places) + 1 : static_cast<std::uint64_t>(places);
       n != 0; n >>= 1) {
    if (base_exponent > kExponentMax) {
      exponent += base_exponent;
      break;
    }
    if (n & 1) {
      result *= base;
      exponent += base_exponent;
    }
    base *= base;
    base_exponent *= 2;
    if (base < 0.5) {
      base += base;
      --base_exponent;
    }
  }
  return places < 0 ? std::ldexp(1 / result, -exponent) : std::ldexp(result, exponent);
}

Error division_by_zero() {
  return invalid("runtime error: integer divide by zero");
}

// start, start + step, … before stop.
Result<std::vector<std::int64_t>> steps(Call& call, std::int64_t start, std::int64_t stop, std::int64_t step) {
  std::vector<std::int64_t> out;
  if (stop < start ? step >= 0 : step <= 0) return out;
  const double count = std::fabs((static_cast<double>(stop) - static_cast<double>(start)) / static_cast<double>(step));
  constexpr double kCountMax = 1e15;
  TRY(call.execution.spend(static_cast<std::uint64_t>(std::min(count, kCountMax))));
  for (std::int64_t i = start; stop < start ? i > stop : i < stop; i = wrap_add(i, step)) out.push_back(i);
  return out;
}

Datum int_list(const std::vector<std::int64_t>& numbers) {
  std::vector<Datum> items;
  items.reserve(numbers.size());
  for (const std::int64_t number : numbers) items.push_back(Datum::integer(number));
  return Datum(make<List>(std::move(items)), kIntList);
}

Result<Datum> decimal_fold(Call& call, Decimal start, std::span<const Datum> rest,
                           Result<Decimal> (*step)(const Decimal&, const Decimal&)) {
  for (const Datum& item : rest) {
    const Decimal operand = TRY(Decimal::from(to_double(item)));
    TRY(call.execution.spend(1));
    start = TRY(step(start, operand));
  }
  return Datum(start.to_double());
}

Result<Decimal> plus(const Decimal& a, const Decimal& b) {
  return a.add(b);
}
Result<Decimal> minus(const Decimal& a, const Decimal& b) {
  return a.subtract(b);
}
Result<Decimal> times(const Decimal& a, const Decimal& b) {
  return a.multiply(b);
}
Result<Decimal> over(const Decimal& a, const Decimal& b) {
  return a.divide(b);
}

}  // namespace

Result<Datum> int_(Call& call) {
  return Datum::integer(to_int64(call[0]));
}
Result<Datum> int64_(Call& call) {
  return Datum(to_int64(call[0]));
}
Result<Datum> float64_(Call& call) {
  return Datum(to_double(call[0]));
}

Result<Datum> atoi(Call& call) {
  const auto parsed = parse_int(call.text(0));
  return Datum::integer(parsed.error == NumberError::syntax ? 0 : parsed.value);
}

Result<Datum> to_decimal(Call& call) {
  const auto parsed = parse_int(TRY(to_text(call[0])), 8);
  return Datum(parsed.ok() ? parsed.value : std::int64_t{0});
}

Result<Datum> add1(Call& call) {
  return Datum(wrap_add(to_int64(call[0]), 1));
}
Result<Datum> sub(Call& call) {
  return Datum(wrap_sub(to_int64(call[0]), to_int64(call[1])));
}

Result<Datum> add(Call& call) {
  std::int64_t sum = 0;
  for (const Datum& item : call.arguments) sum = wrap_add(sum, to_int64(item));
  return Datum(sum);
}

Result<Datum> mul(Call& call) {
  std::int64_t product = to_int64(call[0]);
  for (const Datum& item : call.arguments.subspan(1)) product = wrap_mul(product, to_int64(item));
  return Datum(product);
}

Result<Datum> div(Call& call) {
  const std::int64_t a = to_int64(call[0]), b = to_int64(call[1]);
  if (b == 0) return division_by_zero();
  return Datum(b == -1 ? wrap_sub(0, a) : a / b);
}

Result<Datum> mod(Call& call) {
  const std::int64_t a = to_int64(call[0]), b = to_int64(call[1]);
  if (b == 0) return division_by_zero();
  return Datum(b == -1 ? std::int64_t{0} : a % b);
}

Result<Datum> max(Call& call) {
  std::int64_t best = to_int64(call[0]);
  for (const Datum& item : call.arguments) best = std::max(best, to_int64(item));
  return Datum(best);
}

Result<Datum> min(Call& call) {
  std::int64_t best = to_int64(call[0]);
  for (const Datum& item : call.arguments) best = std::min(best, to_int64(item));
  return Datum(best);
}

Result<Datum> maxf(Call& call) {
  double best = to_double(call[0]);
  for (const Datum& item : call.arguments) {
    const double other = to_double(item);
    best = std::isnan(best) || std::isnan(other) ? std::nan("") : std::max(best, other);
  }
  return Datum(best);
}

Result<Datum> minf(Call& call) {
  double best = to_double(call[0]);
  for (const Datum& item : call.arguments) {
    const double other = to_double(item);
    best = std::isnan(best) || std::isnan(other) ? std::nan("") : std::min(best, other);
  }
  return Datum(best);
}

Result<Datum> ceil(Call& call) {
  return Datum(std::ceil(to_double(call[0])));
}
Result<Datum> floor(Call& call) {
  return Datum(std::floor(to_double(call[0])));
}

Result<Datum> round(Call& call) {
  const double up_from = call.size() > 2 ? call[2].as_double() : 0.5;
  const double power = power_of_ten(call[1].as_int());
  const double digits = power * to_double(call[0]);
  double whole = 0;
  const double fraction = std::modf(digits, &whole);
  return Datum((fraction >= up_from ? std::ceil(digits) : std::floor(digits)) / power);
}

Result<Datum> add1f(Call& call) {
  const Decimal value = TRY(Decimal::from(to_double(call[0])));
  return Datum(value.add(TRY(Decimal::from(1))).to_double());
}
Result<Datum> addf(Call& call) {
  return decimal_fold(call, TRY(Decimal::from(0)), call.arguments, plus);
}
Result<Datum> subf(Call& call) {
  return decimal_fold(call, TRY(Decimal::from(to_double(call[0]))), call.arguments.subspan(1), minus);
}
Result<Datum> mulf(Call& call) {
  return decimal_fold(call, TRY(Decimal::from(to_double(call[0]))), call.arguments.subspan(1), times);
}
Result<Datum> divf(Call& call) {
  return decimal_fold(call, TRY(Decimal::from(to_double(call[0]))), call.arguments.subspan(1), over);
}

Result<Datum> until(Call& call) {
  const std::int64_t count = call[0].as_int();
  return int_list(TRY(steps(call, 0, count, count < 0 ? -1 : 1)));
}
Result<Datum> until_step(Call& call) {
  return int_list(TRY(steps(call, call[0].as_int(), call[1].as_int(), call[2].as_int())));
}

Result<Datum> seq(Call& call) {
  if (call.size() == 0 || call.size() > 3) return Datum("");
  const std::int64_t start = call.size() == 1 ? 1 : call[0].as_int();
  const std::int64_t end = call[call.size() - 1].as_int();
  const std::int64_t direction = end < start ? -1 : 1;
  const std::int64_t step = call.size() == 3 ? call[1].as_int() : direction;
  if (call.size() == 3 && direction < 0 && step > 0) return Datum("");
  std::string out;
  for (const std::int64_t number : TRY(steps(call, start, wrap_add(end, direction), step))) {
    if (!out.empty()) out += ' ';
    out += std::to_string(number);
  }
  return Datum(out);
}

}  // namespace caisson::go_template::sprig
