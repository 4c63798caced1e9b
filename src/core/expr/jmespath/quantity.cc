// SPDX-License-Identifier: Apache-2.0
#include "core/expr/jmespath/quantity.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "core/base/text.h"

namespace caisson::jmespath {
namespace {

using Wide = __int128;
constexpr int kScaleMax = 30;

std::optional<Wide> multiplied(Wide a, Wide b) {
  Wide out;
  if (__builtin_mul_overflow(a, b, &out)) return {};
  return out;
}
std::optional<Wide> power(Wide base, int exponent) {
  Wide out = 1;
  for (; exponent > 0; --exponent) {
    const auto next = multiplied(out, base);
    if (!next) return {};
    out = *next;
  }
  return out;
}

std::string digits(Wide number) {
  const bool negative = number < 0;
  std::string out;
  do {
    const int digit = static_cast<int>(number % 10);
    out += static_cast<char>('0' + (digit < 0 ? -digit : digit));
    number /= 10;
  } while (number != 0);
  if (negative) out += '-';
  std::reverse(out.begin(), out.end());
  return out;
}

struct Suffix {
  std::string_view text;
  int power;
};
constexpr Suffix kDecimal[] = {{"n", -9}, {"u", -6}, {"m", -3}, {"", 0},   {"k", 3},
                               {"M", 6},  {"G", 9},  {"T", 12}, {"P", 15}, {"E", 18}};
constexpr Suffix kBinary[] = {{"Ki", 1}, {"Mi", 2}, {"Gi", 3}, {"Ti", 4}, {"Pi", 5}, {"Ei", 6}};

struct Parts {
  Wide mantissa = 0;
  int scale = 0;
  std::string_view suffix;
};
std::optional<Parts> split_number(std::string_view text) {
  Parts parts;
  std::size_t at = 0;
  const bool negative = !text.empty() && text[0] == '-';
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) ++at;
  bool any = false, behind_point = false;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '.' && !behind_point) {
      behind_point = true;
      continue;
    }
    if (c < '0' || c > '9') break;
    any = true;
    const auto next = multiplied(parts.mantissa, 10);
    if (!next || parts.scale >= kScaleMax) return {};
    parts.mantissa = *next + (c - '0');
    if (behind_point) ++parts.scale;
  }
  if (!any) return {};
  if (negative) parts.mantissa = -parts.mantissa;
  parts.suffix = text.substr(at);
  return parts;
}

// Both mantissas at the larger scale.
struct Aligned {
  Wide a, b;
  int scale;
};
std::optional<Aligned> align(Wide a, int a_scale, Wide b, int b_scale) {
  const int scale = std::max(a_scale, b_scale);
  const auto to_a = power(10, scale - a_scale), to_b = power(10, scale - b_scale);
  if (!to_a || !to_b) return {};
  const auto wide_a = multiplied(a, *to_a), wide_b = multiplied(b, *to_b);
  if (!wide_a || !wide_b) return {};
  return Aligned{*wide_a, *wide_b, scale};
}

// "1500m" of 1.5: no fraction, an exponent that is a multiple of three and at least -9 (rounded up below).
std::string decimal_text(Wide mantissa, int scale, bool exponent_form) {
  int exponent = -scale;
  while (mantissa != 0 && mantissa % 10 == 0) {
    mantissa /= 10;
    ++exponent;
  }
  if (mantissa == 0) return "0";
  while (exponent < -9) {
    const Wide rest = mantissa % 10;
    mantissa = mantissa / 10 + (rest > 0 ? 1 : 0);
    ++exponent;
  }
  while (exponent % 3 != 0 || exponent > 18) {
    const auto wider = multiplied(mantissa, 10);
    if (!wider) break;
    mantissa = *wider;
    --exponent;
  }
  const std::string number = digits(mantissa);
  if (exponent == 0) return number;
  if (exponent_form) return number + "e" + std::to_string(exponent);
  for (const Suffix& suffix : kDecimal)
    if (suffix.power == exponent) return number + std::string(suffix.text);
  return number + "e" + std::to_string(exponent);
}

}  // namespace

