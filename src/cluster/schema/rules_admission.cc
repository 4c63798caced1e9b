// SPDX-License-Identifier: Apache-2.0
// ValidatingAdmissionPolicy, MutatingAdmissionPolicy and their bindings (pkg/apis/admissionregistration/validation of
// 1.33). What the expressions say is looked at by the API server's admission, which compiles them.
#include <algorithm>
#include <set>

#include "cluster/schema/checks.h"
#include "cluster/schema/rules.h"
#include "core/base/text.h"

namespace caisson::schema {
namespace {

using Errors = std::vector<FieldError>;
using Words = std::vector<std::string>;

constexpr std::size_t kConditionsMax = 64, kAnnotationsMax = 20, kAnnotationBytesMax = 5u << 10;

std::string at(const std::string& path, std::size_t index) {
  return path + "[" + std::to_string(index) + "]";
}

bool is_among(std::initializer_list<std::string_view> words, std::string_view text) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

bool has_line_break(std::string_view text) {
  return text.find_first_of("\n\r") != std::string_view::npos;
}

void check_named_rules(const Value& rules, const std::string& path, const Words& operations, Errors& out) {
  for (std::size_t i = 0; i < rules.size(); ++i) {
    std::set<std::string> names;
    for (std::size_t n = 0; n < rules[i]["resourceNames"].size(); ++n) {
      const Value& name = rules[i]["resourceNames"][n];
      const std::string where = at(at(path, i) + ".resourceNames", n);
      for (const std::string& why : check_path_segment(name.as_string()))
        out.push_back(invalid_value(where, name, why));
      if (!names.insert(name.str()).second) out.push_back(duplicate_value(where, name));
    }
    check_admission_rule(rules[i], at(path, i), out);
    for (std::size_t n = 0; n < rules[i]["operations"].size(); ++n)
      if (std::find(operations.begin(), operations.end(), rules[i]["operations"][n].as_string()) == operations.end())
        out.push_back(unsupported_value(at(at(path, i) + ".operations", n), rules[i]["operations"][n], operations));
    const Value& scope = rules[i]["scope"];
    if (!scope.is_null() && !is_among({"*", "Cluster", "Namespaced"}, scope.as_string()))
      out.push_back(unsupported_value(at(path, i) + ".scope", scope, {"*", "Cluster", "Namespaced"}));
  }
}

void check_match_resources(const Value& match, const std::string& path, const Words& operations, Errors& out) {
  check_label_selector(match["namespaceSelector"], path + ".namespaceSelector", out);
  check_label_selector(match["objectSelector"], path + ".objectSelector", out);
  check_named_rules(match["resourceRules"], path + ".resourceRules", operations, out);
  check_named_rules(match["excludeResourceRules"], path + ".excludeResourceRules", operations, out);
}

void check_param_kind(const Value& kind, const std::string& path, Errors& out) {
  if (kind.is_null()) return;
  const std::string_view version = kind["apiVersion"].as_string();
  if (version.empty()) {
    out.push_back(required_value(path + ".apiVersion"));
  } else if (std::count(version.begin(), version.end(), '/') > 1) {
    out.push_back(invalid_value(path + ".apiVersion", kind["apiVersion"],
                                "unexpected GroupVersion string: " + std::string(version)));
  } else {
    const std::size_t slash = version.find('/');
    const std::string_view group = slash == std::string_view::npos ? std::string_view() : version.substr(0, slash);
    const std::string_view own = slash == std::string_view::npos ? version : version.substr(slash + 1);
    if (!group.empty())
      for (const std::string& why : check_dns_subdomain(group))
        out.push_back(invalid_value(path + ".apiVersion", Value(group), why));
    if (own.empty())
      out.push_back(invalid_value(path + ".apiVersion", kind["apiVersion"], "version must be specified"));
    else
      for (const std::string& why : check_dns_1035_label(own))
        out.push_back(invalid_value(path + ".apiVersion", Value(own), why));
  }
  if (kind["kind"].as_string().empty()) {
    out.push_back(required_value(path + ".kind"));
    return;
  }
  for (const std::string& why : check_dns_1035_label(to_lower(kind["kind"].as_string())))
    out.push_back(
        invalid_value(path + ".kind", kind["kind"], "may have mixed case, but should otherwise match: " + why));
}

void check_conditions(const Value& conditions, const std::string& path, Errors& out) {
  if (conditions.size() > kConditionsMax)
    out.push_back({FieldError::Type::too_many, path, Value(static_cast<std::int64_t>(conditions.size())),
                   "must have at most " + std::to_string(kConditionsMax) + " items"});
  std::set<std::string> names;
  for (std::size_t i = 0; i < conditions.size(); ++i) {
    const Value& name = conditions[i]["name"];
    if (trim(conditions[i]["expression"].as_string()).empty())
      out.push_back(required_value(at(path, i) + ".expression"));
    if (name.as_string().empty()) {
      out.push_back(required_value(at(path, i) + ".name"));
      continue;
    }
    for (const std::string& why : check_qualified_name(name.as_string()))
      out.push_back(invalid_value(at(path, i) + ".name", name, why));
    if (!names.insert(name.str()).second) out.push_back(duplicate_value(at(path, i) + ".name", name));
  }
}

bool is_cel_identifier(std::string_view name) {
  static constexpr std::string_view kReserved[] = {
      "true", "false",  "null", "in",   "as",      "break",     "const",  "continue", "else", "for",  "function",
      "if",   "import", "let",  "loop", "package", "namespace", "return", "var",      "void", "while"};
  const auto letter = [](char c) { return std::isalpha(static_cast<unsigned char>(c)) || c == '_'; };
  if (name.empty() || !letter(name[0])) return false;
  for (const char c : name)
    if (!letter(c) && !std::isdigit(static_cast<unsigned char>(c))) return false;
  return std::find(std::begin(kReserved), std::end(kReserved), name) == std::end(kReserved);
}

void check_variables(const Value& variables, const std::string& path, Errors& out) {
  for (std::size_t i = 0; i < variables.size(); ++i) {
    const Value& name = variables[i]["name"];
    if (trim(name.as_string()).empty())
      out.push_back(required_value(at(path, i) + ".name", "name is not specified"));
    else if (!is_cel_identifier(name.as_string()))
      out.push_back(invalid_value(at(path, i) + ".name", name, "name is not a valid CEL identifier"));
    if (trim(variables[i]["expression"].as_string()).empty())
      out.push_back(required_value(at(path, i) + ".expression", "expression is not specified"));
  }
}

void check_validation(const Value& validation, const std::string& path, Errors& out) {
  const std::string_view expression = trim(validation["expression"].as_string());
  const std::string_view message = trim(validation["message"].as_string());
  const Value& message_expression = validation["messageExpression"];
  if (expression.empty()) out.push_back(required_value(path + ".expression", "expression is not specified"));
  if (!message_expression.as_string().empty() && trim(message_expression.as_string()).empty())
    out.push_back(invalid_value(path + ".messageExpression", message_expression, "must be non-empty if specified"));
  if (!validation["message"].as_string().empty() && message.empty())
    out.push_back(invalid_value(path + ".message", validation["message"], "message must be non-empty if specified"));
  else if (has_line_break(message))
    out.push_back(invalid_value(path + ".message", validation["message"], "message must not contain line breaks"));
  else if (has_line_break(expression) && message.empty())
    out.push_back(required_value(path + ".message", "message must be specified if expression contains line breaks"));
  const Value& reason = validation["reason"];
  if (!reason.is_null() && !is_among({"Forbidden", "Invalid", "RequestEntityTooLarge"}, reason.as_string()))
    out.push_back(unsupported_value(path + ".reason", reason, {"Forbidden", "Invalid", "RequestEntityTooLarge"}));
}

void check_annotations(const Value& object, const std::string& path, Errors& out) {
  const Value& annotations = object["spec"]["auditAnnotations"];
  if (annotations.size() > kAnnotationsMax)
    out.push_back(invalid_value(path, annotations,
                                "must not have more than " + std::to_string(kAnnotationsMax) + " auditAnnotations"));
  std::set<std::string> keys;
  for (std::size_t i = 0; i < annotations.size(); ++i) {
    const Value& key = annotations[i]["key"];
    const std::string name = object["metadata"]["name"].str();
    if (name.empty())
      out.push_back(invalid_value(at(path, i) + ".key", key, "requires metadata.name be non-empty"));
    else
      for (const std::string& why : check_qualified_name(name + "/" + key.str()))
        out.push_back(invalid_value(at(path, i) + ".key", Value(name + "/" + key.str()), why));
    const std::string_view value = trim(annotations[i]["valueExpression"].as_string());
    if (value.empty())
      out.push_back(required_value(at(path, i) + ".valueExpression", "valueExpression is not specified"));
    else if (value.size() > kAnnotationBytesMax)
      out.push_back(required_value(at(path, i) + ".valueExpression", "must not exceed 5120 bytes in length"));
    if (!keys.insert(key.str()).second) out.push_back(duplicate_value(at(path, i) + ".key", key));
  }
}

void check_mutation(const Value& mutation, const std::string& path, Errors& out) {
  const Value& type = mutation["patchType"];
  if (type.as_string().empty()) {
    out.push_back(required_value(path + ".patchType"));
    return;
  }
  if (!is_among({"ApplyConfiguration", "JSONPatch"}, type.as_string())) {
    out.push_back(unsupported_value(path + ".patchType", type, {"ApplyConfiguration", "JSONPatch"}));
    return;
  }
  const bool applies = type.as_string() == "ApplyConfiguration";
  const std::string own = applies ? "applyConfiguration" : "jsonPatch",
                    other = applies ? "jsonPatch" : "applyConfiguration";
  if (!mutation[own].is_map())
    out.push_back(required_value(path + "." + own, "must be specified when patchType is " + type.str()));
  else if (trim(mutation[own]["expression"].as_string()).empty())
    out.push_back(required_value(path + "." + own + ".expression"));
  if (mutation[other].is_map())
    out.push_back(invalid_value(path + "." + other, Value("{" + other + "}"),
                                "must not be specified when patchType is " + type.str()));
}

// What both kinds of policies have.
void check_policy_spec(const Value& spec, const Words& operations, Errors& out) {
  check_param_kind(spec["paramKind"], "spec.paramKind", out);
  const Value& match = spec["matchConstraints"];
  if (match.is_map()) {
    check_match_resources(match, "spec.matchConstraints", operations, out);
    if (match["resourceRules"].empty()) out.push_back(required_value("spec.matchConstraints.resourceRules"));
  } else {
    out.push_back(required_value("spec.matchConstraints"));
  }
  check_conditions(spec["matchConditions"], "spec.matchConditions", out);
  check_variables(spec["variables"], "spec.variables", out);
}

Words all_operations() {
  return {"*", "CONNECT", "CREATE", "DELETE", "UPDATE"};
}
Words mutating_operations() {  // there is nothing to change in what goes
  return {"*", "CONNECT", "CREATE", "UPDATE"};
}

void check_binding_spec(const Value& spec, const Words& operations, Errors& out) {
  if (spec["policyName"].as_string().empty()) {
    out.push_back(required_value("spec.policyName"));
  } else {
    for (const std::string& why : check_dns_subdomain(spec["policyName"].as_string()))
      out.push_back(invalid_value("spec.policyName", spec["policyName"], why));
  }
  if (const Value& reference = spec["paramRef"]; reference.is_map()) {
    const Value &name = reference["name"], &selector = reference["selector"];
    constexpr std::string_view kBoth = "name and selector are mutually exclusive";
    if (!name.as_string().empty())
      for (const std::string& why : check_path_segment(name.as_string()))
        out.push_back(invalid_value("spec.paramRef.name", name, why));
    if (!name.as_string().empty() && selector.is_map()) {
      out.push_back(forbidden_value("spec.paramRef.name", std::string(kBoth)));
      out.push_back(forbidden_value("spec.paramRef.selector", std::string(kBoth)));
    }
    if (selector.is_map()) check_label_selector(selector, "spec.paramRef.selector", out);
    if (name.as_string().empty() && !selector.is_map())
      out.push_back(required_value("spec.paramRef", "one of name or selector must be specified"));
    const Value& action = reference["parameterNotFoundAction"];
    if (action.as_string().empty())
      out.push_back(required_value("spec.paramRef.parameterNotFoundAction"));
    else if (!is_among({"Allow", "Deny"}, action.as_string()))
      out.push_back(unsupported_value("spec.paramRef.parameterNotFoundAction", action, {"Deny", "Allow"}));
  }
  check_match_resources(spec["matchResources"], "spec.matchResouces", operations, out);  // upstream's spelling
}

}  // namespace

void check_admission_rule(const Value& rule, const std::string& path, Errors& out) {
  for (const char* list : {"apiGroups", "apiVersions", "resources"})
    if (rule[list].empty()) out.push_back(required_value(path + "." + list));
  if (rule["operations"].empty()) out.push_back(required_value(path + ".operations"));
  const auto star_among = [](const Value& list) {
    for (const Value& one : list.items())
      if (one.as_string() == "*") return list.size() > 1;
    return false;
  };
  for (const auto& [list, others] : {std::pair<std::string_view, std::string_view>{"operations", "operations"},
                                     {"apiGroups", "API groups"},
                                     {"apiVersions", "API versions"}}) {
    if (!star_among(rule[list])) continue;
    Value shown = rule[list];
    if (list == "operations")
      shown = go_value("[]admissionregistration.OperationType{" + std::to_string(shown.size()) + "}");
    out.push_back(invalid_value(path + "." + std::string(list), shown,
                                "if '*' is present, must not specify other " + std::string(others)));
  }
  const Value& resources = rule["resources"];
  for (const Value& resource : resources.items())
    if (resource.as_string() == "*/*" && resources.size() > 1)
      out.push_back(
          invalid_value(path + ".resources", resources, "if '*/*' is present, must not specify other resources"));
}

void check_validating_policy(const Value& object, Errors& out) {
  const Value& spec = object["spec"];
  check_policy_spec(spec, all_operations(), out);
  if (spec["validations"].empty() && spec["auditAnnotations"].empty()) {
    for (const char* field : {"spec.validations", "spec.auditAnnotations"})
      out.push_back(required_value(field, "validations or auditAnnotations must contain at least one item"));
    return;
  }
  for (std::size_t i = 0; i < spec["validations"].size(); ++i)
    check_validation(spec["validations"][i], at("spec.validations", i), out);
  check_annotations(object, "spec.auditAnnotations", out);
}

void check_validating_binding(const Value& object, Errors& out) {
  const Value& spec = object["spec"];
  check_binding_spec(spec, all_operations(), out);
  const Value& actions = spec["validationActions"];
  std::set<std::string> seen;
  for (std::size_t i = 0; i < actions.size(); ++i) {
    if (!is_among({"Audit", "Deny", "Warn"}, actions[i].as_string()))
      out.push_back(unsupported_value(at("spec.validationActions", i), actions[i], {"Audit", "Deny", "Warn"}));
    if (!seen.insert(actions[i].str()).second)
      out.push_back(duplicate_value(at("spec.validationActions", i), actions[i]));
  }
  if (seen.contains("Deny") && seen.contains("Warn"))
    out.push_back(invalid_value("spec.validationActions", actions,
                                "must not contain both Deny and Warn (repeating the same validation failure "
                                "information in the API response and headers serves no purpose)"));
  if (seen.empty())
    out.push_back(required_value("spec.validationActions", "at least one validation action is required"));
}

void check_mutating_policy(const Value& object, Errors& out) {
  const Value& spec = object["spec"];
  check_policy_spec(spec, mutating_operations(), out);
  if (spec["mutations"].empty())
    out.push_back(required_value("spec.mutations", "mutations must contain at least one item"));
  for (std::size_t i = 0; i < spec["mutations"].size(); ++i)
    check_mutation(spec["mutations"][i], at("spec.mutations", i), out);
}

void check_mutating_binding(const Value& object, Errors& out) {
  check_binding_spec(object["spec"], mutating_operations(), out);
}

}  // namespace caisson::schema
