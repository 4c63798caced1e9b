// SPDX-License-Identifier: Apache-2.0
// Keywords of objects, arrays, strings and numbers.
#include <algorithm>
#include <cmath>

#include "delivery/render/helm/json_schema/checker.h"
#include "delivery/render/helm/json_schema/text.h"

namespace caisson::render::helm::json_schema {
namespace {

// Of decimal fractions as they are written: 0.3 is a multiple of 0.1.
bool is_multiple(double value, double of) {
  if (of == 0) return true;
  const double quotient = value / of;
  return std::abs(quotient - std::round(quotient)) <= 1e-9 * std::max(1.0, std::abs(quotient));
}

std::size_t rune_count(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::vector<std::string_view> sorted_keys(const Value& map) {
  std::vector<std::string_view> keys;
  for (const auto& entry : map.entries()) keys.push_back(entry.key);
  std::sort(keys.begin(), keys.end());
  return keys;
}

std::vector<std::string> missing(const Value& names, const Value& object) {
  std::vector<std::string> out;
  for (const Value& name : names.items()) {
    if (!object.contains(name.as_string())) out.push_back(name.str());
  }
  return out;
}

}  // namespace

void Checker::count(const Value& schema, const char* keyword, std::size_t have, bool least, Violations& out) const {
  const Value& wanted = schema[keyword];
  if (!wanted.is_number()) return;
  const double limit = wanted.as_double(), got = static_cast<double>(have);
  if (least ? got >= limit : got <= limit) return;
  out.push_back(plain(std::string(keyword) + ": got " + localized(got) + ", want " + localized(limit)));
}

void Checker::check_needed(const Value& names, std::string_view because, const Value& object, Violations& out) const {
  const auto absent = missing(names, object);
  if (!absent.empty())
    out.push_back(plain("properties " + quoted_list(absent) + " required, if " + quoted(because) + " exists"));
}

void Checker::check_map(const At& at, const Value& object, Violations& out, Unevaluated& mine) {
  const Value& schema = *at.schema;
  count(schema, "minProperties", object.size(), true, out);
  count(schema, "maxProperties", object.size(), false, out);
  const auto absent = missing(schema["required"], object);
  if (!absent.empty())
    out.push_back(plain((absent.size() == 1 ? "missing property " : "missing properties ") + quoted_list(absent)));
  const auto check_dependent = [&](const char* keyword) {
    for (const auto& [name, needed] : schema[keyword].entries()) {
      if (!object.contains(name)) continue;
      if (needed.is_list())
        check_needed(needed, name, object, out);
      else
        add(out, check_same({&needed, at.resource}, object, mine));
    }
  };
  check_dependent("dependencies");
  check_members(at, object, out, mine);
  if (draft() > 4) check_names(at, object, out);
  check_dependent("dependentSchemas");
  check_dependent("dependentRequired");
}

void Checker::check_names(const At& at, const Value& object, Violations& out) {
  const Value& schema = *at.schema;
  if (!schema.contains("propertyNames")) return;
  for (const std::string_view name : sorted_keys(object)) {
    const Path here = std::exchange(path_, {});  // a name has no place of its own
    Verdict wrong = check({&schema["propertyNames"], at.resource}, Value(name));
    path_ = here;
    if (wrong) {
      Violation violation = plain("invalid propertyName " + quoted(name));
      violation.causes.push_back(std::move(*wrong));
      out.push_back(std::move(violation));
    }
  }
}

void Checker::check_members(const At& at, const Value& object, Violations& out, Unevaluated& mine) {
  const Value& schema = *at.schema;
  const Value* additional = schema.find("additionalProperties");
  std::vector<std::string> unwanted;
  for (const std::string_view name : sorted_keys(object)) {
    bool evaluated = false;
    if (const Value* member = schema["properties"].find(name)) {
      evaluated = true;
      add(out, check_at(at, *member, object[name], std::string(name)));
    }
    for (const auto& [pattern, member] : schema["patternProperties"].entries()) {
      if (!matches(std::string(pattern), name)) continue;
      evaluated = true;
      add(out, check_at(at, member, object[name], std::string(name)));
    }
    if (!evaluated && additional != nullptr) {
      evaluated = true;
      if (!additional->is_bool())
        add(out, check_at(at, *additional, object[name], std::string(name)));
      else if (!additional->as_bool())
        unwanted.emplace_back(name);
    }
    if (evaluated) mine.properties.erase(std::string(name));
  }
  if (!unwanted.empty()) out.push_back(plain("additional properties " + quoted_list(unwanted) + " not allowed"));
}

void Checker::check_list(const At& at, const Value& list, Violations& out, Unevaluated& mine) {
  const Value& schema = *at.schema;
  count(schema, "minItems", list.size(), true, out);
  count(schema, "maxItems", list.size(), false, out);
  if (schema["uniqueItems"].as_bool()) check_unique(list, out);
  const bool by_place = schema["items"].is_list() && draft() < 2020;
  const Value& places = by_place ? schema["items"] : draft() >= 2020 ? schema["prefixItems"] : schema["$none"];
  const Value* rest = by_place ? schema.find("additionalItems") : schema.find("items");
  const std::size_t placed = std::min(places.items().size(), list.size());
  for (std::size_t i = 0; i < placed; ++i) add(out, check_at(at, places[i], list[i], std::to_string(i)));
  for (std::size_t i = 0; i < placed; ++i) mine.items.erase(i);
  if (rest != nullptr) {
    if (by_place && rest->is_bool()) {
      if (!rest->as_bool() && placed != list.size())
        out.push_back(plain("last " + std::to_string(list.size() - placed) + " additionalItem(s) not allowed"));
    } else {
      for (std::size_t i = placed; i < list.size(); ++i) add(out, check_at(at, *rest, list[i], std::to_string(i)));
    }
    mine.items.clear();
  }
  if (draft() >= 6 && schema.contains("contains")) check_contains(at, list, out, mine);
}

void Checker::check_unique(const Value& list, Violations& out) const {
  if (list.size() > 2000) return;  // quadratic; nobody writes such a list by hand
  for (std::size_t i = 0; i < list.size(); ++i) {
    for (std::size_t j = i + 1; j < list.size(); ++j) {
      if (!(list[i] == list[j])) continue;
      out.push_back(plain("items at " + std::to_string(i) + " and " + std::to_string(j) + " are equal"));
      return;
    }
  }
}

void Checker::check_contains(const At& at, const Value& list, Violations& out, Unevaluated& mine) {
  const Value& schema = *at.schema;
  std::vector<Violation> wrong;
  std::string matched;
  std::size_t count = 0;
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (Verdict verdict = check_at(at, schema["contains"], list[i], std::to_string(i))) {
      wrong.push_back(std::move(*verdict));
      continue;
    }
    matched += (count++ == 0 ? "" : " ") + std::to_string(i);
    if (draft() >= 2020) mine.items.erase(i);
  }
  const auto complain = [&](std::string text, bool with_causes) {
    Violation violation = plain(std::move(text));
    if (with_causes) violation.causes = std::move(wrong);
    out.push_back(std::move(violation));
  };
  const Value& least = schema["minContains"];
  const Value& most = schema["maxContains"];
  const std::string items = " items required to match contains schema, but ";
  if (draft() >= 2019 && least.is_number()) {
    if (static_cast<double>(count) < least.as_double()) {
      complain("min " + localized(least.as_double()) + items +
                   (count == 0 ? "none matched" : "matched " + std::to_string(count) + " items at " + matched),
               true);
    }
  } else if (count == 0) {
    complain("no items match contains schema", true);
  }
  if (draft() >= 2019 && most.is_number() && static_cast<double>(count) > most.as_double())
    complain("max " + localized(most.as_double()) + items + "matched " + std::to_string(count) + " items at " + matched,
             false);
}

void Checker::check_string(const Value& schema, std::string_view text, Violations& out) {
  if (schema.contains("minLength") || schema.contains("maxLength")) {
    const std::size_t length = rune_count(text);
    count(schema, "minLength", length, true, out);
    count(schema, "maxLength", length, false, out);
  }
  const Value& pattern = schema["pattern"];
  if (pattern.is_string() && !matches(pattern.str(), text))
    out.push_back(plain(quoted(text) + " does not match pattern " + quoted(pattern.as_string())));
}

void Checker::check_number(const Value& schema, double number, Violations& out) const {
  const auto bound = [&](const char* keyword, bool holds, double limit) {
    if (!holds)
      out.push_back(plain(std::string(keyword) + ": got " + localized(number) + ", want " + localized(limit)));
  };
  const Value &least = schema["minimum"], &most = schema["maximum"];
  const Value &above = schema["exclusiveMinimum"], &under = schema["exclusiveMaximum"];
  if (above.as_bool())
    bound("exclusiveMinimum", number > least.as_double(), least.as_double());
  else if (least.is_number())
    bound("minimum", number >= least.as_double(), least.as_double());
  if (under.as_bool())
    bound("exclusiveMaximum", number < most.as_double(), most.as_double());
  else if (most.is_number())
    bound("maximum", number <= most.as_double(), most.as_double());
  if (above.is_number()) bound("exclusiveMinimum", number > above.as_double(), above.as_double());
  if (under.is_number()) bound("exclusiveMaximum", number < under.as_double(), under.as_double());
  if (const Value& step = schema["multipleOf"]; step.is_number())
    bound("multipleOf", is_multiple(number, step.as_double()), step.as_double());
}

}  // namespace caisson::render::helm::json_schema
