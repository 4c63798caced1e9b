// SPDX-License-Identifier: Apache-2.0
#include "security/policy/policy.h"

#include <algorithm>
#include <set>

#include "core/base/text.h"
#include "core/expr/jmespath/jmespath.h"
#include "core/expr/jmespath/wildcard.h"
#include "security/policy/autogen.h"
#include "security/policy/cel_checks.h"
#include "security/policy/operators.h"
#include "security/policy/variables.h"

namespace caisson::policy {
namespace {

Error invalid(std::string why) {
  return {ErrorCode::invalid, std::move(why)};
}

std::optional<FailureAction> action_in(const Value& value) {
  const std::string text = to_lower(value.as_string());
  if (text == "enforce") return FailureAction::enforce;
  if (text == "audit") return FailureAction::audit;
  return {};
}

std::vector<ActionOverride> overrides_in(const Value& list) {
  std::vector<ActionOverride> out;
  for (const Value& item : list.items()) {
    ActionOverride one;
    one.action = action_in(item["action"]).value_or(FailureAction::audit);
    one.namespace_selector = item["namespaceSelector"];
    for (const Value& ns : item["namespaces"].items()) one.namespaces.push_back(ns.str());
    out.push_back(std::move(one));
  }
  return out;
}

Result<void> check_condition(const Value& condition) {
  if (!parse_operator(condition["operator"].as_string()))
    return invalid("operator: \"" + condition["operator"].str() + "\" is not known");
  return {};
}
Result<void> check_text(std::string_view text) {
  for (const std::string_view variable : variables_in(text)) {
    std::string_view expression = trim(variable.substr(2, variable.size() - 4));
    if (expression.starts_with("-")) expression = trim(expression.substr(1));
    // What stands around an inner variable is whole only once that is substituted.
    if (text.size() != variable.size() && text.find("{{", text.find(variable) + 2) != std::string_view::npos) continue;
    if (expression == "@" || expression.find("{{") != std::string_view::npos) continue;
    const auto compiled = jmespath::Expression::compile(expression);
    if (!compiled.ok()) return invalid("variable " + std::string(variable) + ": " + compiled.error().message);
  }
  return {};
}
Result<void> check_variables(const Value& value) {
  if (value.is_string()) return check_text(value.as_string());
  for (const Value& item : value.items()) TRY(check_variables(item));
  for (const auto& entry : value.entries()) {
    TRY(check_text(entry.key));
    TRY(check_variables(entry.value).in(entry.key));
  }
  return {};
}

Result<void> check_loops(const Value& loops) {
  for (const Value& loop : loops.items()) {
    TRY(check_conditions(loop["preconditions"]).in("foreach.preconditions"));
    TRY(check_conditions(loop["deny"]["conditions"]).in("foreach.deny.conditions"));
    if (loop["foreach"].is_list()) TRY(check_loops(loop["foreach"]));
    const std::string_view list = loop["list"].as_string();
    if (list.find("{{") != std::string_view::npos) continue;
    const auto compiled = jmespath::Expression::compile(list);
    if (!compiled.ok()) return invalid("foreach.list: " + compiled.error().message);
  }
  return {};
}

Result<void> check_body(const Rule& rule) {
  if (rule.kind == RuleKind::validate) {
    TRY(check_conditions(rule.body["deny"]["conditions"]).in("validate.deny.conditions"));
    const Value& v = rule.body;
    const bool known = v.contains("pattern") || v.contains("anyPattern") || v.contains("deny") ||
                       v.contains("foreach") || v.contains("podSecurity") || v.contains("cel") ||
                       v.contains("assert") || v.contains("manifests");
    if (!known)
      return invalid("validate: needs one of pattern, anyPattern, deny, foreach, podSecurity, cel, assert, manifests");
  }
  if (rule.body["foreach"].is_list()) TRY(check_loops(rule.body["foreach"]));
  return check_variables(rule.body);
}

// The first that is there, in Kyverno's order.
Check check_of(const Value& body) {
  if (body["cel"].is_map()) return Check::cel;
  if (body.contains("assert")) return Check::assertion;
  if (body.contains("manifests")) return Check::manifests;
  if (body["podSecurity"].is_map()) return Check::pod_security;
  if (body["deny"].is_map()) return Check::deny;
  if (!body["pattern"].is_null()) return Check::pattern;
  if (body["anyPattern"].is_list()) return Check::any_pattern;
  return body["foreach"].is_list() ? Check::foreach : Check::none;
}

Result<CompiledBody> compile_body(const Value& body) {
  CompiledBody out{.check = check_of(body)};
  if (out.check == Check::assertion) out.assertion = TRY(Assertion::compile(body["assert"]).in("validate.assert"));
  if (out.check == Check::deny) out.deny = Conditions::compile(body["deny"]["conditions"]);
  if (out.check == Check::pattern && !has_variables(body["pattern"])) out.patterns.emplace_back(body["pattern"]);
  if (out.check == Check::any_pattern && !has_variables(body["anyPattern"]))
    for (const Value& pattern : body["anyPattern"].items()) out.patterns.emplace_back(pattern);
  for (const Value& loop : body["foreach"].items()) {
    auto inner = TRY(compile_body(loop));
    inner.preconditions = Conditions::compile(loop["preconditions"]);
    out.loops.push_back(std::move(inner));
  }
  return out;
}

Result<Rule> compile_rule(const Value& source) {
  Rule rule;
  rule.name = source["name"].str();
  int kinds = 0;
  const auto take = [&](const char* field, RuleKind kind) {
    if (!source.contains(field)) return;
    rule.kind = kind;
    rule.body = source[field];
    ++kinds;
  };
  take("verifyImages", RuleKind::verify_images);
  take("mutate", RuleKind::mutate);
  take("generate", RuleKind::generate);
  take("validate", RuleKind::validate);
  if (kinds == 0) return invalid("needs one of validate, mutate, generate, verifyImages");
  rule.match = TRY(parse_match(source["match"]).in("match"));
  if (rule.match.filters.empty()) return invalid("match: may not be empty");
  rule.exclude = TRY(parse_match(source["exclude"]).in("exclude"));
  rule.context = source["context"];
  rule.preconditions = source["preconditions"];
  rule.cel_preconditions = source["celPreconditions"];
  rule.image_extractors = source["imageExtractors"];
  TRY(check_conditions(rule.preconditions).in("preconditions"));
  rule.conditions = Conditions::compile(rule.preconditions);
  rule.action = action_in(rule.body["failureAction"]);
  rule.overrides = overrides_in(rule.body["failureActionOverrides"]);
  if (rule.kind == RuleKind::verify_images && rule.body.size() > 0)
    rule.action = action_in(rule.body[0]["failureAction"]);
  TRY(check_body(rule));
  if (rule.kind == RuleKind::validate) rule.check = TRY(compile_body(rule.body));
  if (rule.kind == RuleKind::validate && rule.body["cel"].is_map()) {
    const Value& cel = rule.body["cel"];
    auto checks = TRY(compile_checks(rule.cel_preconditions, cel["variables"], cel["expressions"]).in("validate.cel"));
    for (CelValidation& validation : checks.validations)
      if (validation.message.empty()) validation.message = rule.body["message"].str();
    rule.cel = std::make_shared<const CelChecks>(std::move(checks));
  }
  return rule;
}

bool any_namespace_fits(const ActionOverride& one, std::string_view ns) {
  return std::any_of(one.namespaces.begin(), one.namespaces.end(),
                     [&](const std::string& pattern) { return jmespath::wildcard_match(pattern, ns); });
}

std::optional<FailureAction> overridden(const std::vector<ActionOverride>& overrides, std::string_view ns,
                                        const Value& labels) {
  for (const ActionOverride& one : overrides) {
    const bool names = !one.namespaces.empty(), selects = one.namespace_selector.is_map();
    if (!names && !selects) continue;
    if (names && !any_namespace_fits(one, ns)) continue;
    if (selects && !labels_match(one.namespace_selector, labels)) continue;
    return one.action;
  }
  return {};
}

}  // namespace

Result<void> check_conditions(const Value& conditions) {
  if (conditions.is_list()) {
    for (const Value& item : conditions.items()) {
      if (item.contains("any") || item.contains("all"))
        TRY(check_conditions(item));
      else
        TRY(check_condition(item));
    }
    return {};
  }
  for (const char* list : {"any", "all"})
    for (const Value& condition : conditions[list].items()) TRY(check_condition(condition));
  return {};
}

std::string_view rule_kind_name(RuleKind kind) {
  switch (kind) {
    case RuleKind::mutate:
      return "Mutation";
    case RuleKind::generate:
      return "Generation";
    case RuleKind::verify_images:
      return "ImageVerify";
    default:
      return "Validation";
  }
}

bool is_policy(const Value& object) {
  const std::string_view kind = object["kind"].as_string();
  return object["apiVersion"].as_string().starts_with("kyverno.io/") && (kind == "ClusterPolicy" || kind == "Policy");
}

Result<Policy> compile_policy(const Value& object) {
  if (!is_policy(object)) return invalid(object["kind"].str() + " is no policy of kyverno.io");
  Policy policy;
  policy.api_version = object["apiVersion"].str();
  policy.kind = object["kind"].str();
  policy.name = object["metadata"]["name"].str();
  policy.ns = policy.kind == "Policy" ? object["metadata"]["namespace"].str() : "";
  if (policy.kind == "Policy" && policy.ns.empty()) policy.ns = "default";
  policy.object = object;
  const Value& spec = object["spec"];
  const Value& annotations = object["metadata"]["annotations"];
  policy.action = action_in(spec["validationFailureAction"]).value_or(FailureAction::audit);
  policy.overrides = overrides_in(spec["validationFailureActionOverrides"]);
  policy.admission = spec["admission"].as_bool(true);
  policy.background = spec["background"].as_bool(true);
  policy.apply_one_rule = spec["applyRules"].as_string() == "One";
  policy.failure_policy_ignore = spec["failurePolicy"].as_string() == "Ignore" ||
                                 spec["webhookConfiguration"]["failurePolicy"].as_string() == "Ignore";
  policy.scored = annotations["policies.kyverno.io/scored"].as_string() != "false";
  if (const Value& conditions = spec["webhookConfiguration"]["matchConditions"]; !conditions.empty())
    policy.match_conditions = std::make_shared<const CelChecks>(
        TRY(compile_checks(conditions, Value(), Value()).in("spec.webhookConfiguration")));
  std::set<std::string> names;
  const auto add = [&](const Value& source, bool generated) -> Result<void> {
    auto rule = TRY(compile_rule(source).in("spec.rules: rule " + source["name"].str()));
    rule.autogenerated = generated;
    if (!names.insert(rule.name).second) return invalid("spec.rules: two rules are named " + rule.name);
    policy.rule_kinds = static_cast<std::uint8_t>(policy.rule_kinds | 1 << static_cast<int>(rule.kind));
    policy.rule_keys.push_back({rule.match.kinds, rule.kind});
    policy.rules.push_back(std::move(rule));
    return {};
  };
  for (const Value& source : spec["rules"].items()) TRY(add(source, false));
  for (const Value& source : generated_rules(spec, annotations)) TRY(add(source, true));
  if (policy.rules.empty()) return invalid("spec.rules: may not be empty");
  return policy;
}

FailureAction action_of(const Policy& policy, const Rule& rule, std::string_view ns, const Value& namespace_labels) {
  if (const auto action = overridden(rule.overrides, ns, namespace_labels)) return *action;
  if (rule.action) return *rule.action;
  return overridden(policy.overrides, ns, namespace_labels).value_or(policy.action);
}

}  // namespace caisson::policy
