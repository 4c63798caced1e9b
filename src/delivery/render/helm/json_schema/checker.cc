// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/helm/json_schema/checker.h"

#include <re2/re2.h>

#include <algorithm>
#include <cmath>

#include "delivery/render/helm/json_schema.h"
#include "delivery/render/helm/json_schema/text.h"

namespace caisson::render::helm::json_schema {
namespace {

constexpr int kDepthMax = 300;
constexpr std::uint64_t kStepsMax = 5'000'000;

bool is_integer(const Value& value) {
  return value.is_int() || (value.is_number() && std::trunc(value.as_double()) == value.as_double());
}

std::string enum_text(const Value& choices) {
  std::string out;
  for (const Value& choice : choices.items()) {
    if (choice.is_list() || choice.is_map()) return "'enum' failed";
    out += (out.empty() ? "" : ", ") + shown(choice);
  }
  return (choices.size() == 1 ? "value must be " : "value must be one of ") + out;
}

Unevaluated unevaluated_of(const Value& value, bool wanted) {
  Unevaluated out;
  out.wanted = wanted;
  if (!wanted) return out;
  for (const auto& entry : value.entries()) out.properties.emplace(entry.key);
  for (std::size_t i = 0; i < value.items().size(); ++i) out.items.insert(i);
  return out;
}

}  // namespace

void Unevaluated::keep_common(const Unevaluated& other) {
  std::erase_if(properties, [&](const std::string& name) { return !other.properties.contains(name); });
  std::erase_if(items, [&](std::size_t index) { return !other.items.contains(index); });
}

void add(std::vector<Violation>& out, Verdict verdict) {
  if (verdict) out.push_back(std::move(*verdict));
}

Checker::Checker(const Value& root) : document_(root) {}
Checker::~Checker() = default;

Verdict Checker::check(const At& at, const Value& value, Unevaluated* seen) {
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
  Verdict verdict = check_object(document_.below(at, *at.schema), value, seen);
  --depth_;
  return verdict;
}

void Checker::fail(std::string why) {
  if (!failure_) failure_ = std::move(why);
}

Violation Checker::plain(std::string text) const {
  return {Violation::Kind::plain, path_, std::move(text), {}};
}

Verdict Checker::check_at(const At& at, const Value& schema, const Value& value, std::string step) {
  path_.push_back(std::move(step));
  Verdict verdict = check({&schema, at.resource}, value);
  path_.pop_back();
  return verdict;
}

// Another schema for the same value; what it speaks about counts for ours when it agrees.
Verdict Checker::check_same(const At& at, const Value& value, Unevaluated& mine) {
  Unevaluated theirs = unevaluated_of(value, mine.wanted);
  Verdict verdict = check(at, value, &theirs);
  if (!verdict && mine.wanted) mine.keep_common(theirs);
  return verdict;
}

Verdict Checker::check_object(const At& at, const Value& value, Unevaluated* seen) {
  const Value& schema = *at.schema;
  if (Verdict wrong = check_any(schema, value)) return wrong;
  std::vector<Violation> out;
  const bool own = draft() >= 2019 && (schema.contains("unevaluatedProperties") || schema.contains("unevaluatedItems"));
  Unevaluated mine = seen != nullptr && seen->wanted ? *seen : unevaluated_of(value, own);
  if (const std::string_view reference = schema["$ref"].as_string(); !reference.empty()) {
    Verdict verdict = follow(at, reference, value, mine);
    if (draft() < 2019) {
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
    if (draft() >= 2019 && !reference.empty()) add(out, follow(at, reference, value, mine));
  }
  check_combined(at, value, out, mine);
  if (draft() >= 2019) check_unevaluated(at, value, out, mine);
  if (out.empty()) {
    if (seen != nullptr) *seen = std::move(mine);
    return {};
  }
  if (out.size() == 1) return std::move(out[0]);
  return Violation{Violation::Kind::group, path_, "validation failed", std::move(out)};
}

// Keywords for values of every type; the first that is violated is the only one reported.
Verdict Checker::check_any(const Value& schema, const Value& value) {
  if (draft() < 2019 && schema.contains("$ref")) return {};
  if (Verdict wrong = check_type(schema["type"], value)) return wrong;
  if (const Value* wanted = schema.find("const"); wanted != nullptr && draft() >= 6 && !(*wanted == value))
    return plain(wanted->is_list() || wanted->is_map() ? "'const' failed" : "value must be " + shown(*wanted));
  if (const Value& choices = schema["enum"]; choices.is_list()) {
    const auto items = choices.items();
    if (std::find(items.begin(), items.end(), value) == items.end()) return plain(enum_text(choices));
  }
  const std::string_view format = schema["format"].as_string();
  if (draft() < 2019 && !format.empty() && value.is_string()) {
    const std::string why =
        format == "regex" ? pattern_violation(value.str()) : format_violation(format, value.as_string());
    if (!why.empty()) return plain(shown(value) + " is not valid " + std::string(format) + ": " + why);
  }
  return {};
}

Verdict Checker::check_type(const Value& type, const Value& value) {
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

void Checker::check_combined(const At& at, const Value& value, Violations& out, Unevaluated& mine) {
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
  const Value* condition = draft() >= 7 ? schema.find("if") : nullptr;
  if (condition == nullptr) return;
  const Value* branch = schema.find(check_same({condition, at.resource}, value, mine) ? "else" : "then");
  if (branch != nullptr) add(out, check_same({branch, at.resource}, value, mine));
}

void Checker::check_one_of(const At& at, const Value& value, Violations& out, Unevaluated& mine) {
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

void Checker::check_unevaluated(const At& at, const Value& value, Violations& out, Unevaluated& mine) {
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

Verdict Checker::follow(const At& at, std::string_view reference, const Value& value, Unevaluated& mine) {
  const auto target = document_.resolve(at, std::string(reference));
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

const RE2& Checker::compiled(const std::string& pattern) {
  auto& slot = patterns_[pattern];
  if (!slot) {
    RE2::Options options;
    options.set_log_errors(false);
    slot = std::make_unique<RE2>(pattern, options);
  }
  return *slot;
}

std::string Checker::pattern_violation(const std::string& pattern) {
  const RE2& expression = compiled(pattern);
  return expression.ok() ? "" : "error parsing regexp: " + expression.error();
}

bool Checker::matches(const std::string& pattern, std::string_view text) {
  const RE2& expression = compiled(pattern);
  if (!expression.ok()) fail("invalid regex " + quoted(pattern) + ": " + expression.error());
  return expression.ok() && RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), expression);
}

}  // namespace caisson::render::helm::json_schema
