// SPDX-License-Identifier: Apache-2.0
#include "core/expr/go_template/numbers.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "core/expr/go_template/unicode.h"

namespace caisson::go_template {
namespace {

char lower(char c) {
  return static_cast<char>(c | 0x20);
}

// Underscores stand between digits, or between a base's prefix and a digit.
bool underscores_fit(std::string_view text) {
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  char saw = '^';  // '0' a digit or a prefix, '_' an underscore, '!' anything else
  bool hex = false;
  if (text.size() >= 2 && text[0] == '0' && std::strchr("box", lower(text[1]))) {
    hex = lower(text[1]) == 'x';
    text.remove_prefix(2);
    saw = '0';
  }
  for (const char c : text) {
    if ((c >= '0' && c <= '9') || (hex && lower(c) >= 'a' && lower(c) <= 'f')) {
      saw = '0';
    } else if (c == '_') {
      if (saw != '0') return false;
      saw = '_';
    } else {
      if (saw == '_') return false;
      saw = '!';
    }
  }
  return saw != '_';
}

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (lower(c) >= 'a' && lower(c) <= 'z') return lower(c) - 'a' + 10;
  return 99;
}

// Takes the prefix off; the base it means.
int take_base(std::string_view& text) {
  if (text.size() < 1 || text[0] != '0') return 10;
  if (text.size() >= 3) {
    const char mark = lower(text[1]);
    const int base = mark == 'b' ? 2 : mark == 'o' ? 8 : mark == 'x' ? 16 : 0;
    if (base) {
      text.remove_prefix(2);
      return base;
    }
  }
  text.remove_prefix(1);
  return 8;
}

struct FloatText {
  std::string digits;  // what from_chars reads: no sign, no prefix, no underscores
  bool negative = false, hex = false, ok = false;
};

// Checks the form and takes out what from_chars does not know.
FloatText scan_float(std::string_view text) {
  FloatText out;
  if (text.find('_') != std::string_view::npos && !underscores_fit(text)) return out;
  std::size_t i = 0;
  if (i < text.size() && (text[i] == '+' || text[i] == '-')) out.negative = text[i++] == '-';
  if (i + 2 < text.size() && text[i] == '0' && lower(text[i + 1]) == 'x') {
    out.hex = true;
    i += 2;
  }
  bool saw_digit = false, saw_dot = false, saw_exponent = false;
  for (; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '_') continue;
    if (c == '.' && !saw_dot) {
      saw_dot = true;
    } else if ((c >= '0' && c <= '9') || (out.hex && lower(c) >= 'a' && lower(c) <= 'f')) {
      saw_digit = true;
    } else {
      break;
    }
    out.digits += c;
  }
  if (!saw_digit) return out;
  if (i < text.size() && lower(text[i]) == (out.hex ? 'p' : 'e')) {
    saw_exponent = true;
    out.digits += lower(text[i++]);
    if (i < text.size() && (text[i] == '+' || text[i] == '-')) out.digits += text[i++];
    if (i >= text.size() || text[i] < '0' || text[i] > '9') return out;
    for (; i < text.size() && ((text[i] >= '0' && text[i] <= '9') || text[i] == '_'); ++i) {
      if (text[i] != '_') out.digits += text[i];
    }
  }
  out.ok = i == text.size() && (!out.hex || saw_exponent);
  return out;
}

bool is_special(std::string_view text, double& value) {
  const bool signed_ = !text.empty() && (text[0] == '+' || text[0] == '-');
  const std::string word = lower_text(text.substr(signed_));
  if (word == "inf" || word == "infinity") {
    value = text[0] == '-' ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity();
    return true;
  }
  if (word == "nan" && !signed_) {
    value = std::numeric_limits<double>::quiet_NaN();
    return true;
  }
  return false;
}

// The digits d1d2d3… and the exponent of 0.d1d2d3… × 10^point.
struct Digits {
  std::string text;
  int point = 0;
};

// precision < 0: shortest; else that many digits after the first.
Digits digits_of(double value, int precision, int bits) {
  char buffer[1100];
  std::to_chars_result end{};
  if (precision >= 0) {
    end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific, precision);
  } else if (bits == 32) {
    end = std::to_chars(buffer, buffer + sizeof buffer, static_cast<float>(value), std::chars_format::scientific);
  } else {
    end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
  }
  const std::string_view text(buffer, static_cast<std::size_t>(end.ptr - buffer));
  const std::size_t e = text.find('e');
  Digits out;
  for (const char c : text.substr(0, e)) {
    if (c != '.') out.text += c;
  }
  out.point = static_cast<int>(parse_int(text.substr(e + 1)).value) + 1;
  while (out.text.size() > 1 && out.text.back() == '0') out.text.pop_back();
  if (out.text == "0") out.point = 1;
  return out;
}

