// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/audit_policy.h"

#include <algorithm>
#include <array>

#include "core/base/check.h"
#include "core/base/text.h"
#include "core/document/yaml.h"

namespace caisson::apiserver {
namespace {

using schema::FieldError;
using Type = FieldError::Type;

constexpr std::array<std::string_view, 4> kLevels = {"None", "Metadata", "Request", "RequestResponse"};
constexpr std::array<std::string_view, 4> kStages = {"RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"};

constexpr std::string_view kStandard = R"yaml(
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
- {level: None, nonResourceURLs: ["/healthz*", "/livez*", "/readyz*", "/version", "/openapi*", "/api", "/api/*", "/apis", "/apis/*"]}
- {level: None, userGroups: ["system:nodes"]}
- {level: None, resources: [{group: "", resources: [events]}, {group: events.k8s.io, resources: [events]}, {group: coordination.k8s.io, resources: [leases]}]}
- {level: None, resources: [{group: authorization.k8s.io}]}
- {level: Metadata, resources: [{group: "", resources: [secrets, serviceaccounts/token]}, {group: authentication.k8s.io}]}
- {level: Metadata, resources: [{group: "", resources: [pods/exec, pods/attach, pods/portforward, pods/ephemeralcontainers]}]}
- level: RequestResponse
  verbs: [delete, deletecollection]
  resources:
  - {group: kyverno.io}
  - {group: policies.kyverno.io}
  - {group: admissionregistration.k8s.io}
  - {group: rbac.authorization.k8s.io}
  - {group: networking.k8s.io, resources: [networkpolicies]}
- {level: None, verbs: [get, list, watch]}
- {level: Metadata}
)yaml";

bool holds(const std::vector<std::string>& list, std::string_view wanted) {
  return std::find(list.begin(), list.end(), wanted) != list.end();
}

std::vector<std::string> texts(const Value& list) {
  std::vector<std::string> out;
  for (const Value& item : list.items()) out.push_back(item.str());
  return out;
}

template <std::size_t N>
std::optional<unsigned> index_of(const std::array<std::string_view, N>& names, std::string_view name) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) return std::nullopt;
  return static_cast<unsigned>(found - names.begin());
}

std::string all_of(std::span<const std::string_view> names) {
  std::vector<std::string> quoted;
  for (const std::string_view name : names) quoted.push_back("\"" + std::string(name) + "\"");
  return "supported values: " + join(quoted, ", ");
}

unsigned stages_of(const Value& list, const std::string& path, std::vector<FieldError>& errors) {
  unsigned bits = 0;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const auto stage = index_of(kStages, list[i].as_string());
    if (stage)
      bits |= 1u << *stage;
    else
      errors.push_back({Type::not_supported, path + "[" + std::to_string(i) + "]", list[i], all_of(kStages)});
  }
  return bits;
}

// A misspelt key would silently be a rule that matches more than was meant.
void check_keys(const Value& map, const std::string& path, std::initializer_list<std::string_view> known,
                std::vector<FieldError>& errors) {
  for (const auto& [key, value] : map.entries()) {
    if (std::find(known.begin(), known.end(), key) == known.end())
      errors.push_back(
          {Type::forbidden, path.empty() ? std::string(key) : path + "." + std::string(key), {}, "unknown field"});
  }
}

bool path_matches(std::string_view pattern, std::string_view path) {
  if (pattern == "*") return true;
  if (pattern.ends_with('*')) return path.starts_with(pattern.substr(0, pattern.size() - 1));
  return path == pattern;
}

// "pods", "pods/log", "pods/*", "*/status", "*".
bool resource_matches(std::string_view pattern, const Request& request) {
  if (pattern == "*") return true;
  const std::size_t slash = pattern.find('/');
  const std::string_view resource = pattern.substr(0, slash);
  if (slash == std::string_view::npos) return resource == request.plural && request.subresource.empty();
  const std::string_view subresource = pattern.substr(slash + 1);
  if (request.subresource.empty()) return false;
  return (resource == "*" || resource == request.plural) && (subresource == "*" || subresource == request.subresource);
}

}  // namespace

std::string_view audit_level_name(AuditLevel level) {
  return kLevels[static_cast<std::size_t>(level)];
}
std::string_view audit_stage_name(AuditStage stage) {
  return kStages[static_cast<std::size_t>(stage)];
}

