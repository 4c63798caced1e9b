// SPDX-License-Identifier: Apache-2.0
#include "security/policy/cel_match.h"

#include <algorithm>

namespace caisson::policy {
namespace {

bool names(const Value& list, std::string_view wanted) {
  return std::any_of(list.items().begin(), list.items().end(),
                     [&](const Value& item) { return item.as_string() == "*" || item.as_string() == wanted; });
}

// "pods", "pods/status", "*", "*/*", "pods/*", "*/status".
bool names_resource(const Value& list, const std::string& plural, const std::string& subresource) {
  return std::any_of(list.items().begin(), list.items().end(), [&](const Value& item) {
    const std::string_view text = item.as_string();
    const std::size_t slash = text.find('/');
    const std::string_view resource = text.substr(0, slash);
    const std::string_view sub = slash == std::string_view::npos ? std::string_view() : text.substr(slash + 1);
    if (resource != "*" && resource != plural) return false;
    return sub == subresource || sub == "*";
  });
}

bool rule_matches(const Value& rule, const Target& target, const std::string& plural) {
  if (!names(rule["apiGroups"], target.group) || !names(rule["apiVersions"], target.version)) return false;
  if (rule.contains("operations") && !names(rule["operations"], target.operation)) return false;
  if (!names_resource(rule["resources"], plural, target.subresource)) return false;
  if (rule["resourceNames"].empty()) return true;
  const std::string name = target.name();
  return std::any_of(rule["resourceNames"].items().begin(), rule["resourceNames"].items().end(),
                     [&](const Value& item) { return item.as_string() == name; });
}
bool any_rule(const Value& rules, const Target& target, const std::string& plural) {
  return std::any_of(rules.items().begin(), rules.items().end(),
                     [&](const Value& rule) { return rule_matches(rule, target, plural); });
}

bool says_something(const Value& selector) {
  return !selector["matchLabels"].empty() || !selector["matchExpressions"].empty();
}

}  // namespace

bool constraints_name(const Value& constraints, std::string_view group, std::string_view version,
                      std::string_view plural) {
  const Value& rules = constraints["resourceRules"];
  return std::any_of(rules.items().begin(), rules.items().end(), [&](const Value& rule) {
    return names(rule["apiGroups"], group) && names(rule["apiVersions"], version) &&
           names_resource(rule["resources"], std::string(plural), "");
  });
}

bool constraints_match(const Value& constraints, const Target& target, const std::string& plural) {
  const Value& ns = constraints["namespaceSelector"];
  if (says_something(ns)) {
    const bool is_namespace = target.kind == "Namespace" && target.group.empty();
    const Value& labels = is_namespace ? target.object["metadata"]["labels"] : target.namespace_labels;
    if ((is_namespace || !target.ns().empty()) && !labels_match(ns, labels)) return false;
  }
  if (says_something(constraints["objectSelector"]) &&
      !labels_match(constraints["objectSelector"], target.object["metadata"]["labels"]))
    return false;
  if (any_rule(constraints["excludeResourceRules"], target, plural)) return false;
  return constraints["resourceRules"].empty() || any_rule(constraints["resourceRules"], target, plural);
}

}  // namespace caisson::policy