std::optional<Quantity> Quantity::parse(std::string_view text) {
  const auto parts = split_number(text);
  if (!parts) return {};
  for (const Suffix& suffix : kBinary) {
    if (parts->suffix != suffix.text) continue;
    const auto value = multiplied(parts->mantissa, Wide(1) << (10 * suffix.power));
    if (!value) return {};
    return Quantity(*value, parts->scale, Form::binary_si);
  }
  Form form = Form::decimal_si;
  int exponent = 0;
  const auto known = std::find_if(std::begin(kDecimal), std::end(kDecimal),
                                  [&](const Suffix& suffix) { return suffix.text == parts->suffix; });
  if (known != std::end(kDecimal)) {
    exponent = known->power;
  } else {
    if (parts->suffix.size() < 2 || (parts->suffix[0] != 'e' && parts->suffix[0] != 'E')) return {};
    std::string_view number = parts->suffix.substr(1);
    if (number[0] == '+') number.remove_prefix(1);
    const auto given = parse_int(number);
    if (!given || *given < -30 || *given > 30) return {};
    exponent = static_cast<int>(*given);
    form = Form::decimal_exponent;
  }
  if (exponent <= 0) return Quantity(parts->mantissa, parts->scale - exponent, form);
  const int from_scale = std::min(exponent, parts->scale);
  const auto factor = power(10, exponent - from_scale);
  if (!factor) return {};
  const auto value = multiplied(parts->mantissa, *factor);
  if (!value) return {};
  return Quantity(*value, parts->scale - from_scale, form);
}

std::optional<Quantity> Quantity::of(double number) {
  if (!std::isfinite(number)) return {};
  for (int precision = 1; precision <= 17; ++precision) {  // the shortest digits that read back the same
    char text[48];
    std::snprintf(text, sizeof text, "%.*g", precision, number);
    if (std::strtod(text, nullptr) == number) return parse(text);
  }
  return {};
}

std::optional<Quantity> Quantity::plus(const Quantity& other) const {
  const auto both = align(mantissa_, scale_, other.mantissa_, other.scale_);
  Wide sum;
  if (!both || __builtin_add_overflow(both->a, both->b, &sum)) return {};
  return Quantity(sum, both->scale, is_zero() ? other.form_ : form_);
}

std::optional<Quantity> Quantity::minus(const Quantity& other) const {
  return plus(Quantity(-other.mantissa_, other.scale_, other.form_));
}

std::optional<Quantity> Quantity::times(const Quantity& other) const {
  const auto product = multiplied(mantissa_, other.mantissa_);
  if (!product || scale_ + other.scale_ > kScaleMax) return {};
  return Quantity(*product, scale_ + other.scale_, form_);
}

std::optional<Quantity> Quantity::divided_by(const Quantity& other) const {
  const auto both = align(mantissa_, scale_, other.mantissa_, other.scale_);
  if (!both || both->b == 0) return {};
  const auto factor = power(10, both->scale);
  if (!factor) return {};
  const auto dividend = multiplied(both->a, *factor);
  if (!dividend) return {};
  return Quantity(*dividend / both->b, both->scale, form_);
}

int Quantity::compare(const Quantity& other) const {
  const auto both = align(mantissa_, scale_, other.mantissa_, other.scale_);
  if (!both) return as_double() < other.as_double() ? -1 : 1;
  return both->a < both->b ? -1 : both->a > both->b ? 1 : 0;
}

double Quantity::as_double() const {
  return static_cast<double>(mantissa_) / std::pow(10.0, scale_);
}

std::string Quantity::str() const {
  const bool small = as_double() > -1024 && as_double() < 1024;
  if (form_ != Form::binary_si || small) return decimal_text(mantissa_, scale_, form_ == Form::decimal_exponent);
  const auto unit = power(10, scale_);
  Wide whole = mantissa_ / *unit;
  if (mantissa_ % *unit > 0) ++whole;  // a part of a byte counts as one
  int steps = 0;
  while (steps < 6 && whole != 0 && whole % 1024 == 0) {
    whole /= 1024;
    ++steps;
  }
  return digits(whole) + (steps == 0 ? std::string() : std::string(kBinary[steps - 1].text));
}

}  // namespace caisson::jmespath