Result<AuditPolicy> AuditPolicy::parse(const Value& policy) {
  std::vector<FieldError> errors;
  if (policy["apiVersion"].as_string() != "audit.k8s.io/v1" || policy["kind"].as_string() != "Policy")
    return Error{ErrorCode::invalid, "audit policy: apiVersion audit.k8s.io/v1 and kind Policy are expected"};
  check_keys(policy, "", {"apiVersion", "kind", "metadata", "rules", "omitStages", "omitManagedFields"}, errors);
  const unsigned omitted = stages_of(policy["omitStages"], "omitStages", errors);
  if (policy["rules"].empty())
    return Error{ErrorCode::invalid, "audit policy: rules: Required value: a policy without rules records nothing"};
  AuditPolicy out;
  for (std::size_t i = 0; i < policy["rules"].size(); ++i) {
    const Value& from = policy["rules"][i];
    const std::string path = "rules[" + std::to_string(i) + "]";
    check_keys(from, path,
               {"level", "users", "userGroups", "verbs", "resources", "namespaces", "nonResourceURLs", "omitStages",
                "omitManagedFields"},
               errors);
    Rule rule{.users = texts(from["users"]),
              .groups = texts(from["userGroups"]),
              .verbs = texts(from["verbs"]),
              .namespaces = texts(from["namespaces"]),
              .paths = texts(from["nonResourceURLs"])};
    const auto level = index_of(kLevels, from["level"].as_string());
    if (level)
      rule.decision.level = static_cast<AuditLevel>(*level);
    else
      errors.push_back({from["level"].is_null() ? Type::required : Type::not_supported, path + ".level", from["level"],
                        all_of(kLevels)});
    rule.decision.omitted_stages = omitted | stages_of(from["omitStages"], path + ".omitStages", errors);
    rule.decision.omit_managed_fields = from["omitManagedFields"].as_bool(policy["omitManagedFields"].as_bool());
    for (std::size_t j = 0; j < from["resources"].size(); ++j) {
      const Value& resources = from["resources"][j];
      const std::string where = path + ".resources[" + std::to_string(j) + "]";
      check_keys(resources, where, {"group", "resources", "resourceNames"}, errors);
      if (!resources["resourceNames"].empty() && resources["resources"].empty())
        errors.push_back({Type::invalid, where + ".resourceNames", resources["resourceNames"],
                          "using resourceNames requires at least one resource"});
      rule.resources.push_back(
          {resources["group"].str(), texts(resources["resources"]), texts(resources["resourceNames"])});
    }
    if (!rule.paths.empty() && (!rule.resources.empty() || !rule.namespaces.empty()))
      errors.push_back({Type::invalid, path + ".nonResourceURLs", from["nonResourceURLs"],
                        "rules cannot apply to both regular resources and non-resource URLs"});
    for (const std::string& one : rule.paths) {
      if (one != "*" && !one.starts_with('/'))
        errors.push_back({Type::invalid, path + ".nonResourceURLs", Value(one),
                          "non-resource URL rules must begin with a '/' character"});
      if (const std::size_t star = one.find('*'); star != std::string::npos && star + 1 != one.size())
        errors.push_back({Type::invalid, path + ".nonResourceURLs", Value(one),
                          "non-resource URL wildcards '*' must be the final character of the rule"});
    }
    out.rules_.push_back(std::move(rule));
  }
  if (errors.empty()) return out;
  std::vector<std::string> said;
  for (const FieldError& error : errors) said.push_back(error.str());
  return Error{ErrorCode::invalid, "audit policy: " + join(said, "; ")};
}

AuditPolicy AuditPolicy::standard() {
  const auto document = yaml::read(kStandard);
  CHECK(document.ok());  // a constant, read in a test
  auto policy = parse(*document);
  CHECK(policy.ok());
  return std::move(policy).value();
}

bool AuditPolicy::Rule::matches_resource(const Request& request) const {
  if (!namespaces.empty() && !holds(namespaces, request.ns)) return false;
  if (resources.empty()) return true;
  return std::any_of(resources.begin(), resources.end(), [&](const Resources& one) {
    if (one.group != request.group) return false;
    if (one.resources.empty()) return true;
    const bool named = one.names.empty() || holds(one.names, request.name);
    return named && std::any_of(one.resources.begin(), one.resources.end(),
                                [&](const std::string& pattern) { return resource_matches(pattern, request); });
  });
}

bool AuditPolicy::Rule::matches(const Request& request, const User& user) const {
  if (!users.empty() && !holds(users, user.name)) return false;
  if (!groups.empty() && std::none_of(groups.begin(), groups.end(), [&](const auto& g) { return user.in_group(g); }))
    return false;
  if (!verbs.empty() && !holds(verbs, request.verb)) return false;
  if (!namespaces.empty() || !resources.empty()) return request.is_resource && matches_resource(request);
  if (paths.empty()) return true;
  return !request.is_resource && std::any_of(paths.begin(), paths.end(), [&](const std::string& pattern) {
    return path_matches(pattern, request.path);
  });
}

AuditPolicy::Decision AuditPolicy::decide(const Request& request, const User& user) const {
  for (const Rule& rule : rules_)
    if (rule.matches(request, user)) return rule.decision;
  return {};
}

}  // namespace caisson::apiserver
