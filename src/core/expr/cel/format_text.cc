// SPDX-License-Identifier: Apache-2.0
#include "core/expr/cel/format_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/base/encoding.h"
#include "core/expr/cel/environment.h"
#include "core/expr/cel/value_data.h"

namespace caisson::cel {
namespace {

constexpr int kPrecisionMax = 1000;
constexpr std::size_t kResultBytesMax = 64u << 20;

Error not_allowed(std::string_view what, const Value& value) {
  return bad("error during formatting: " + std::string(what) + ", was given " + value.type().str());
}

std::string shown_double(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  return double_text(value);
}

Result<std::string> text_clause(const Value& value);

Result<std::string> list_text(const Value& list) {
  std::string out = "[";
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (i > 0) out += ", ";
    out += TRY(text_clause(list.item(i)));
  }
  return out + "]";
}

// Entries in the order of their keys' texts.
Result<std::string> map_text(const Value& map) {
  std::vector<std::pair<std::string, std::string>> entries;
  for (std::size_t i = 0; i < map.size(); ++i) {
    const auto [key, value] = map.entry(i);
    std::string key_text = TRY(text_clause(key));
    entries.emplace_back(std::move(key_text), TRY(text_clause(value)));
  }
  std::sort(entries.begin(), entries.end());
  std::string out = "{";
  for (const auto& [key, value] : entries) out += (out.size() > 1 ? ", " : "") + key + ": " + value;
  return out + "}";
}

Result<std::string> text_clause(const Value& value) {
  switch (value.kind()) {
    case Kind::null:
      return std::string("null");
    case Kind::boolean:
      return std::string(value.as_bool() ? "true" : "false");
    case Kind::integer:
      return std::to_string(value.as_int());
    case Kind::unsigned_integer:
      return std::to_string(value.as_uint());
    case Kind::floating:
      return shown_double(value.as_double());
    case Kind::string:
      return std::string(value.as_string());
    case Kind::bytes:
      return std::string(value.as_bytes());
    case Kind::timestamp:
      return timestamp_text(value.as_timestamp());
    case Kind::duration:
      return duration_text(value.as_duration());
    case Kind::type:
      return std::string(value.as_type().name());
    case Kind::list:
      return list_text(value);
    case Kind::map:
      return map_text(value);
    default:
      return not_allowed(
          "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, "
          "durations, and timestamps",
          value);
  }
}

Result<std::string> decimal_clause(const Value& value) {
  if (value.is(Kind::integer)) return std::to_string(value.as_int());
  if (value.is(Kind::unsigned_integer)) return std::to_string(value.as_uint());
  if (value.is(Kind::floating)) return shown_double(value.as_double());
  return not_allowed("decimal clause can only be used on integers", value);
}

Result<std::string> floating_clause(const Value& value, int precision, bool scientific) {
  double number = 0;
  if (value.is(Kind::floating))
    number = value.as_double();
  else if (value.is(Kind::integer))
    number = static_cast<double>(value.as_int());
  else if (value.is(Kind::unsigned_integer))
    number = static_cast<double>(value.as_uint());
  else
    return not_allowed(std::string(scientific ? "scientific" : "fixed-point") + " clause can only be used on doubles",
                       value);
  if (!std::isfinite(number)) return shown_double(number);
  std::string buffer(static_cast<std::size_t>(precision) + 400, '\0');
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number,
                                 scientific ? std::chars_format::scientific : std::chars_format::fixed, precision);
  buffer.resize(static_cast<std::size_t>(end.ptr - buffer.data()));
  return buffer;
}

std::string digits(std::uint64_t value, int base) {
  char buffer[65];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, base);
  return std::string(buffer, end.ptr);
}
std::string digits(std::int64_t value, int base) {
  char buffer[66];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, base);
  return std::string(buffer, end.ptr);
}

std::string upper(std::string text) {
  for (char& c : text) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  return text;
}

Result<std::string> based_clause(const Value& value, int base, std::string_view name) {
  if (value.is(Kind::integer)) return digits(value.as_int(), base);
  if (value.is(Kind::unsigned_integer)) return digits(value.as_uint(), base);
  if (base == 2 && value.is(Kind::boolean)) return std::string(value.as_bool() ? "1" : "0");
  return not_allowed(std::string(name) + " clause can only be used on integers" + (base == 2 ? " and bools" : ""),
                     value);
}

Result<std::string> hex_clause(const Value& value) {
  if (value.is(Kind::string)) return hex(value.as_string());
  if (value.is(Kind::bytes)) return hex(value.as_bytes());
  if (value.is(Kind::integer)) return digits(value.as_int(), 16);
  if (value.is(Kind::unsigned_integer)) return digits(value.as_uint(), 16);
  return not_allowed("only integers, byte buffers, and strings can be formatted as hex", value);
}

Result<std::string> clause(char verb, int precision, const Value& value) {
  switch (verb) {
    case 's':
      return text_clause(value);
    case 'd':
      return decimal_clause(value);
    case 'f':
      return floating_clause(value, precision, false);
    case 'e':
      return floating_clause(value, precision, true);
    case 'b':
      return based_clause(value, 2, "binary");
    case 'o':
      return based_clause(value, 8, "octal");
    case 'x':
      return hex_clause(value);
    case 'X':
      return upper(TRY(hex_clause(value)));
    default:
      return bad("could not parse formatting clause: unrecognized formatting clause \"" + std::string(1, verb) + "\"");
  }
}

}  // namespace

Result<Value> format_text(std::string_view format, const Value& arguments) {
  std::string out;
  std::size_t next = 0;
  for (std::size_t at = 0; at < format.size(); ++at) {
    if (format[at] != '%') {
      out += format[at];
      continue;
    }
    if (++at >= format.size()) return bad("unexpected end of string");
    if (format[at] == '%') {
      out += '%';
      continue;
    }
    int precision = 6;
    if (format[at] == '.') {
      const char* begin = format.data() + at + 1;
      const auto [end, error] = std::from_chars(begin, format.data() + format.size(), precision);
      if (error != std::errc() || precision < 0 || precision > kPrecisionMax)
        return bad("could not parse formatting clause: error while parsing precision");
      at += 1 + static_cast<std::size_t>(end - begin);
      if (at >= format.size()) return bad("could not find end of precision specifier");
    }
    if (next >= arguments.size()) return bad("index " + std::to_string(next) + " out of range");
    out += TRY(clause(format[at], precision, arguments.item(next++)));
    if (out.size() > kResultBytesMax) return Error{ErrorCode::too_large, "format: the result is too large"};
  }
  return Value::string(out);
}

}  // namespace caisson::cel
