// SPDX-License-Identifier: Apache-2.0
#include "core/document/yaml/resolve.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "core/base/text.h"
#include "core/document/number.h"

namespace caisson::yaml {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

bool is_null(std::string_view t) {
  return t.empty() || one_of(t, {"~", "null", "Null", "NULL"});
}
std::optional<bool> as_bool(std::string_view t) {
  if (t.size() != 4 && t.size() != 5) return std::nullopt;
  if (one_of(t, {"true", "True", "TRUE"})) return true;
  if (one_of(t, {"false", "False", "FALSE"})) return false;
  return std::nullopt;
}
bool is_old_bool(std::string_view t) {
  return one_of(t, {"y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "n", "N", "no", "No", "NO", "off", "Off", "OFF"});
}

std::optional<double> special_float(std::string_view t) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (one_of(t, {".nan", ".NaN", ".NAN"})) return std::numeric_limits<double>::quiet_NaN();
  if (one_of(t, {"-.inf", "-.Inf", "-.INF"})) return -kInfinity;
  if (one_of(t, {".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"})) return kInfinity;
  return std::nullopt;
}

// [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?
bool looks_like_float(std::string_view t) {
  std::size_t i = 0;
  const auto digits = [&] {
    const std::size_t start = i;
    while (i < t.size() && is_digit(t[i])) ++i;
    return i - start;
  };
  if (i < t.size() && (t[i] == '-' || t[i] == '+')) ++i;
  const std::size_t whole = digits();
  std::size_t fraction = 0;
  if (i < t.size() && t[i] == '.') {
    ++i;
    fraction = digits();
  }
  if (whole + fraction == 0) return false;
  if (i < t.size() && (t[i] == 'e' || t[i] == 'E')) {
    ++i;
    if (i < t.size() && (t[i] == '-' || t[i] == '+')) ++i;
    if (digits() == 0) return false;
  }
  return i == t.size();
}

std::optional<double> read_float(std::string_view t) {
  if (!looks_like_float(t)) return std::nullopt;
  if (t.front() == '+') t.remove_prefix(1);
  double value = 0;
  const auto read = std::from_chars(t.data(), t.data() + t.size(), value);
  if (read.ec == std::errc()) return value;
  return std::nullopt;  // out of range stays text, as in Go
}

struct Whole {
  bool negative = false;
  std::uint64_t size = 0;
};

// strconv.ParseInt with base 0, and go-yaml's additions; `t` without underscores.
std::optional<Whole> read_whole(std::string_view t) {
  Whole out;
  if (!t.empty() && (t[0] == '-' || t[0] == '+')) {
    out.negative = t[0] == '-';
    t.remove_prefix(1);
  }
  int base = 10;
  if (t.size() > 1 && t[0] == '0') {
    const char mark = static_cast<char>(t[1] | 0x20);
    base = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 8;
    t.remove_prefix(mark == 'x' || mark == 'o' || mark == 'b' ? 2 : 1);
  }
  if (t.empty()) return std::nullopt;
  const auto read = std::from_chars(t.data(), t.data() + t.size(), out.size, base);
  if (read.ec != std::errc() || read.ptr != t.data() + t.size()) return std::nullopt;
  return out;
}

Value number_from(const Whole& whole, std::string_view source) {
  constexpr std::uint64_t kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (whole.size > kMax + (whole.negative ? 1 : 0)) {
    const double size = static_cast<double>(whole.size);
    return Value::number(whole.negative ? -size : size, source);
  }
  const auto number = static_cast<std::int64_t>(whole.negative ? 0 - whole.size : whole.size);
  char written[24];
  const std::string_view usual(written, std::to_chars(written, written + sizeof written, number).ptr);
  return usual == source ? Value(number) : Value::number(number, source);
}

Value number_from(double number, std::string_view source) {
  return document::json_number(number) == source ? Value(number) : Value::number(number, source);
}

Value resolve_go(std::string_view text) {
  if (is_surely_text(text)) return Value(text);
  const char c = text.empty() ? '~' : text[0];
  if (const char lower = static_cast<char>(c | 0x20); lower >= 'a' && lower <= 'z') {
    if (lower == 'n' && is_null(text)) return Value();
    if (const auto truth = as_bool(text)) return Value(*truth);
    return Value(text);
  }
  if (c == '~' && is_null(text)) return Value();
  if (c == '.' || c == '-' || c == '+') {
    if (const auto number = special_float(text)) return Value::number(*number, text);
  }
  if (c == '.') {
    if (const auto number = read_float(text)) return number_from(*number, text);
  } else if (is_digit(c) || c == '-' || c == '+') {
    std::string without;
    std::string_view plain = text;
    if (text.find('_') != std::string_view::npos) {
      without = text;
      std::erase(without, '_');
      plain = without;
    }
    if (const auto whole = read_whole(plain)) return number_from(*whole, text);
    if (const auto number = read_float(plain)) return number_from(*number, text);
  }
  return Value(text);
}

Value resolve_core(std::string_view text) {
  if (is_null(text)) return Value();
  if (const auto truth = as_bool(text)) return Value(*truth);
  if (const auto number = special_float(text)) return Value::number(*number, text);
  const char c = text[0];
  if (!is_digit(c) && c != '-' && c != '+' && c != '.') return Value(text);
  const bool prefixed = text.starts_with("0x") || text.starts_with("0o");
  const std::size_t sign = c == '-' || c == '+' ? 1 : 0;
  const bool decimal = text.size() > sign && text.find_first_not_of("0123456789", sign) == text.npos;
  if (prefixed) {
    if (const auto whole = read_whole(text)) return number_from(*whole, text);
  } else if (decimal) {
    Whole whole{c == '-', 0};
    const auto read = std::from_chars(text.data() + sign, text.data() + text.size(), whole.size);
    if (read.ec == std::errc()) return number_from(whole, text);
  }
  if (const auto number = read_float(text)) return number_from(*number, text);
  return Value(text);
}

// Go's layouts "2006-1-2", "2006-1-2 15:4:5.9", "2006-1-2T15:4:5.9Z07:00".
bool is_timestamp(std::string_view t) {
  std::size_t i = 0;
  const auto digits = [&](std::size_t least, std::size_t most) {
    const std::size_t start = i;
    while (i < t.size() && i - start < most && is_digit(t[i])) ++i;
    return i - start >= least;
  };
  const auto sign = [&](char c) { return i < t.size() && t[i] == c ? (++i, true) : false; };
  const auto number_below = [&](std::size_t least, int limit) {
    const std::size_t start = i;
    return digits(least, 2) && std::stoi(std::string(t.substr(start, i - start))) <= limit;
  };
  if (!digits(4, 4) || !sign('-') || !number_below(1, 12) || !sign('-') || !number_below(1, 31)) return false;
  if (i == t.size()) return true;
  const bool zoned = t[i] == 'T' || t[i] == 't';
  if (!zoned && t[i] != ' ') return false;
  ++i;
  if (!number_below(1, 23) || !sign(':') || !number_below(1, 59) || !sign(':') || !number_below(1, 59)) return false;
  if (sign('.') && !digits(1, 9)) return false;
  if (!zoned) return i == t.size();
  if (sign('Z')) return i == t.size();
  if (!sign('+') && !sign('-')) return false;
  return digits(2, 2) && sign(':') && digits(2, 2) && i == t.size();
}

// [-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?
bool is_base60(std::string_view t) {
  std::size_t i = 0;
  if (i < t.size() && (t[i] == '-' || t[i] == '+')) ++i;
  if (i >= t.size() || !is_digit(t[i])) return false;
  while (i < t.size() && (is_digit(t[i]) || t[i] == '_')) ++i;
  std::size_t groups = 0;
  while (i + 1 < t.size() && t[i] == ':' && is_digit(t[i + 1])) {
    const bool two = i + 2 < t.size() && t[i + 1] <= '5' && is_digit(t[i + 2]);
    i += two ? 3 : 2;
    ++groups;
  }
  if (groups == 0) return false;
  if (i < t.size() && t[i] == '.') {
    ++i;
    while (i < t.size() && (is_digit(t[i]) || t[i] == '_')) ++i;
  }
  return i == t.size();
}

}  // namespace

bool is_surely_text(std::string_view text) {
  // All words that mean something else begin with one of these letters and have at most five.
  if (text.empty()) return false;
  const char lower = static_cast<char>(text[0] | 0x20);
  if (lower < 'a' || lower > 'z') return false;
  return text.size() > 5 || std::string_view("fnoty").find(lower) == std::string_view::npos;
}

Value resolve_plain(std::string_view text, Mode mode, bool old_booleans) {
  if (old_booleans && is_old_bool(text))
    return Value(text[0] == 'y' || text[0] == 'Y' || equals_ignoring_case(text, "on"));
  return mode == Mode::go ? resolve_go(text) : resolve_core(text);
}

std::string unsigned_digits(std::string_view source) {
  if (source.empty() || !is_digit(source.front())) return {};
  std::string plain(source);
  std::erase(plain, '_');
  const auto whole = read_whole(plain);
  constexpr std::uint64_t kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  return whole && whole->size > kMax ? std::to_string(whole->size) : std::string();
}

std::string expanded_timestamp(std::string_view text) {
  if (!is_timestamp(text)) return {};
  const std::size_t split_at = std::min(text.find_first_of("Tt "), text.size());
  const auto two = [](std::string_view digits) {
    return digits.size() == 1 ? "0" + std::string(digits) : std::string(digits);
  };
  const auto date = split(text.substr(0, split_at), '-');
  std::string out = std::string(date[0]) + "-" + two(date[1]) + "-" + two(date[2]);
  if (split_at == text.size()) return out + "T00:00:00Z";
  std::string_view rest = text.substr(split_at + 1);
  const std::size_t zone_at = std::min(rest.find_first_of("Z+-"), rest.size());
  const std::string zone(zone_at < rest.size() ? rest.substr(zone_at) : "Z");
  rest = rest.substr(0, zone_at);
  const std::size_t point = std::min(rest.find('.'), rest.size());
  std::string fraction(rest.substr(point));
  while (fraction.ends_with('0')) fraction.pop_back();
  if (fraction == ".") fraction.clear();
  const auto time = split(rest.substr(0, point), ':');
  return out + "T" + two(time[0]) + ":" + two(time[1]) + ":" + two(time[2]) + fraction +
         (zone == "+00:00" ? "Z" : zone);
}

bool reads_as_other(std::string_view text) {
  if (is_surely_text(text)) return false;
  return is_old_bool(text) || !resolve_go(text).is_string() || is_timestamp(text) || is_base60(text);
}

}  // namespace caisson::yaml
