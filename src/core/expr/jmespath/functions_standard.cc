// SPDX-License-Identifier: Apache-2.0
// The functions of the specification.
#include <algorithm>
#include <cmath>
#include <optional>

#include "core/base/text.h"
#include "core/document/json.h"
#include "core/expr/jmespath/functions.h"

namespace caisson::jmespath {
namespace {

std::size_t code_points(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string reversed(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t end = text.size(); end > 0;) {
    std::size_t from = end - 1;
    while (from > 0 && (static_cast<unsigned char>(text[from]) & 0xc0) == 0x80) --from;
    out += text.substr(from, end - from);
    end = from;
  }
  return out;
}

// Numbers by size, strings by bytes (the order of code points). Both are of one kind.
bool before(const Value& a, const Value& b) {
  if (a.is_string()) return a.as_string() < b.as_string();
  if (a.is_int() && b.is_int()) return a.as_int() < b.as_int();
  return a.as_double() < b.as_double();
}

Result<Value> run_abs(const Call& call) {
  const Value& value = call.value(0);
  if (value.is_int() && value.as_int() >= 0) return value;
  return number_value(std::fabs(call.number(0)));
}
Result<Value> run_ceil(const Call& call) {
  return number_value(std::ceil(call.number(0)));
}
Result<Value> run_floor(const Call& call) {
  return number_value(std::floor(call.number(0)));
}

double total(const Value& list) {
  double sum = 0;
  for (const Value& item : list.items()) sum += item.as_double();
  return sum;
}
Result<Value> run_sum(const Call& call) {
  return number_value(total(call.value(0)));
}
Result<Value> run_avg(const Call& call) {
  const Value& list = call.value(0);
  if (list.empty()) return Value();
  return number_value(total(list) / static_cast<double>(list.size()));
}

Result<Value> run_contains(const Call& call) {
  const Value& in = call.value(0);
  if (in.is_string()) {
    const bool found = call.value(1).is_string() && in.as_string().find(call.text(1)) != std::string_view::npos;
    return Value(found);
  }
  const auto items = in.items();
  return Value(std::find(items.begin(), items.end(), call.value(1)) != items.end());
}
Result<Value> run_starts_with(const Call& call) {
  return Value(call.text(0).starts_with(call.text(1)));
}
Result<Value> run_ends_with(const Call& call) {
  return Value(call.text(0).ends_with(call.text(1)));
}

Result<Value> run_join(const Call& call) {
  std::string out;
  bool first = true;
  for (const Value& item : call.value(1).items()) {
    if (!first) out += call.text(0);
    first = false;
    out += item.as_string();
    if (out.size() > call.environment.text_bytes_max) return call.fail("the text is too long");
  }
  return Value(out);
}

Result<Value> run_keys(const Call& call) {
  std::vector<Value> keys;
  for (const auto& entry : call.value(0).entries()) keys.emplace_back(entry.key);
  return Value(std::move(keys));
}
Result<Value> run_values(const Call& call) {
  std::vector<Value> values;
  for (const auto& entry : call.value(0).entries()) values.push_back(entry.value);
  return Value(std::move(values));
}

Result<Value> run_length(const Call& call) {
  const Value& value = call.value(0);
  return Value(static_cast<std::int64_t>(value.is_string() ? code_points(value.as_string()) : value.size()));
}

Result<Value> run_map(const Call& call) {
  std::vector<Value> out;
  for (const Value& item : call.value(1).items()) out.push_back(TRY(call.apply(*call.arguments[0].reference, item)));
  return Value(std::move(out));
}

Result<Value> run_max(const Call& call) {
  const auto items = call.value(0).items();
  return items.empty() ? Value() : *std::max_element(items.begin(), items.end(), before);
}
Result<Value> run_min(const Call& call) {
  const auto items = call.value(0).items();
  return items.empty() ? Value() : *std::min_element(items.begin(), items.end(), before);
}

// The value of `&expression` for each item: all numbers or all strings.
Result<std::vector<Value>> keys_by(const Call& call) {
  std::vector<Value> keys;
  for (const Value& item : call.value(0).items()) {
    Value key = TRY(call.apply(*call.arguments[1].reference, item));
    if (!key.is_string() && !key.is_number()) return call.invalid_type("the expression must give numbers or strings");
    if (!keys.empty() && keys[0].is_string() != key.is_string())
      return call.invalid_type("the expression gives numbers and strings");
    keys.push_back(std::move(key));
  }
  return keys;
}
Result<Value> run_max_by(const Call& call) {
  const std::vector<Value> keys = TRY(keys_by(call));
  const auto at = std::max_element(keys.begin(), keys.end(), before);
  return at == keys.end() ? Value() : call.value(0)[static_cast<std::size_t>(at - keys.begin())];
}
Result<Value> run_min_by(const Call& call) {
  const std::vector<Value> keys = TRY(keys_by(call));
  const auto at = std::min_element(keys.begin(), keys.end(), before);
  return at == keys.end() ? Value() : call.value(0)[static_cast<std::size_t>(at - keys.begin())];
}
Result<Value> run_sort_by(const Call& call) {
  const std::vector<Value> keys = TRY(keys_by(call));
  std::vector<std::size_t> order(keys.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return before(keys[a], keys[b]); });
  std::vector<Value> out;
  for (const std::size_t at : order) out.push_back(call.value(0)[at]);
  return Value(std::move(out));
}
Result<Value> run_sort(const Call& call) {
  const auto items = call.value(0).items();
  std::vector<Value> out(items.begin(), items.end());
  std::stable_sort(out.begin(), out.end(), before);
  return Value(std::move(out));
}

Result<Value> run_merge(const Call& call) {
  Value out = Value::map();
  for (const Argument& argument : call.arguments)
    for (const auto& entry : argument.value.entries()) out.set(entry.key, entry.value);
  return out;
}
Result<Value> run_not_null(const Call& call) {
  for (const Argument& argument : call.arguments)
    if (!argument.value.is_null()) return argument.value;
  return Value();
}
Result<Value> run_reverse(const Call& call) {
  const Value& value = call.value(0);
  if (value.is_string()) return Value(reversed(value.as_string()));
  std::vector<Value> out(value.items().rbegin(), value.items().rend());
  return Value(std::move(out));
}
Result<Value> run_to_array(const Call& call) {
  if (call.value(0).is_list()) return call.value(0);
  return Value(std::vector<Value>{call.value(0)});
}
Result<Value> run_to_string(const Call& call) {
  if (call.value(0).is_string()) return call.value(0);
  return Value(json::write(call.value(0)));
}
Result<Value> run_to_number(const Call& call) {
  const Value& value = call.value(0);
  if (value.is_number()) return value;
  if (!value.is_string()) return Value();
  const auto number = json::parse(trim(value.as_string()));
  return number.ok() && number->is_number() ? *number : Value();
}
Result<Value> run_type(const Call& call) {
  switch (call.value(0).kind()) {
    case ValueKind::null:
      return Value("null");
    case ValueKind::boolean:
      return Value("boolean");
    case ValueKind::string:
      return Value("string");
    case ValueKind::list:
      return Value("array");
    case ValueKind::map:
      return Value("object");
    default:
      return Value("number");
  }
}

constexpr std::uint16_t kSortable = kArrayOfNumber | kArrayOfString;
constexpr Function kTable[] = {
    {"abs", 1, false, {kNumber}, "number", run_abs, "the absolute value"},
    {"avg", 1, false, {kArrayOfNumber}, "number", run_avg, "the average; null of an empty array"},
    {"ceil", 1, false, {kNumber}, "number", run_ceil, "the next integer above"},
    {"contains", 2, false, {kArray | kString, kAny}, "boolean", run_contains, "whether an item or a part is there"},
    {"ends_with", 2, false, {kString, kString}, "boolean", run_ends_with, "whether a string ends so"},
    {"floor", 1, false, {kNumber}, "number", run_floor, "the next integer below"},
    {"join", 2, false, {kString, kArrayOfString}, "string", run_join, "strings with a separator between them"},
    {"keys", 1, false, {kObject}, "array", run_keys, "the keys of an object"},
    {"length", 1, false, {kString | kArray | kObject}, "number", run_length, "characters, items or members"},
    {"map", 2, false, {kReference, kArray}, "array", run_map, "an expression applied to each item"},
    {"max", 1, false, {kSortable}, "any", run_max, "the largest item"},
    {"max_by", 2, false, {kArray, kReference}, "any", run_max_by, "the item with the largest key"},
    {"merge", 1, true, {kObject}, "object", run_merge, "objects laid over one another, the last wins"},
    {"min", 1, false, {kSortable}, "any", run_min, "the smallest item"},
    {"min_by", 2, false, {kArray, kReference}, "any", run_min_by, "the item with the smallest key"},
    {"not_null", 1, true, {kAny}, "any", run_not_null, "the first argument that is not null"},
    {"reverse", 1, false, {kString | kArray}, "any", run_reverse, "back to front"},
    {"sort", 1, false, {kSortable}, "array", run_sort, "items in order"},
    {"sort_by", 2, false, {kArray, kReference}, "array", run_sort_by, "items in the order of a key"},
    {"starts_with", 2, false, {kString, kString}, "boolean", run_starts_with, "whether a string begins so"},
    {"sum", 1, false, {kArrayOfNumber}, "number", run_sum, "the total"},
    {"to_array", 1, false, {kAny}, "array", run_to_array, "an array as it is, anything else in one"},
    {"to_number", 1, false, {kAny}, "number", run_to_number, "the number that a string writes; else null"},
    {"to_string", 1, false, {kAny}, "string", run_to_string, "a string as it is, anything else as JSON"},
    {"type", 1, false, {kAny}, "string", run_type, "the name of the type"},
    {"values", 1, false, {kObject}, "array", run_values, "the values of an object"},
};

}  // namespace

std::span<const Function> standard_functions() {
  return kTable;
}

}  // namespace caisson::jmespath
