// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/helm/json_schema.h"

#include <re2/re2.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "core/base/encoding.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "delivery/render/helm/go_text.h"

namespace caisson::render::helm {
namespace {

constexpr int kDepthMax = 300;
constexpr std::uint64_t kStepsMax = 5'000'000;

using Path = std::vector<std::string>;

struct Violation {
  enum class Kind { plain, group, reference } kind = Kind::plain;
  Path at;
  std::string text;
  std::vector<Violation> causes;
};
using Verdict = std::optional<Violation>;  // nothing: valid

std::string quoted(std::string_view text) {
  std::string inner = go_quote(text);
  inner = inner.substr(1, inner.size() - 2);
  inner = replace_all(std::move(inner), "\\\"", "\"");
  return "'" + replace_all(std::move(inner), "'", "\\'") + "'";
}

std::string quoted_list(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) out += (out.empty() ? "" : ", ") + quoted(text);
  return out;
}

std::string shown(const Value& value) {
  if (value.is_string()) return quoted(value.as_string());
  if (value.is_list() || value.is_map()) return "value";
  return go_text(value);
}

// Numbers as golang.org/x/text prints them for English: "1,234.5", "2×10⁰⁶".
std::string localized(double value) {
  static constexpr const char* kRaised[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
  const std::string text = go_float(value);
  if (const std::size_t e = text.find('e'); e != std::string::npos) {
    std::string out = text.substr(0, e) + "×10";
    for (const char c : text.substr(e + 1)) {
      if (c == '-') out += "⁻";
      if (c >= '0' && c <= '9') out += kRaised[c - '0'];
    }
    return out;
  }
  std::string out = text;
  const std::size_t sign = out.starts_with('-') ? 1 : 0;
  for (std::size_t at = std::min(out.find('.'), out.size()); at > sign + 3;) out.insert(at -= 3, ",");
  return out;
}

std::string_view type_name(const Value& value) {
  switch (value.kind()) {
    case ValueKind::null:
      return "null";
    case ValueKind::boolean:
      return "boolean";
    case ValueKind::string:
      return "string";
    case ValueKind::list:
      return "array";
    case ValueKind::map:
      return "object";
    default:
      return "number";
  }
}

bool is_integer(const Value& value) {
  return value.is_int() || (value.is_number() && std::trunc(value.as_double()) == value.as_double());
}

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

int draft_of(std::string_view url) {
  if (url.find("draft-04") != std::string_view::npos) return 4;
  if (url.find("draft-06") != std::string_view::npos) return 6;
  if (url.find("draft-07") != std::string_view::npos) return 7;
  if (url.find("2019-09") != std::string_view::npos) return 2019;
  return 2020;
}

// What of an object or array no keyword has spoken about yet; kept only where unevaluated… asks for it.
struct Unevaluated {
  bool wanted = false;
  std::set<std::string, std::less<>> properties;
  std::set<std::size_t> items;

  void keep_common(const Unevaluated& other) {
    std::erase_if(properties, [&](const std::string& name) { return !other.properties.contains(name); });
    std::erase_if(items, [&](std::size_t index) { return !other.items.contains(index); });
  }
};

Unevaluated unevaluated_of(const Value& value, bool wanted) {
  Unevaluated out;
  out.wanted = wanted;
  if (!wanted) return out;
  for (const auto& entry : value.entries()) out.properties.emplace(entry.key);
  for (std::size_t i = 0; i < value.items().size(); ++i) out.items.insert(i);
  return out;
}

// An error of the schema itself ends the check; it is kept here and returned by the door.
class Checker {
 public:
  explicit Checker(const Value& root) : root_(root), draft_(draft_of(root["$schema"].as_string())) {}

  // A schema, with the document or embedded resource that "#" means in it.
  struct At {
    const Value* schema;
    const Value* resource;
  };

  Verdict check(const At& at, const Value& value, Unevaluated* seen = nullptr) {
    if (failure_) return {};
    if (at.schema->is_bool()) {
      if (at.schema->as_bool()) return {};
      return plain("false schema");
    }
    if (depth_ >= kDepthMax || ++steps_ > kStepsMax) {
      fail("the schema nests too deeply or refers to itself");
      return {};
    }
    ++depth_;
    Verdict verdict = check_object(below(at, *at.schema), value, seen);
    --depth_;
    return verdict;
  }

  const std::optional<std::string>& failure() const { return failure_; }

 private:
  void fail(std::string why) {
    if (!failure_) failure_ = std::move(why);
  }

  Violation plain(std::string text) const { return {Violation::Kind::plain, path_, std::move(text), {}}; }

  const char* id_keyword() const { return draft_ == 4 ? "id" : "$id"; }

  // An embedded resource begins where a schema has an id that is more than an anchor.
  At below(const At& at, const Value& schema) const {
    const std::string_view id = schema[id_keyword()].as_string();
    return {&schema, !id.empty() && id[0] != '#' ? &schema : at.resource};
  }

  Verdict check_at(const At& at, const Value& schema, const Value& value, std::string step) {
    path_.push_back(std::move(step));
    Verdict verdict = check({&schema, at.resource}, value);
    path_.pop_back();
    return verdict;
  }

  // Another schema for the same value; what it speaks about counts for ours when it agrees.
  Verdict check_same(const At& at, const Value& value, Unevaluated& mine) {
    Unevaluated theirs = unevaluated_of(value, mine.wanted);
    Verdict verdict = check(at, value, &theirs);
    if (!verdict && mine.wanted) mine.keep_common(theirs);
    return verdict;
  }

  static void add(std::vector<Violation>& out, Verdict verdict) {
    if (verdict) out.push_back(std::move(*verdict));
  }

  Verdict check_object(const At& at, const Value& value, Unevaluated* seen) {
    const Value& schema = *at.schema;
    if (Verdict wrong = check_any(schema, value)) return wrong;
    std::vector<Violation> out;
    const bool own =
        draft_ >= 2019 && (schema.contains("unevaluatedProperties") || schema.contains("unevaluatedItems"));
    Unevaluated mine = seen != nullptr && seen->wanted ? *seen : unevaluated_of(value, own);
    if (const std::string_view reference = schema["$ref"].as_string(); !reference.empty()) {
      Verdict verdict = follow(at, reference, value, mine);
      if (draft_ < 2019) {
        if (!verdict && seen != nullptr) *seen = std::move(mine);
        return verdict;
      }
      add(out, std::move(verdict));
    }
    if (value.is_map())
      check_map(at, value, out, mine);
    else if (value.is_list())
      check_list(at, value, out, mine);
    else if (value.is_string())
      check_string(schema, value.as_string(), out);
    else if (value.is_number())
      check_number(schema, value.as_double(), out);
    for (const char* keyword : {"$recursiveRef", "$dynamicRef"}) {
      const std::string_view reference = schema[keyword].as_string();
      if (draft_ >= 2019 && !reference.empty()) add(out, follow(at, reference, value, mine));
    }
    check_combined(at, value, out, mine);
    if (draft_ >= 2019) check_unevaluated(at, value, out, mine);
    if (out.empty()) {
      if (seen != nullptr) *seen = std::move(mine);
      return {};
    }
    if (out.size() == 1) return std::move(out[0]);
    return Violation{Violation::Kind::group, path_, "validation failed", std::move(out)};
  }

  // Keywords for values of every type; the first that is violated is the only one reported.
  Verdict check_any(const Value& schema, const Value& value) {
    if (draft_ < 2019 && schema.contains("$ref")) return {};
    if (Verdict wrong = check_type(schema["type"], value)) return wrong;
    if (const Value* wanted = schema.find("const"); wanted != nullptr && draft_ >= 6 && !(*wanted == value))
      return plain(wanted->is_list() || wanted->is_map() ? "'const' failed" : "value must be " + shown(*wanted));
    if (const Value& choices = schema["enum"]; choices.is_list()) {
      const auto items = choices.items();
      if (std::find(items.begin(), items.end(), value) == items.end()) return plain(enum_text(choices));
    }
    const std::string_view format = schema["format"].as_string();
    if (draft_ < 2019 && !format.empty() && value.is_string()) {
      const std::string why =
          format == "regex" ? pattern_violation(value.str()) : format_violation(format, value.as_string());
      if (!why.empty()) return plain(shown(value) + " is not valid " + std::string(format) + ": " + why);
    }
    return {};
  }

  Verdict check_type(const Value& type, const Value& value) {
    if (type.is_null()) return {};
    std::set<std::string, std::less<>> wanted;
    if (type.is_string()) wanted.insert(type.str());
    for (const Value& one : type.items()) wanted.insert(one.str());
    if (wanted.empty() || wanted.contains(type_name(value)) || (wanted.contains("integer") && is_integer(value)))
      return {};
    std::string text;
    for (const char* name : {"null", "boolean", "number", "integer", "string", "array", "object"}) {
      if (wanted.contains(name)) text += (text.empty() ? "" : " or ") + std::string(name);
    }
    return plain("got " + std::string(type_name(value)) + ", want " + text);
  }

  static std::string enum_text(const Value& choices) {
    std::string out;
    for (const Value& choice : choices.items()) {
      if (choice.is_list() || choice.is_map()) return "'enum' failed";
      out += (out.empty() ? "" : ", ") + shown(choice);
    }
    return (choices.size() == 1 ? "value must be " : "value must be one of ") + out;
  }

  void count(const Value& schema, const char* keyword, std::size_t have, bool least,
             std::vector<Violation>& out) const {
    const Value& wanted = schema[keyword];
    if (!wanted.is_number()) return;
    const double limit = wanted.as_double(), got = static_cast<double>(have);
    if (least ? got >= limit : got <= limit) return;
    out.push_back(plain(std::string(keyword) + ": got " + localized(got) + ", want " + localized(limit)));
  }

  static std::vector<std::string> missing(const Value& names, const Value& object) {
    std::vector<std::string> out;
    for (const Value& name : names.items()) {
      if (!object.contains(name.as_string())) out.push_back(name.str());
    }
    return out;
  }

  void check_needed(const Value& names, std::string_view because, const Value& object,
                    std::vector<Violation>& out) const {
    const auto absent = missing(names, object);
    if (!absent.empty())
      out.push_back(plain("properties " + quoted_list(absent) + " required, if " + quoted(because) + " exists"));
  }

  void check_map(const At& at, const Value& object, std::vector<Violation>& out, Unevaluated& mine) {
    const Value& schema = *at.schema;
    count(schema, "minProperties", object.size(), true, out);
    count(schema, "maxProperties", object.size(), false, out);
    const auto absent = missing(schema["required"], object);
    if (!absent.empty())
      out.push_back(plain((absent.size() == 1 ? "missing property " : "missing properties ") + quoted_list(absent)));
    for (const char* keyword : {"dependencies", "dependentRequired", "dependentSchemas"}) {
      for (const auto& [name, needed] : schema[keyword].entries()) {
        if (!object.contains(name)) continue;
        if (needed.is_list())
          check_needed(needed, name, object, out);
        else
          add(out, check_same({&needed, at.resource}, object, mine));
      }
    }
    check_members(at, object, out, mine);
    if (draft_ == 4 || !schema.contains("propertyNames")) return;
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

  void check_members(const At& at, const Value& object, std::vector<Violation>& out, Unevaluated& mine) {
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

  void check_list(const At& at, const Value& list, std::vector<Violation>& out, Unevaluated& mine) {
    const Value& schema = *at.schema;
    count(schema, "minItems", list.size(), true, out);
    count(schema, "maxItems", list.size(), false, out);
    if (schema["uniqueItems"].as_bool()) check_unique(list, out);
    const bool by_place = schema["items"].is_list() && draft_ < 2020;
    const Value& places = by_place ? schema["items"] : draft_ >= 2020 ? schema["prefixItems"] : schema["$none"];
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
    if (draft_ >= 6 && schema.contains("contains")) check_contains(at, list, out, mine);
  }

  void check_unique(const Value& list, std::vector<Violation>& out) const {
    if (list.size() > 2000) return;  // quadratic; nobody writes such a list by hand
    for (std::size_t i = 0; i < list.size(); ++i) {
      for (std::size_t j = i + 1; j < list.size(); ++j) {
        if (!(list[i] == list[j])) continue;
        out.push_back(plain("items at " + std::to_string(i) + " and " + std::to_string(j) + " are equal"));
        return;
      }
    }
  }

  void check_contains(const At& at, const Value& list, std::vector<Violation>& out, Unevaluated& mine) {
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
      if (draft_ >= 2020) mine.items.erase(i);
    }
    const auto complain = [&](std::string text, bool with_causes) {
      Violation violation = plain(std::move(text));
      if (with_causes) violation.causes = std::move(wrong);
      out.push_back(std::move(violation));
    };
    const Value& least = schema["minContains"];
    const Value& most = schema["maxContains"];
    const std::string items = " items required to match contains schema, but ";
    if (draft_ >= 2019 && least.is_number()) {
      if (static_cast<double>(count) < least.as_double()) {
        complain("min " + localized(least.as_double()) + items +
                     (count == 0 ? "none matched" : "matched " + std::to_string(count) + " items at " + matched),
                 true);
      }
    } else if (count == 0) {
      complain("no items match contains schema", true);
    }
    if (draft_ >= 2019 && most.is_number() && static_cast<double>(count) > most.as_double())
      complain(
          "max " + localized(most.as_double()) + items + "matched " + std::to_string(count) + " items at " + matched,
          false);
  }

  void check_string(const Value& schema, std::string_view text, std::vector<Violation>& out) {
    if (schema.contains("minLength") || schema.contains("maxLength")) {
      const std::size_t length = rune_count(text);
      count(schema, "minLength", length, true, out);
      count(schema, "maxLength", length, false, out);
    }
    const Value& pattern = schema["pattern"];
    if (pattern.is_string() && !matches(pattern.str(), text))
      out.push_back(plain(quoted(text) + " does not match pattern " + quoted(pattern.as_string())));
  }

  void check_number(const Value& schema, double number, std::vector<Violation>& out) const {
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

  void check_combined(const At& at, const Value& value, std::vector<Violation>& out, Unevaluated& mine) {
    const Value& schema = *at.schema;
    const auto with_causes = [&](std::string text, std::vector<Violation> causes) {
      Violation violation = plain(std::move(text));
      violation.causes = std::move(causes);
      out.push_back(std::move(violation));
    };
    if (const Value* other = schema.find("not"); other != nullptr && !check_same({other, at.resource}, value, mine))
      out.push_back(plain("'not' failed"));
    std::vector<Violation> wrong;
    for (const Value& one : schema["allOf"].items()) add(wrong, check_same({&one, at.resource}, value, mine));
    if (!wrong.empty()) with_causes("'allOf' failed", std::exchange(wrong, {}));
    if (!schema["anyOf"].empty()) {
      bool any = false;
      for (const Value& one : schema["anyOf"].items()) {
        Verdict verdict = check_same({&one, at.resource}, value, mine);
        any |= !verdict;
        add(wrong, std::move(verdict));
        if (any && !mine.wanted) break;
      }
      if (!any) with_causes("'anyOf' failed", std::move(wrong));
      wrong.clear();
    }
    if (!schema["oneOf"].empty()) check_one_of(at, value, out, mine);
    const Value* condition = draft_ >= 7 ? schema.find("if") : nullptr;
    if (condition == nullptr) return;
    const Value* branch = schema.find(check_same({condition, at.resource}, value, mine) ? "else" : "then");
    if (branch != nullptr) add(out, check_same({branch, at.resource}, value, mine));
  }

  void check_one_of(const At& at, const Value& value, std::vector<Violation>& out, Unevaluated& mine) {
    std::vector<Violation> wrong;
    std::optional<std::size_t> matched;
    const auto choices = (*at.schema)["oneOf"].items();
    for (std::size_t i = 0; i < choices.size(); ++i) {
      Verdict verdict = check_same({&choices[i], at.resource}, value, mine);
      if (verdict) {
        add(wrong, std::move(verdict));
      } else if (matched) {
        out.push_back(
            plain("'oneOf' failed, subschemas " + std::to_string(*matched) + ", " + std::to_string(i) + " matched"));
        return;
      } else {
        matched = i;
      }
    }
    if (matched) return;
    Violation violation = plain("'oneOf' failed, none matched");
    violation.causes = std::move(wrong);
    out.push_back(std::move(violation));
  }

  void check_unevaluated(const At& at, const Value& value, std::vector<Violation>& out, Unevaluated& mine) {
    const Value& schema = *at.schema;
    if (const Value* rest = schema.find("unevaluatedProperties"); rest != nullptr && value.is_map()) {
      for (const std::string& name : mine.properties) add(out, check_at(at, *rest, value[name], name));
      mine.properties.clear();
    }
    if (const Value* rest = schema.find("unevaluatedItems"); rest != nullptr && value.is_list()) {
      for (const std::size_t i : mine.items) add(out, check_at(at, *rest, value[i], std::to_string(i)));
      mine.items.clear();
    }
  }

  // --- references

  Verdict follow(const At& at, std::string_view reference, const Value& value, Unevaluated& mine) {
    const auto target = resolve(at, std::string(reference));
    if (!target) {
      fail("\"" + std::string(reference) +
           "\": no such schema in values.schema.json, and schemas elsewhere are not fetched");
      return {};
    }
    Verdict wrong = check_same(*target, value, mine);
    if (!wrong) return {};
    Violation out{Violation::Kind::reference, path_, "validation failed", {}};
    if (wrong->kind == Violation::Kind::group)
      out.causes = std::move(wrong->causes);
    else
      out.causes.push_back(std::move(*wrong));
    return out;
  }

  std::optional<At> resolve(const At& at, const std::string& reference) const {
    const std::size_t hash = reference.find('#');
    const std::string resource_id = reference.substr(0, hash);
    const Value* resource = at.resource;
    if (!resource_id.empty()) {
      resource = find_resource(root_, resource_id, 0);
      if (resource == nullptr) return {};
    }
    const std::string fragment = hash == std::string::npos ? "" : reference.substr(hash + 1);
    const Value* target = fragment.empty() ? resource : nullptr;
    if (fragment.starts_with('/')) target = pointed(*resource, fragment);
    if (target == nullptr) target = find_anchor(*resource, fragment, 0);
    if (target == nullptr) return {};
    return At{target, resource};
  }

  static const Value* pointed(const Value& from, const std::string& fragment) {
    const auto decoded = percent_decode(fragment);
    if (!decoded.ok()) return nullptr;
    const Value* at = &from;
    const auto parts = split(*decoded, '/');
    for (std::size_t i = 1; i < parts.size(); ++i) {
      const std::string key = replace_all(replace_all(std::string(parts[i]), "~1", "/"), "~0", "~");
      if (at->is_list()) {
        const auto index = parse_int(key);
        if (!index || *index < 0 || static_cast<std::size_t>(*index) >= at->size()) return nullptr;
        at = &(*at)[static_cast<std::size_t>(*index)];
      } else {
        at = at->find(key);
        if (at == nullptr) return nullptr;
      }
    }
    return at;
  }

  // An id that ends as the reference does is the one that is meant: relative references need no base then.
  const Value* find_resource(const Value& in, std::string_view id, int depth) const {
    if (depth > kDepthMax) return nullptr;
    const std::string_view own = trimmed_id(in[id_keyword()].as_string());
    if (!own.empty() && (own == trimmed_id(id) || own.ends_with("/" + std::string(trimmed_id(id))))) return &in;
    return search(in, [&](const Value& child) { return find_resource(child, id, depth + 1); });
  }

  static std::string_view trimmed_id(std::string_view id) {
    while (id.starts_with("./")) id.remove_prefix(2);
    return id.substr(0, id.find('#'));
  }

  const Value* find_anchor(const Value& in, const std::string& name, int depth) const {
    if (depth > kDepthMax) return nullptr;
    if (in["$anchor"].as_string() == name || in["$dynamicAnchor"].as_string() == name ||
        in[id_keyword()].as_string() == "#" + name)
      return &in;
    return search(in, [&](const Value& child) { return find_anchor(child, name, depth + 1); });
  }

  template <class Find>
  static const Value* search(const Value& in, Find find) {
    for (const auto& entry : in.entries()) {
      if (!entry.value.is_map() && !entry.value.is_list()) continue;
      if (const Value* found = find(entry.value)) return found;
    }
    for (const Value& item : in.items()) {
      if (!item.is_map() && !item.is_list()) continue;
      if (const Value* found = find(item)) return found;
    }
    return nullptr;
  }

  // --- patterns

  const RE2& compiled(const std::string& pattern) {
    auto& slot = patterns_[pattern];
    if (!slot) {
      RE2::Options options;
      options.set_log_errors(false);
      slot = std::make_unique<RE2>(pattern, options);
    }
    return *slot;
  }
  std::string pattern_violation(const std::string& pattern) {
    const RE2& expression = compiled(pattern);
    return expression.ok() ? "" : "error parsing regexp: " + expression.error();
  }
  bool matches(const std::string& pattern, std::string_view text) {
    const RE2& expression = compiled(pattern);
    if (!expression.ok()) fail("invalid regex " + quoted(pattern) + ": " + expression.error());
    return expression.ok() && RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), expression);
  }

  const Value& root_;
  const int draft_;
  Path path_;
  int depth_ = 0;
  std::uint64_t steps_ = 0;
  std::map<std::string, std::unique_ptr<RE2>> patterns_;
  std::optional<std::string> failure_;
};

std::string pointer(const Path& path) {
  std::string out;
  for (const std::string& step : path) out += "/" + replace_all(replace_all(step, "~", "~0"), "/", "~1");
  return out;
}

void print(const Violation& violation, int indent, std::string& out) {
  const bool skipped = violation.kind == Violation::Kind::reference && violation.causes.size() == 1;
  if (!skipped) {
    if (!out.empty()) out += '\n';
    for (int i = 1; i < indent; ++i) out += "  ";
    out += "- at " + quoted(pointer(violation.at)) + ": " + violation.text;
    ++indent;
  }
  for (const Violation& cause : violation.causes) print(cause, indent, out);
}

}  // namespace

Result<std::string> schema_violations(std::string_view schema, const Value& value) {
  const Value root = TRY(json::parse(schema));
  Checker checker(root);
  const Verdict verdict = checker.check({&root, &root}, value);
  if (checker.failure()) return Error{ErrorCode::bad_request, *checker.failure()};
  std::string out;
  if (!verdict) return out;
  if (verdict->kind == Violation::Kind::group) {
    for (const Violation& cause : verdict->causes) print(cause, 1, out);
  } else {
    print(*verdict, 1, out);
  }
  return out;
}

}  // namespace caisson::render::helm
