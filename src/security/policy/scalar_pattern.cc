// SPDX-License-Identifier: Apache-2.0
#include "security/policy/scalar_pattern.h"

#include <cmath>
#include <cstdlib>
#include <optional>
#include <string>

#include "core/base/clock.h"
#include "core/base/quantity.h"
#include "core/base/text.h"
#include "core/document/number.h"
#include "core/expr/jmespath/wildcard.h"

namespace caisson::policy {
namespace {

struct Range {
  std::string_view from, to;
  bool negated = false;
};

// A sign, digits, a fraction, a unit: what stands at an end of a range. Gives its length; 0: none.
std::size_t endpoint(std::string_view text) {
  std::size_t at = 0;
  const auto is_digit = [&] { return at < text.size() && text[at] >= '0' && text[at] <= '9'; };
  if (at < text.size() && (text[at] == '-' || text[at] == '+' || text[at] == '|')) ++at;
  const std::size_t digits = at;
  while (is_digit()) ++at;
  if (at == digits) return 0;
  if (at + 1 < text.size() && text[at] == '.' && text[at + 1] >= '0' && text[at + 1] <= '9') {
    ++at;
    while (is_digit()) ++at;
  }
  while (at < text.size() && std::isalpha(static_cast<unsigned char>(text[at]))) ++at;
  return at;
}

std::optional<Range> range_of(std::string_view text) {
  Range range;
  const std::size_t first = endpoint(text);
  if (first == 0) return {};
  range.from = text.substr(0, first);
  std::string_view rest = text.substr(first);
  if (rest.starts_with("!")) {
    range.negated = true;
    rest.remove_prefix(1);
  }
  if (!rest.starts_with("-")) return {};
  rest.remove_prefix(1);
  if (rest.empty() || endpoint(rest) != rest.size()) return {};
  range.to = rest;
  return range;
}

// What a duration or a quantity is read from; empty: neither can be.
std::optional<std::string> number_text(const Value& value) {
  if (value.is_null()) return "0";
  if (value.is_string()) return value.str();
  if (value.is_int()) return std::to_string(value.as_int());
  if (value.is_number()) return document::yaml_number(value.as_double());
  return {};
}

bool ordered(std::string_view op, int order) {
  if (op == ">=") return order >= 0;
  if (op == "<=") return order <= 0;
  if (op == ">") return order > 0;
  if (op == "<") return order < 0;
  if (op == "!") return order != 0;
  return order == 0;
}

bool text_fits(const Value& value, std::string_view pattern, std::string_view op) {
  if (!op.empty() && op != "!") return false;  // texts have no order
  if (value.is_null() || value.is_map() || value.is_list()) return false;
  return jmespath::wildcard_match(pattern, value.scalar_text()) == op.empty();
}

bool compare(const Value& value, std::string_view pattern, std::string_view op) {
  const auto text = number_text(value);
  if (text) {
    const auto wanted_duration = parse_duration(pattern);
    if (wanted_duration.ok()) {
      const auto duration = parse_duration(*text);
      if (duration.ok()) return ordered(op, *duration < *wanted_duration ? -1 : *duration > *wanted_duration ? 1 : 0);
    }
    if (const auto wanted = Quantity::parse(pattern)) {
      if (const auto quantity = Quantity::parse(*text)) return ordered(op, quantity->compare(*wanted));
    }
  }
  return text_fits(value, pattern, op);
}

bool term_fits(const Value& value, std::string_view pattern) {
  const std::string_view op = leading_operator(pattern);
  if (op.empty()) {
    if (const auto range = range_of(pattern)) {
      if (range->negated) return compare(value, range->from, "<") || compare(value, range->to, ">");
      return compare(value, range->from, ">=") && compare(value, range->to, "<=");
    }
  }
  return compare(value, trim(pattern.substr(op.size())), op);
}

std::string_view trim_spaces(std::string_view text) {
  while (text.starts_with(" ")) text.remove_prefix(1);
  while (text.ends_with(" ")) text.remove_suffix(1);
  return text;
}

bool string_fits(const Value& value, std::string_view pattern) {
  if (value.is_string() && value.as_string() == pattern) return true;
  for (const std::string_view alternative : split(pattern, '|')) {
    bool all = true;
    for (const std::string_view term : split(trim_spaces(alternative), '&'))
      all = all && term_fits(value, trim_spaces(term));
    if (all) return true;
  }
  return false;
}

bool number_fits(const Value& value, double pattern) {
  if (value.is_number()) return value.as_double() == pattern;
  if (!value.is_string()) return false;
  const std::string text = value.str();
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  return !text.empty() && *end == '\0' && number == pattern;
}

// A pattern of null takes what is absent and every zero.
bool null_fits(const Value& value) {
  switch (value.kind()) {
    case ValueKind::null:
      return true;
    case ValueKind::boolean:
      return !value.as_bool();
    case ValueKind::string:
      return value.as_string().empty();
    case ValueKind::list:
    case ValueKind::map:
      return false;
    default:
      return value.as_double() == 0;
  }
}

}  // namespace

bool is_range(std::string_view text) {
  const auto range = range_of(text);
  return range && !range->negated && leading_operator(text).empty();
}

std::string_view leading_operator(std::string_view pattern) {
  if (pattern.size() < 2) return {};
  for (const std::string_view op : {">=", "<=", ">", "<", "!"})
    if (pattern.starts_with(op)) return pattern.substr(0, op.size());
  return {};
}

bool scalar_fits(const Value& value, const Value& pattern) {
  switch (pattern.kind()) {
    case ValueKind::boolean:
      return value.is_bool() && value.as_bool() == pattern.as_bool();
    case ValueKind::integer:
    case ValueKind::floating:
      return number_fits(value, pattern.as_double());
    case ValueKind::string:
      return string_fits(value, pattern.as_string());
    case ValueKind::null:
      return null_fits(value);
    case ValueKind::map:
      return value.is_map();
    case ValueKind::list:
      break;
  }
  return false;
}

}  // namespace caisson::policy
