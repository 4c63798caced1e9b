// SPDX-License-Identifier: Apache-2.0
#include "core/document/number.h"

#include <charconv>
#include <cmath>

namespace caisson::document {
namespace {

struct Decimal {
  bool negative = false;
  std::string digits;  // no leading or trailing zeros but for zero itself
  int exponent = 0;    // of the first digit: 1.5 has 0, 15 has 1
};

Decimal shortest(double value) {
  char text[64];
  const auto end = std::to_chars(text, text + sizeof text, std::fabs(value), std::chars_format::scientific).ptr;
  Decimal out;
  out.negative = std::signbit(value);
  const char* at = text;
  for (; at != end && *at != 'e'; ++at) {
    if (*at != '.') out.digits += *at;
  }
  if (at != end) {
    ++at;
    if (*at == '+') ++at;
    std::from_chars(at, end, out.exponent);
  }
  while (out.digits.size() > 1 && out.digits.back() == '0') out.digits.pop_back();
  return out;
}

std::string fixed(const Decimal& d) {
  std::string out = d.negative ? "-" : "";
  const int count = static_cast<int>(d.digits.size());
  if (d.exponent < 0) return out + "0." + std::string(static_cast<std::size_t>(-d.exponent - 1), '0') + d.digits;
  if (count <= d.exponent + 1)
    return out + d.digits + std::string(static_cast<std::size_t>(d.exponent + 1 - count), '0');
  const auto point = static_cast<std::size_t>(d.exponent + 1);
  return out + d.digits.substr(0, point) + "." + d.digits.substr(point);
}

std::string scientific(const Decimal& d, bool two_digit_exponent) {
  std::string out = d.negative ? "-" : "";
  out += d.digits[0];
  if (d.digits.size() > 1) out += "." + d.digits.substr(1);
  const int size = std::abs(d.exponent);
  out += d.exponent < 0 ? "e-" : "e+";
  if (two_digit_exponent && size < 10) out += '0';
  return out + std::to_string(size);
}

}  // namespace

std::string json_number(double value) {
  if (!std::isfinite(value)) return "null";  // JSON has no word for it
  if (value == 0) return std::signbit(value) ? "-0" : "0";
  const Decimal d = shortest(value);
  if (d.exponent >= 21) return scientific(d, true);
  if (d.exponent < -6) return scientific(d, false);
  return fixed(d);
}

std::string yaml_number(double value) {
  if (std::isnan(value)) return ".nan";
  if (std::isinf(value)) return value < 0 ? "-.inf" : ".inf";
  if (value == 0) return std::signbit(value) ? "-0" : "0";
  const Decimal d = shortest(value);
  // A whole number that fits 64 bits: sigs.k8s.io/yaml goes through JSON and reads it back as an integer.
  if (value == std::trunc(value) && value < 0x1p64 && value > -0x1p63) return fixed(d);
  // strconv decides by six digits when it writes the shortest form.
  return d.exponent < -4 || d.exponent >= 6 ? scientific(d, true) : fixed(d);
}

}  // namespace caisson::document