std::string exponent_form(const Digits& digits, int precision, char mark) {
  std::string out(1, digits.text[0]);
  if (precision > 0) {
    out += '.';
    for (int i = 1; i <= precision; ++i) {
      out += static_cast<std::size_t>(i) < digits.text.size() ? digits.text[static_cast<std::size_t>(i)] : '0';
    }
  }
  const int exponent = digits.text == "0" ? 0 : digits.point - 1;
  out += mark;
  out += exponent < 0 ? '-' : '+';
  const std::string number = std::to_string(std::abs(exponent));
  return out + (number.size() < 2 ? "0" : "") + number;
}

std::string plain_form(const Digits& digits, int precision) {
  std::string out;
  for (int i = 0; i < digits.point; ++i) {
    out += static_cast<std::size_t>(i) < digits.text.size() ? digits.text[static_cast<std::size_t>(i)] : '0';
  }
  if (digits.point <= 0) out = "0";
  if (precision <= 0) return out;
  out += '.';
  for (int i = digits.point; i < digits.point + precision; ++i) {
    out += i >= 0 && static_cast<std::size_t>(i) < digits.text.size() ? digits.text[static_cast<std::size_t>(i)] : '0';
  }
  return out;
}

std::string general_form(double value, char format, int precision, int bits) {
  const bool shortest = precision < 0;
  if (precision == 0) precision = 1;
  const Digits digits = digits_of(value, shortest ? -1 : precision - 1, bits);
  const int count = static_cast<int>(digits.text.size());
  const int exponent = digits.point - 1;
  int limit = shortest ? 6 : precision;  // exponents from here on are written
  if (!shortest && limit > count && count >= digits.point) limit = count;
  if (exponent < -4 || exponent >= limit) {
    return exponent_form(digits, (shortest ? count : std::min(precision, count)) - 1, format == 'G' ? 'E' : 'e');
  }
  return plain_form(digits, std::max(count - digits.point, 0));
}

// 'b': a binary exponent after a decimal integer, "4503599627370496p-52".
std::string binary_form(double value, int bits) {
  int exponent = 0;
  const double fraction = std::frexp(value, &exponent);
  const int width = bits == 32 ? 24 : 53;
  const int lowest = bits == 32 ? -149 : -1074;
  int shift = width;
  if (exponent - shift < lowest) shift = exponent - lowest;
  const auto mantissa = static_cast<std::uint64_t>(std::ldexp(fraction, shift));
  const int power = value == 0 ? lowest : exponent - shift;
  return std::to_string(mantissa) + "p" + (power >= 0 ? "+" : "") + std::to_string(power);
}

// 'x': "0x1.8p+01".
std::string hex_form(double value, char format, int precision) {
  int exponent = 0;
  std::uint64_t mantissa = 0;  // one digit before 52 bits
  if (value != 0) {
    mantissa = static_cast<std::uint64_t>(std::ldexp(std::frexp(value, &exponent), 53));
    --exponent;
  }
  if (precision >= 0 && precision < 13) {
    const int drop = (13 - precision) * 4;
    const std::uint64_t half = 1ULL << (drop - 1), rest = mantissa & ((1ULL << drop) - 1);
    mantissa >>= drop;
    if (rest > half || (rest == half && (mantissa & 1))) ++mantissa;
    mantissa <<= drop;
    if (mantissa >> 53) {
      mantissa >>= 1;
      ++exponent;
    }
  }
  const char* alphabet = format == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
  std::string fraction;
  for (int shift = 48; shift >= 0; shift -= 4) fraction += alphabet[mantissa >> shift & 0xF];
  if (precision < 0) {
    while (!fraction.empty() && fraction.back() == '0') fraction.pop_back();
  } else {
    fraction.resize(static_cast<std::size_t>(precision), '0');
  }
  std::string out = format == 'X' ? "0X" : "0x";
  out += static_cast<char>('0' + (mantissa >> 52 & 1));
  if (!fraction.empty()) out += "." + fraction;
  out += format == 'X' ? 'P' : 'p';
  out += exponent < 0 ? '-' : '+';
  const std::string number = std::to_string(std::abs(exponent));
  return out + (number.size() < 2 ? "0" : "") + number;
}

}  // namespace

