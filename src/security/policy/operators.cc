// SPDX-License-Identifier: Apache-2.0
#include "security/policy/operators.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/quantity.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/expr/jmespath/semver.h"
#include "core/expr/jmespath/wildcard.h"
#include "security/policy/scalar_pattern.h"

namespace caisson::policy {
namespace {

using jmespath::wildcard_match;

constexpr std::pair<std::string_view, Operator> kNames[] = {
    {"equal", Operator::equals},
    {"equals", Operator::equals},
    {"notequal", Operator::not_equals},
    {"notequals", Operator::not_equals},
    {"in", Operator::in},
    {"notin", Operator::not_in},
    {"anyin", Operator::any_in},
    {"allin", Operator::all_in},
    {"anynotin", Operator::any_not_in},
    {"allnotin", Operator::all_not_in},
    {"greaterthan", Operator::greater},
    {"greaterthanorequals", Operator::greater_or_equals},
    {"lessthan", Operator::less},
    {"lessthanorequals", Operator::less_or_equals},
    {"durationgreaterthan", Operator::duration_greater},
    {"durationgreaterthanorequals", Operator::duration_greater_or_equals},
    {"durationlessthan", Operator::duration_less},
    {"durationlessthanorequals", Operator::duration_less_or_equals},
};

std::optional<double> number_in(std::string_view text) {
  if (text.empty() || text.size() > 64) return {};
  const std::string copy(text);
  char* end = nullptr;
  const double number = std::strtod(copy.c_str(), &end);
  if (end != copy.c_str() + copy.size()) return {};
  return number;
}

std::optional<double> duration_text(const Value& value) {
  if (!value.is_string() || value.as_string() == "0") return {};
  const auto duration = parse_duration(value.as_string());
  if (!duration.ok()) return {};
  return static_cast<double>(duration->count()) / 1e9;
}
// Seconds of both, where one is a duration and the other a duration or a number of seconds.
std::optional<std::pair<double, double>> durations(const Value& key, const Value& value) {
  auto a = duration_text(key), b = duration_text(value);
  if (!a && !b) return {};
  if (!a && key.is_number()) a = std::trunc(key.as_double());
  if (!b && value.is_number()) b = std::trunc(value.as_double());
  if (!a || !b) return {};
  return std::pair(*a, *b);
}

// Empty where `value` is of a kind that `key` can't be compared with.
std::optional<bool> equal(const Value& key, const Value& value) {
  switch (key.kind()) {
    case ValueKind::boolean:
      if (!value.is_bool()) return {};
      return key.as_bool() == value.as_bool();
    case ValueKind::integer:
    case ValueKind::floating: {
      if (value.is_number()) return key.as_double() == value.as_double();
      if (!value.is_string()) return {};
      const auto number = number_in(value.as_string());
      if (!number) return {};
      return *number == key.as_double();
    }
    case ValueKind::string: {
      if (const auto both = durations(key, value)) return both->first == both->second;
      if (!value.is_string()) return {};
      const auto quantity = Quantity::parse(key.as_string());
      if (quantity && !quantity->is_capped() && !value.as_string().empty()) {
        const auto other = Quantity::parse(value.as_string());
        if (!other) return {};
        return quantity->compare(*other) == 0;
      }
      return wildcard_match(value.as_string(), key.as_string());
    }
    case ValueKind::list:
      if (!value.is_list()) return {};
      return key == value;
    case ValueKind::map:
      if (!value.is_map()) return {};
      return key == value;
    case ValueKind::null:
      break;
  }
  return {};
}

bool fit(std::string_view a, std::string_view b) {
  return a == b || wildcard_match(a, b) || wildcard_match(b, a);
}

// A member as text: a string as it stands, anything else written into `room`.
std::string_view text_in(const Value& item, std::string& room) {
  if (item.is_string()) return item.as_string();
  room = item.is_list() || item.is_map() ? json::write(item) : item.scalar_text();
  return room;
}
template <class Holds>  // (std::string_view)
bool any_text(const Value& list, const Holds& holds) {
  std::string room;
  const auto items = list.items();
  return std::any_of(items.begin(), items.end(), [&](const Value& item) { return holds(text_in(item, room)); });
}
template <class Holds>
bool all_texts(const Value& list, const Holds& holds) {
  return !any_text(list, [&](std::string_view text) { return !holds(text); });
}
bool is_among(std::string_view text, const Value& set) {
  return any_text(set, [&](std::string_view member) { return fit(text, member); });
}
bool is_one_of(std::string_view text, const Value& set) {
  return any_text(set, [&](std::string_view member) { return text == member; });
}

// Whether it can be a document of JSON; most texts are none, and need no parser to say so.
bool may_be_json(std::string_view text) {
  const std::string_view word = trim(text);
  if (word.empty()) return false;
  return std::string_view("[{\"-0123456789").find(word[0]) != std::string_view::npos || word == "true" ||
         word == "false" || word == "null";
}

// The members that a value names, as a list: a list, a scalar, or a JSON list in a string. Empty: not a set.
std::optional<Value> set_of(const Value& value) {
  if (value.is_list()) return value;
  if (value.is_number() || value.is_bool()) return Value(std::vector<Value>{Value(value.scalar_text())});
  if (!value.is_string()) return {};
  if (!may_be_json(value.as_string())) return Value(std::vector<Value>{value});
  auto parsed = json::parse(value.as_string());
  if (!parsed.ok()) return Value(std::vector<Value>{value});
  if (!parsed->is_list()) return {};
  for (const Value& item : parsed->items())
    if (!item.is_string()) return {};
  return std::move(parsed).value();
}

// Empty where the value is no set.
std::optional<bool> key_is_in(std::string_view key, const Value& value) {
  if (value.is_list()) return is_among(key, value);
  if (!value.is_string()) return {};
  if (wildcard_match(value.as_string(), key)) return true;
  if (is_range(value.as_string())) return scalar_fits(Value(key), value);
  const auto set = set_of(value);
  if (!set) return {};
  return is_one_of(key, *set);
}

bool range_holds(Operator op, const Value& keys, const Value& range) {
  const auto inside = [&](std::string_view key) { return scalar_fits(Value(key), range); };
  switch (op) {
    case Operator::any_in:
      return any_text(keys, inside);
    case Operator::all_in:
      return all_texts(keys, inside);
    case Operator::any_not_in:
      return !all_texts(keys, inside);
    default:
      return !any_text(keys, inside);
  }
}

bool set_holds(Operator op, const Value& keys, const Value& value) {
  const bool negative = op == Operator::any_not_in || op == Operator::all_not_in || op == Operator::not_in;
  if (value.is_string()) {
    if (keys.size() == 1 && is_one_of(value.as_string(), keys)) return !negative;
    if (is_range(value.as_string())) return range_holds(op, keys, value);
  }
  const auto set = set_of(value);
  if (!set) return false;
  const auto among = [&](std::string_view key) { return is_among(key, *set); };
  const auto equals_one = [&](std::string_view key) { return is_one_of(key, *set); };
  switch (op) {
    case Operator::in:
      return all_texts(keys, equals_one);
    case Operator::not_in:
      return !all_texts(keys, equals_one);
    case Operator::any_in:
      return any_text(keys, among);
    case Operator::all_in:
      return all_texts(keys, among);
    case Operator::any_not_in:
      return !all_texts(keys, among);
    default:
      return !any_text(keys, among);
  }
}

bool membership(Operator op, const Value& key, const Value& value) {
  if (key.is_list()) return set_holds(op, key, value);
  if (key.is_null() || key.is_map()) return false;
  std::string room;
  const auto inside = key_is_in(text_in(key, room), value);
  if (!inside) return false;
  const bool negative = op == Operator::any_not_in || op == Operator::all_not_in || op == Operator::not_in;
  return *inside != negative;
}

bool ordered(Operator op, double order) {
  switch (op) {
    case Operator::greater:
    case Operator::duration_greater:
      return order > 0;
    case Operator::greater_or_equals:
    case Operator::duration_greater_or_equals:
      return order >= 0;
    case Operator::less:
    case Operator::duration_less:
      return order < 0;
    default:
      return order <= 0;
  }
}

bool compare_numbers(Operator op, const Value& key, const Value& value) {
  if (!key.is_number() && !key.is_string()) return false;
  if (const auto both = durations(key, value)) return ordered(op, both->first - both->second);
  if (key.is_string() && value.is_string()) {
    const auto a = Quantity::parse(key.as_string()), b = Quantity::parse(value.as_string());
    if (a && b) return ordered(op, a->compare(*b));
  }
  const auto a = key.is_number() ? std::optional(key.as_double()) : number_in(key.as_string());
  if (a) {
    const auto b = value.is_number() ? std::optional(value.as_double()) : number_in(value.as_string());
    return b && ordered(op, *a - *b);
  }
  const auto version = jmespath::Version::parse(key.as_string()), other = jmespath::Version::parse(value.as_string());
  if (!version || !other) return false;
  return ordered(op, *version < *other ? -1 : *version == *other ? 0 : 1);
}

std::optional<double> seconds_of(const Value& value) {
  if (value.is_number()) return std::trunc(value.as_double());
  const auto duration = parse_duration(value.as_string());
  if (!value.is_string() || !duration.ok()) return {};
  return static_cast<double>(duration->count()) / 1e9;
}

}  // namespace

std::optional<Operator> parse_operator(std::string_view name) {
  const std::string lower = to_lower(name);
  for (const auto& [known, op] : kNames)
    if (known == lower) return op;
  return {};
}

bool holds(Operator op, const Value& key, const Value& value) {
  switch (op) {
    case Operator::equals:
      return equal(key, value).value_or(false);
    case Operator::not_equals:
      return !key.is_null() && !equal(key, value).value_or(false);
    case Operator::in:
    case Operator::not_in:
    case Operator::any_in:
    case Operator::all_in:
    case Operator::any_not_in:
    case Operator::all_not_in:
      return membership(op, key, value);
    case Operator::greater:
    case Operator::greater_or_equals:
    case Operator::less:
    case Operator::less_or_equals:
      return compare_numbers(op, key, value);
    default: {
      const auto a = seconds_of(key), b = seconds_of(value);
      return a && b && ordered(op, *a - *b);
    }
  }
}

}  // namespace caisson::policy
