// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/model/format.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "core/document/utf8.h"

namespace caisson::metrics {
namespace {

std::optional<std::string> special(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return std::nullopt;
}

std::string convert(double value, std::chars_format format) {
  char buffer[400];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, format).ptr;
  return {buffer, end};
}

int decimal_exponent(const std::string& scientific) {
  const std::size_t e = scientific.find('e');
  return std::atoi(scientific.c_str() + e + 1);
}

constexpr struct Unit {
  std::string_view name;
  std::int64_t ms;
  bool whole_only;
} kUnits[] = {{"y", 31'536'000'000, true}, {"w", 604'800'000, true}, {"d", 86'400'000, false}, {"h", 3'600'000, false},
              {"m", 60'000, false},        {"s", 1000, false},       {"ms", 1, false}};

}  // namespace

std::string quote(std::string_view text) {
  std::string out = "\"";
  for (std::size_t at = 0; at < text.size();) {
    const unsigned char c = text[at];
    const std::size_t length = utf8::sequence_length(text, at);
    char escape[12];
    if (c == '"' || c == '\\') {
      (out += '\\') += static_cast<char>(c);
    } else if (const std::size_t named = std::string_view("\a\b\f\n\r\t\v").find(c); named != std::string_view::npos) {
      (out += '\\') += "abfnrtv"[named];
    } else if (length == 0 || c < 0x20 || c == 0x7F) {
      std::snprintf(escape, sizeof escape, "\\x%02x", c);
      out += escape;
    } else if (length > 1 && utf8::decode(text, at) >= 0x80 && utf8::decode(text, at) < 0xA0) {
      std::snprintf(escape, sizeof escape, "\\u%04x", utf8::decode(text, at));
      out += escape;
    } else {
      out += text.substr(at, length);
    }
    at += length == 0 ? 1 : length;
  }
  return out + '"';
}

namespace {

// Appends what the escape at `at` (behind the backslash) stands for; false when it is none.
bool append_escape(std::string_view body, std::size_t& at, char quote_char, std::string& out) {
  if (at >= body.size()) return false;
  const char c = body[at];
  if (const std::size_t named = std::string_view("abfnrtv\\").find(c); named != std::string_view::npos) {
    out += "\a\b\f\n\r\t\v\\"[named];
    ++at;
    return true;
  }
  if (c == quote_char) {
    out += c;
    ++at;
    return true;
  }
  const bool octal = c >= '0' && c <= '7';
  const int digits = octal ? 3 : c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
  if (digits == 0) return false;
  if (!octal) ++at;
  if (at + digits > body.size()) return false;
  std::uint32_t code = 0;
  const auto [end, error] = std::from_chars(body.data() + at, body.data() + at + digits, code, octal ? 8 : 16);
  if (error != std::errc() || end != body.data() + at + digits) return false;
  at += digits;
  if (c == 'u' || c == 'U') {
    if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return false;
    utf8::append(out, code);
  } else {
    if (code > 255) return false;
    out += static_cast<char>(code);
  }
  return true;
}

}  // namespace

Result<std::string> unquote(std::string_view text) {
  const Error invalid{ErrorCode::bad_request, "invalid syntax"};
  if (text.size() < 2 || text.front() != text.back()) return invalid;
  const char quote_char = text.front();
  const std::string_view body = text.substr(1, text.size() - 2);
  if (quote_char == '`') return std::string(body);
  if (quote_char != '"' && quote_char != '\'') return invalid;
  std::string out;
  for (std::size_t at = 0; at < body.size();) {
    if (body[at] == '\n' || body[at] == quote_char) return invalid;
    if (body[at] != '\\') {
      out += body[at++];
      continue;
    }
    ++at;
    if (!append_escape(body, at, quote_char, out)) return invalid;
  }
  return out;
}

std::string format_fixed(double value) {
  if (auto text = special(value)) return *text;
  return convert(value, std::chars_format::fixed);
}

std::string format_general(double value) {
  if (auto text = special(value)) return *text;
  if (value == 0) return std::signbit(value) ? "-0" : "0";
  const std::string scientific = convert(value, std::chars_format::scientific);
  const int exponent = decimal_exponent(scientific);
  return exponent < -4 || exponent >= 6 ? scientific : convert(value, std::chars_format::fixed);
}

std::string format_general(double value, int precision) {
  if (auto text = special(value)) return *text;
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.*g", precision, value);
  return buffer;
}

std::string format_scientific(double value) {
  if (auto text = special(value)) return *text;
  return convert(value, std::chars_format::scientific);
}

std::string format_sample(double value) {
  if (auto text = special(value)) return *text;
  const double size = std::fabs(value);
  if (size == 0 || (size >= 1e-6 && size < 1e21)) return format_fixed(value);
  std::string text = convert(value, std::chars_format::scientific);
  const std::size_t n = text.size();
  if (n >= 4 && text[n - 4] == 'e' && text[n - 3] == '-' && text[n - 2] == '0') text.erase(n - 2, 1);  // e-09 to e-9
  return text;
}

std::string format_open_metrics(double value) {
  std::string text = format_general(value);
  if (special(value) || text.find_first_of(".e") != std::string::npos) return text;
  return text + ".0";
}

std::optional<double> parse_float(std::string_view text) {
  std::string digits;
  const bool is_hex = text.find_first_of("xX") != std::string_view::npos;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_')
      digits += text[i];
    else if (!is_hex)
      return std::nullopt;  // Go takes underscores only with a base prefix
  }
  if (digits.empty() || std::isspace(static_cast<unsigned char>(digits[0]))) return std::nullopt;
  if (digits.find('(') != std::string::npos) return std::nullopt;                      // strtod's nan(…)
  if (is_hex && digits.find_first_of("pP") == std::string::npos) return std::nullopt;  // Go wants the exponent
  char* end = nullptr;
  const double value = std::strtod(digits.c_str(), &end);
  if (end != digits.c_str() + digits.size()) return std::nullopt;
  if (std::isnan(value)) return std::nan("");
  return value;
}

std::optional<double> parse_number(std::string_view text) {
  std::string digits;
  for (std::size_t i = 0; i < text.size(); ++i)
    if (text[i] != '_') digits += text[i];
  int base = 10;
  std::size_t skip = 0;
  if (digits.size() > 1 && digits[0] == '0') {
    const char mark = digits[1] | 0x20;
    base = mark == 'x' ? 16 : mark == 'b' ? 2 : 8;
    skip = mark == 'x' || mark == 'b' || mark == 'o' ? 2 : 1;
  }
  std::int64_t whole = 0;
  const char* const end = digits.data() + digits.size();
  const auto parsed = std::from_chars(digits.data() + skip, end, whole, base);
  if (parsed.ec == std::errc() && parsed.ptr == end && parsed.ptr != digits.data() + skip)
    return static_cast<double>(whole);
  return parse_float(digits);
}

std::string format_duration(std::int64_t milliseconds) {
  if (milliseconds == 0) return "0s";
  std::string out = milliseconds < 0 ? "-" : "";
  std::uint64_t rest = milliseconds < 0 ? 0 - static_cast<std::uint64_t>(milliseconds) : milliseconds;
  for (const Unit& unit : kUnits) {
    const auto size = static_cast<std::uint64_t>(unit.ms);
    if (rest < size || (unit.whole_only && rest % size != 0)) continue;
    out += std::to_string(rest / size);
    out += unit.name;
    rest %= size;
  }
  return out;
}

Result<std::int64_t> parse_duration(std::string_view text) {
  if (text == "0") return std::int64_t{0};
  if (text.empty()) return Error{ErrorCode::bad_request, "empty duration string"};
  const Error invalid{ErrorCode::bad_request, "not a valid duration string: " + quote(text)};
  std::int64_t total = 0;
  std::size_t next_unit = 0;
  for (std::size_t at = 0; at < text.size();) {
    std::int64_t count = 0;
    const auto parsed = std::from_chars(text.data() + at, text.data() + text.size(), count);
    const std::size_t digits_end = parsed.ptr - text.data();
    if (parsed.ec != std::errc() || text[at] == '-' || digits_end == at) return invalid;
    std::size_t unit_end = digits_end;
    while (unit_end < text.size() && (text[unit_end] < '0' || text[unit_end] > '9')) ++unit_end;
    const std::string_view name = text.substr(digits_end, unit_end - digits_end);
    std::size_t unit = next_unit;
    while (unit < std::size(kUnits) && kUnits[unit].name != name) ++unit;
    if (unit == std::size(kUnits)) {
      const bool known = name.empty() || std::any_of(std::begin(kUnits), std::end(kUnits),
                                                     [&](const auto& one) { return one.name == name; });
      if (known) return invalid;
      return Error{ErrorCode::bad_request, "unknown unit " + quote(name) + " in duration " + quote(text)};
    }
    std::int64_t part = 0;
    if (__builtin_mul_overflow(count, kUnits[unit].ms, &part) || __builtin_add_overflow(total, part, &total) ||
        total > INT64_MAX / 1'000'000)
      return Error{ErrorCode::bad_request, "duration out of range"};
    next_unit = unit + 1;
    at = unit_end;
  }
  return total;
}

std::string format_rfc3339(std::int64_t milliseconds) {
  const std::time_t seconds = milliseconds / 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%04d-%02d-%02dT%02d:%02d:%02dZ", parts.tm_year + 1900, parts.tm_mon + 1,
                parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
  return buffer;
}

}  // namespace caisson::metrics
