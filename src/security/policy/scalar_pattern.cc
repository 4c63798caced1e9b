// SPDX-License-Identifier: Apache-2.0
#include "security/policy/scalar_pattern.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <string>

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

std::string_view trim_spaces(std::string_view text) {
  while (text.starts_with(" ")) text.remove_prefix(1);
  while (text.ends_with(" ")) text.remove_suffix(1);
  return text;
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

bool ScalarPattern::holds(Relation relation, int order) {
  switch (relation) {
    case Relation::equal:
      return order == 0;
    case Relation::not_equal:
      return order != 0;
    case Relation::less:
      return order < 0;
    case Relation::less_or_equal:
      return order <= 0;
    case Relation::greater:
      return order > 0;
    case Relation::greater_or_equal:
      return order >= 0;
  }
  return false;
}

ScalarPattern::ScalarPattern(const Value& pattern) : pattern_(pattern) {
  if (!pattern_.is_string()) return;
  for (const std::string_view alternative : split(pattern_.as_string(), '|')) {
    std::vector<Term>& terms = alternatives_.emplace_back();
    for (const std::string_view term : split(trim_spaces(alternative), '&'))
      terms.push_back(term_of(trim_spaces(term)));
  }
}

ScalarPattern::Operand ScalarPattern::operand_of(std::string_view text) {
  Operand operand{std::string(text), jmespath::has_wildcard(text), {}, Quantity::parse(text)};
  if (const auto duration = parse_duration(text); duration.ok()) operand.duration = *duration;
  return operand;
}

ScalarPattern::Term ScalarPattern::term_of(std::string_view text) {
  const std::string_view op = leading_operator(text);
  if (op.empty()) {
    if (const auto range = range_of(text))
      return {range->negated ? Relation::not_equal : Relation::equal, operand_of(range->from), operand_of(range->to)};
  }
  const Relation relation = op.empty()   ? Relation::equal
                            : op == "!"  ? Relation::not_equal
                            : op == "<"  ? Relation::less
                            : op == "<=" ? Relation::less_or_equal
                            : op == ">"  ? Relation::greater
                                         : Relation::greater_or_equal;
  return {relation, operand_of(trim(text.substr(op.size()))), {}};
}

bool ScalarPattern::compare(const Value& value, const Operand& operand, Relation relation) {
  if (operand.duration || operand.quantity) {
    if (const auto text = number_text(value)) {
      if (operand.duration) {
        const auto duration = parse_duration(*text);
        if (duration.ok()) return holds(relation, *duration < *operand.duration ? -1 : *duration > *operand.duration);
      }
      if (operand.quantity) {
        if (const auto quantity = Quantity::parse(*text)) return holds(relation, quantity->compare(*operand.quantity));
      }
    }
  }
  // Texts have no order.
  if (relation != Relation::equal && relation != Relation::not_equal) return false;
  if (value.is_null() || value.is_map() || value.is_list()) return false;
  const auto text_fits = [&](std::string_view text) {
    return operand.has_wildcard ? jmespath::wildcard_match(operand.text, text) : operand.text == text;
  };
  const bool fits = text_fits(value.is_string() ? value.as_string() : std::string_view(value.scalar_text()));
  return fits == (relation == Relation::equal);
}

bool ScalarPattern::term_fits(const Value& value, const Term& term) {
  if (!term.to) return compare(value, term.operand, term.relation);
  if (term.relation == Relation::not_equal)
    return compare(value, term.operand, Relation::less) || compare(value, *term.to, Relation::greater);
  return compare(value, term.operand, Relation::greater_or_equal) && compare(value, *term.to, Relation::less_or_equal);
}

bool ScalarPattern::string_fits(const Value& value) const {
  if (value.is_string() && value.as_string() == pattern_.as_string()) return true;
  return std::any_of(alternatives_.begin(), alternatives_.end(), [&](const std::vector<Term>& terms) {
    return std::all_of(terms.begin(), terms.end(), [&](const Term& term) { return term_fits(value, term); });
  });
}

bool ScalarPattern::fits(const Value& value) const {
  switch (pattern_.kind()) {
    case ValueKind::boolean:
      return value.is_bool() && value.as_bool() == pattern_.as_bool();
    case ValueKind::integer:
    case ValueKind::floating:
      return number_fits(value, pattern_.as_double());
    case ValueKind::string:
      return string_fits(value);
    case ValueKind::null:
      return null_fits(value);
    case ValueKind::map:
      return value.is_map();
    case ValueKind::list:
      break;
  }
  return false;
}

bool scalar_fits(const Value& value, const Value& pattern) {
  return ScalarPattern(pattern).fits(value);
}

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

}  // namespace caisson::policy
