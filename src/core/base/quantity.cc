// SPDX-License-Identifier: Apache-2.0
#include "core/base/quantity.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <span>

#include "core/base/text.h"

namespace caisson {
namespace {

using Wide = __int128;
constexpr int kScaleMax = 30, kNano = 9;
constexpr Wide kUnitsMax = std::numeric_limits<std::int64_t>::max(), kMantissaMax = kUnitsMax * 1'000'000'000;

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

// Away from zero: who asks for something gets something.
Wide divided_up(Wide number, Wide divisor) {
  const Wide magnitude = number < 0 ? -number : number;
  const Wide out = (magnitude + divisor - 1) / divisor;
  return number < 0 ? -out : out;
}

struct Suffix {
  std::string_view text;
  int power;  // of ten, or of 1024
};
constexpr Suffix kDecimal[] = {{"n", -9}, {"u", -6}, {"m", -3}, {"", 0},   {"k", 3},
                               {"M", 6},  {"G", 9},  {"T", 12}, {"P", 15}, {"E", 18}};
constexpr Suffix kBinary[] = {{"Ki", 1}, {"Mi", 2}, {"Gi", 3}, {"Ti", 4}, {"Pi", 5}, {"Ei", 6}};

const Suffix* named(std::span<const Suffix> suffixes, std::string_view text) {
  const auto found = std::find_if(suffixes.begin(), suffixes.end(), [&](const Suffix& s) { return s.text == text; });
  return found == suffixes.end() ? nullptr : &*found;
}

struct Unit {
  int power = 0;
  Quantity::Form form = Quantity::Form::decimal_si;
};
std::optional<Unit> unit_of(std::string_view suffix) {
  if (const Suffix* binary = named(kBinary, suffix)) return Unit{binary->power, Quantity::Form::binary_si};
  if (const Suffix* decimal = named(kDecimal, suffix)) return Unit{decimal->power};
  if (suffix.size() < 2 || (suffix[0] != 'e' && suffix[0] != 'E')) return {};
  suffix.remove_prefix(1);
  const bool negative = suffix[0] == '-';
  if (negative || suffix[0] == '+') suffix.remove_prefix(1);
  if (suffix.empty() || suffix.find_first_not_of("0123456789") != suffix.npos) return {};
  int power = 0;
  for (const char c : suffix) power = std::min(power * 10 + (c - '0'), 1000);  // beyond all limits either way
  return Unit{negative ? -power : power, Quantity::Form::decimal_exponent};
}

// A number without sign and suffix. Digits that a 128-bit mantissa can't hold are dropped where they don't count.
struct Magnitude {
  Wide mantissa = 0;
  int scale = 0;
  int digits = 0;        // that were written, with those behind the point
  bool inexact = false;  // something behind the point was dropped
  bool huge = false;     // beyond the cap

  void shorten() {  // by one place
    inexact = inexact || mantissa % 10 != 0;
    mantissa /= 10;
    --scale;
  }
  void multiply(Wide factor) {
    std::optional<Wide> product;
    while (!(product = multiplied(mantissa, factor))) {
      if (scale == 0) return (void)(huge = true);
      shorten();
    }
    mantissa = *product;
  }
};
std::optional<Magnitude> magnitude_of(std::string_view text) {
  Magnitude out;
  bool point = false;
  for (const char c : text) {
    if (c == '.') {
      if (point) return {};
      point = true;
      continue;
    }
    ++out.digits;
    if (out.mantissa >= kMantissaMax && point) {
      out.inexact = out.inexact || c != '0';
      continue;
    }
    if (out.mantissa >= kMantissaMax) {
      out.huge = true;
      continue;
    }
    out.mantissa = out.mantissa * 10 + (c - '0');
    if (point) ++out.scale;
  }
  if (out.digits == 0) return {};
  return out;
}

// As apimachinery decides whether a number goes to its 64-bit form.
bool is_plain(const Magnitude& written, const Unit& unit) {
  if (unit.form != Quantity::Form::binary_si) return unit.power >= written.scale && written.digits <= 18;
  return written.scale == 0 && 15 - written.digits - 10 * unit.power * 3 / 10 - 1 >= 0;
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
  for (; exponent < -kNano; ++exponent) mantissa = divided_up(mantissa, 10);
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
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  const std::size_t end = std::min(text.find_first_not_of("0123456789."), text.size());
  auto number = magnitude_of(text.substr(0, end));
  const auto unit = number ? unit_of(text.substr(end)) : std::nullopt;
  if (!unit) return {};
  const bool plain = is_plain(*number, *unit);
  if (unit->form == Form::binary_si) {
    number->multiply(Wide(1) << (10 * unit->power));
  } else {
    number->scale -= unit->power;
    for (; number->scale < 0 && !number->huge && number->mantissa != 0; ++number->scale) {
      number->huge = number->mantissa > kMantissaMax;
      number->mantissa *= 10;
    }
    number->scale = std::max(number->scale, 0);
  }
  while (number->scale > kNano && number->mantissa != 0) number->shorten();
  number->scale = std::min(number->scale, kNano);
  if (number->inexact) ++number->mantissa;
  if (number->huge || number->mantissa / *power(10, number->scale) >= kUnitsMax) {
    number->mantissa = kUnitsMax;
    number->scale = 0;
  }
  Quantity out(negative ? -number->mantissa : number->mantissa, number->scale, unit->form);
  out.plain_ = plain;
  return out;
}

Error Quantity::refusal(std::string_view text) {
  const std::size_t sign = text.starts_with('-') || text.starts_with('+') ? 1 : 0;
  const std::size_t end = std::min(text.find_first_not_of("0123456789.", sign), text.size());
  const bool number = magnitude_of(text.substr(sign, end - sign)).has_value();
  if (number && text.find_first_not_of("eEinumkKMGTP+-0123456789", end) == text.npos)
    return {ErrorCode::bad_request, "unable to parse quantity's suffix"};
  return {ErrorCode::bad_request,
          "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"};
}

bool Quantity::is_capped() const {
  return scale_ == 0 && (mantissa_ == kUnitsMax || mantissa_ == -kUnitsMax);
}

std::int64_t Quantity::scaled(int places) const {
  Wide out = mantissa_;
  if (scale_ > places) out = divided_up(out, *power(10, scale_ - places));
  if (scale_ < places) out = std::clamp(out, -kUnitsMax, kUnitsMax) * *power(10, places - scale_);
  return static_cast<std::int64_t>(std::clamp(out, -kUnitsMax, kUnitsMax));
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
  Quantity out(sum, both->scale, is_zero() ? other.form_ : form_);
  out.plain_ = plain_ && other.plain_;
  return out;
}

std::optional<Quantity> Quantity::minus(const Quantity& other) const {
  Quantity negative = other;
  negative.mantissa_ = -other.mantissa_;
  return plus(negative);
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
  const Wide unit = *power(10, scale_);
  const bool small = mantissa_ > -1024 * unit && mantissa_ < 1024 * unit;
  // Where powers of 1024 would lose something, apimachinery writes powers of ten.
  if (form_ != Form::binary_si || small || mantissa_ % unit != 0)
    return decimal_text(mantissa_, scale_, form_ == Form::decimal_exponent);
  Wide whole = mantissa_ / unit;
  int steps = 0;
  while (steps < 6 && whole != 0 && whole % 1024 == 0) {
    whole /= 1024;
    ++steps;
  }
  return digits(whole) + (steps == 0 ? std::string() : std::string(kBinary[steps - 1].text));
}

}  // namespace caisson