Parsed<std::uint64_t> parse_uint(std::string_view text, int base, int bits) {
  Parsed<std::uint64_t> out;
  const std::string_view whole = text;
  out.error = NumberError::syntax;
  if (text.empty()) return out;
  const bool any_base = base == 0;
  if (any_base) base = take_base(text);
  const std::uint64_t max = bits == 64 ? ~0ULL : (1ULL << bits) - 1;
  bool has_underscore = false, is_too_large = false;
  for (const char c : text) {
    if (c == '_' && any_base) {
      has_underscore = true;
      continue;
    }
    const int digit = digit_of(c);
    if (digit >= base) return out;
    const auto wide =
        static_cast<unsigned __int128>(out.value) * static_cast<unsigned>(base) + static_cast<unsigned>(digit);
    if (is_too_large || wide > max) {
      is_too_large = true;
    } else {
      out.value = static_cast<std::uint64_t>(wide);
    }
  }
  if (has_underscore && !underscores_fit(whole)) return {0, NumberError::syntax};
  if (is_too_large) return {max, NumberError::range};
  out.error = NumberError::none;
  return out;
}

Parsed<std::int64_t> parse_int(std::string_view text, int base, int bits) {
  if (text.empty()) return {0, NumberError::syntax};
  const bool negative = text[0] == '-';
  if (negative || text[0] == '+') text.remove_prefix(1);
  const auto magnitude = parse_uint(text, base, bits);
  if (magnitude.error == NumberError::syntax) return {0, NumberError::syntax};
  const std::uint64_t limit = 1ULL << (bits - 1);
  const bool is_too_large = magnitude.error == NumberError::range || magnitude.value > (negative ? limit : limit - 1);
  const std::uint64_t value = is_too_large ? (negative ? limit : limit - 1) : magnitude.value;
  return {static_cast<std::int64_t>(negative ? ~value + 1 : value),
          is_too_large ? NumberError::range : NumberError::none};
}

Parsed<double> parse_float(std::string_view text) {
  Parsed<double> out;
  if (is_special(text, out.value)) return out;
  const FloatText scanned = scan_float(text);
  if (!scanned.ok) return {0, NumberError::syntax};
  const auto format = scanned.hex ? std::chars_format::hex : std::chars_format::general;
  const char* end = scanned.digits.data() + scanned.digits.size();
  const auto read = std::from_chars(scanned.digits.data(), end, out.value, format);
  if (read.ec == std::errc::result_out_of_range) {
    out.value = std::strtod(((scanned.hex ? "0x" : "") + scanned.digits).c_str(), nullptr);
    if (std::isinf(out.value)) out.error = NumberError::range;
  } else if (read.ec != std::errc() || read.ptr != end) {
    return {0, NumberError::syntax};
  }
  if (scanned.negative) out.value = -out.value;
  return out;
}

std::string number_error(std::string_view function, std::string_view text, NumberError error) {
  return "strconv." + std::string(function) + ": parsing " + quote(text) + ": " +
         (error == NumberError::range ? "value out of range" : "invalid syntax");
}

std::string format_float(double value, char format, int precision, int bits) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  const std::string sign = std::signbit(value) ? "-" : "";
  value = std::fabs(value);
  switch (format) {
    case 'e':
    case 'E': {
      const Digits digits = digits_of(value, precision, bits);
      const int shown = precision < 0 ? static_cast<int>(digits.text.size()) - 1 : precision;
      return sign + exponent_form(digits, shown, format);
    }
    case 'f': {
      if (precision < 0) {
        const Digits digits = digits_of(value, -1, bits);
        return sign + plain_form(digits, std::max(static_cast<int>(digits.text.size()) - digits.point, 0));
      }
      std::string buffer(static_cast<std::size_t>(precision) + 400, '\0');
      const auto end =
          std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed, precision);
      buffer.resize(static_cast<std::size_t>(end.ptr - buffer.data()));
      return sign + buffer;
    }
    case 'b':
      return sign + binary_form(value, bits);
    case 'x':
    case 'X':
      return sign + hex_form(value, format, precision);
    default:
      return sign + general_form(value, format, precision, bits);
  }
}

std::string format_float(double value) {
  return format_float(value, 'g');
}

}  // namespace caisson::go_template
