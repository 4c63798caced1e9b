// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/rbac_policy.h"

#include <fnmatch.h>
#include <re2/re2.h>

#include <algorithm>

#include "core/base/text.h"

namespace caisson::gitops {
namespace {

constexpr std::size_t kRulesMax = 10'000;
constexpr std::size_t kPatternMax = 512;  // bytes
constexpr int kBracesMax = 4;             // "{a,b}" in one pattern
constexpr std::size_t kRolesMax = 100;    // that one subject has, one through another

bool glob_matches(const std::string& pattern, const std::string& text, int braces = 0) {
  const std::size_t open = pattern.find('{'), close = pattern.find('}', open);
  if (open == std::string::npos || close == std::string::npos || braces == kBracesMax)
    return fnmatch(pattern.c_str(), text.c_str(), 0) == 0;
  for (const std::string_view one : split(std::string_view(pattern).substr(open + 1, close - open - 1), ','))
    if (glob_matches(pattern.substr(0, open) + std::string(one) + pattern.substr(close + 1), text, braces + 1))
      return true;
  return false;
}

bool regex_matches(const std::string& pattern, std::string_view text) {
  RE2::Options options;
  options.set_log_errors(false);
  const RE2 expression(pattern, options);
  return expression.ok() && RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), expression);
}

// Fields of a line of CSV; one in quotes may hold commas.
std::vector<std::string> fields_of(std::string_view line) {
  std::vector<std::string> fields;
  for (;;) {
    line = trim(line);
    const bool quoted = line.starts_with('"') && line.find('"', 1) != std::string_view::npos;
    const auto end = line.find(',', quoted ? line.find('"', 1) : 0);
    const std::string_view field = trim(line.substr(0, end));
    fields.emplace_back(quoted ? field.substr(1, field.rfind('"') - 1) : field);
    if (end == std::string_view::npos) return fields;
    line.remove_prefix(end + 1);
  }
}

Result<void> add_line(std::string_view line, RbacPolicy& policy) {
  const std::vector<std::string> fields = fields_of(line);
  for (const std::string& field : fields) {
    if (field.empty()) return Error{ErrorCode::invalid, "a field is empty"};
    if (field.size() > kPatternMax) return Error{ErrorCode::invalid, "a field is too long"};
  }
  if (fields[0] == "g") {
    if (fields.size() != 3) return Error{ErrorCode::invalid, "\"g\" has two fields: who, and the role"};
    policy.memberships.push_back({fields[1], fields[2]});
    return {};
  }
  if (fields[0] != "p") return Error{ErrorCode::invalid, "a line begins with \"p\" or \"g\", not " + fields[0]};
  if (fields.size() != 6)
    return Error{ErrorCode::invalid, "\"p\" has five fields: who, resource, action, object, allow or deny"};
  if (fields[5] != "allow" && fields[5] != "deny")
    return Error{ErrorCode::invalid, "the effect is allow or deny, not " + fields[5]};
  policy.rules.push_back({fields[1], fields[2], fields[3], fields[4], fields[5] == "allow"});
  return {};
}

// `who` and every role that it has, one through another.
std::vector<std::string_view> roles_of(const RbacPolicies& policies, std::string_view who) {
  std::vector<std::string_view> roles{who};
  for (std::size_t i = 0; i < roles.size() && roles.size() < kRolesMax; ++i)
    for (const RbacPolicy* policy : policies.parts)
      for (const auto& [member, role] : policy->memberships)
        if (member == roles[i] && std::find(roles.begin(), roles.end(), role) == roles.end()) roles.push_back(role);
  return roles;
}

bool matches(const RbacPolicies& policies, const std::string& pattern, std::string_view text) {
  if (policies.regex) return regex_matches(pattern, text);
  return pattern == "*" || pattern == text || glob_matches(pattern, std::string(text));
}

// Calls `call` with each rule of one of `roles` about the action, until it gives false.
template <class Call>
void each_rule(const RbacPolicies& policies, std::string_view who, std::string_view resource, std::string_view action,
               const Call& call) {
  const auto roles = roles_of(policies, who);
  for (const RbacPolicy* policy : policies.parts)
    for (const RbacPolicy::Rule& rule : policy->rules)
      if (std::find(roles.begin(), roles.end(), rule.who) != roles.end() &&
          matches(policies, rule.resource, resource) && matches(policies, rule.action, action) && !call(rule))
        return;
}

bool is_name(std::string_view text, std::string_view between) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); };
  return !text.empty() && plain(text.front()) && plain(text.back()) &&
         std::all_of(text.begin(), text.end(), [&](char c) { return plain(c) || between.find(c) != between.npos; });
}

}  // namespace

bool RbacPolicies::allow(std::string_view who, std::string_view resource, std::string_view action,
                         std::string_view object) const {
  bool allowed = false;
  each_rule(*this, who, resource, action, [&](const RbacPolicy::Rule& rule) {
    if (!matches(*this, rule.object, object)) return true;
    allowed = rule.allow;
    return allowed;  // a denial is the last word
  });
  return allowed;
}

bool RbacPolicies::allow_somewhere(std::string_view who, std::string_view resource, std::string_view action) const {
  bool allowed = false;
  each_rule(*this, who, resource, action, [&](const RbacPolicy::Rule& rule) {
    allowed = rule.allow;
    return !allowed;
  });
  return allowed;
}

void RbacPolicy::add(const RbacPolicy& other) {
  rules.insert(rules.end(), other.rules.begin(), other.rules.end());
  memberships.insert(memberships.end(), other.memberships.begin(), other.memberships.end());
}

Result<RbacPolicy> parse_rbac_policy(std::string_view csv) {
  RbacPolicy policy;
  int number = 0;
  for (std::string_view line : split(csv, '\n')) {
    ++number;
    line = trim(line);
    if (line.empty() || line.front() == '#') continue;
    TRY(add_line(line, policy).in("line " + std::to_string(number)));
    if (policy.rules.size() + policy.memberships.size() > kRulesMax)
      return Error{ErrorCode::invalid, "more than " + std::to_string(kRulesMax) + " lines"};
  }
  return policy;
}

const RbacPolicy& built_in_rbac_policy() {
  static const RbacPolicy policy = [] {
    RbacPolicy made;
    const auto give = [&](const char* role, const char* object, const char* resource,
                          std::initializer_list<const char*> actions) {
      for (const char* action : actions) made.rules.push_back({role, resource, action, object});
    };
    for (const char* resource : {"applications", "applicationsets", "logs"})
      give("role:readonly", "*/*", resource, {"get"});
    for (const char* resource :
         {"certificates", "clusters", "repositories", "write-repositories", "projects", "accounts", "gpgkeys"})
      give("role:readonly", "*", resource, {"get"});
    give("role:admin", "*/*", "applications",
         {"create", "update", "update/*", "delete", "delete/*", "sync", "rollback", "override", "action/*"});
    give("role:admin", "*/*", "applicationsets", {"get", "create", "update", "delete"});
    for (const char* resource : {"certificates", "clusters", "repositories", "write-repositories", "projects"})
      give("role:admin", "*", resource, {"create", "update", "delete"});
    give("role:admin", "*", "accounts", {"update"});
    give("role:admin", "*", "gpgkeys", {"create", "delete"});
    give("role:admin", "*/*", "exec", {"create", "debug"});
    made.memberships = {{"role:admin", "role:readonly"}, {"admin", "role:admin"}};
    return made;
  }();
  return policy;
}

Result<RbacPolicy::Rule> parse_project_rule(const std::string& project, const std::string& role,
                                            std::string_view line) {
  static constexpr std::string_view kResources[] = {
      "applications", "applicationsets", "repositories", "clusters", "logs", "exec"};
  const auto wrong = [&](const std::string& why) {
    return Error{ErrorCode::invalid, "policy \"" + std::string(line) + "\": " + why};
  };
  const auto parsed = parse_rbac_policy(line);
  if (!parsed.ok()) return wrong(parsed.error().message);
  if (parsed->rules.size() != 1 || !parsed->memberships.empty()) return wrong("it has to be one line of \"p\"");
  const RbacPolicy::Rule& rule = parsed->rules[0];
  if (rule.who != project_role_subject(project, role))
    return wrong("it has to speak of " + project_role_subject(project, role));
  if (std::find(std::begin(kResources), std::end(kResources), rule.resource) == std::end(kResources))
    return wrong("\"" + rule.resource + "\" is nothing that belongs to a project");
  const auto slash = rule.object.find('/');
  if (rule.object.substr(0, slash) != project || slash == std::string::npos)
    return wrong("its object has to be " + project + "/NAME or " + project + "/*");
  return rule;
}

RbacPolicy project_rbac_policy(const Value& project) {
  RbacPolicy policy;
  const std::string name = project["metadata"]["name"].str();
  for (const Value& role : project["spec"]["roles"].items()) {
    const std::string who = project_role_subject(name, role["name"].str());
    policy.rules.push_back({who, "projects", "get", name});
    for (const Value& line : role["policies"].items())
      if (auto rule = parse_project_rule(name, role["name"].str(), line.as_string()); rule.ok())
        policy.rules.push_back(std::move(rule).value());
    for (const Value& group : role["groups"].items()) policy.memberships.push_back({group.str(), who});
  }
  return policy;
}

Result<void> check_role_name(std::string_view name) {
  if (is_name(name, "-_.")) return {};
  return Error{ErrorCode::invalid,
               "role name \"" + std::string(name) + "\": letters and digits, with \"-\", \"_\" and \".\" between them"};
}

std::string project_role_subject(const std::string& project, const std::string& role) {
  return "proj:" + project + ":" + role;
}

}  // namespace caisson::gitops
