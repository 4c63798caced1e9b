// SPDX-License-Identifier: Apache-2.0
// Argo CD's policy language: lines "p, WHO, RESOURCE, ACTION, OBJECT, allow|deny" and "g, WHO, ROLE", as argocd-rbac-cm
// and the roles of AppProjects have them. Follows Argo CD 3.0 util/rbac and its built-in policy. Pure; any thread.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::gitops {

struct RbacPolicy {
  struct Rule {
    std::string who, resource, action, object;
    bool allow = true;
    bool operator==(const Rule&) const = default;
  };
  struct Membership {
    std::string who, role;
    bool operator==(const Membership&) const = default;
  };
  std::vector<Rule> rules;
  std::vector<Membership> memberships;
  void add(const RbacPolicy& other);
  bool operator==(const RbacPolicy&) const = default;
};

// Policies that hold together (argocd-rbac-cm, a project); `regex`: rules match by regular expressions instead of
// globs, in which "*" passes "/".
struct RbacPolicies {
  std::vector<const RbacPolicy*> parts;
  bool regex = false;

  // Some rule of `who`, or of a role that it has, allows, and none denies.
  bool allow(std::string_view who, std::string_view resource, std::string_view action, std::string_view object) const;
  // Some rule allows it for some object.
  bool allow_somewhere(std::string_view who, std::string_view resource, std::string_view action) const;
};

// Errors: invalid, with the line. Blank lines and lines that begin with "#" say nothing.
Result<RbacPolicy> parse_rbac_policy(std::string_view csv);
// role:readonly, role:admin and the user admin, who has the latter.
const RbacPolicy& built_in_rbac_policy();

// One line of a role of a project, which may speak of that project alone. Errors: invalid.
Result<RbacPolicy::Rule> parse_project_rule(const std::string& project, const std::string& role, std::string_view line);
// What the roles of an AppProject give; a line that can't be gives nothing.
RbacPolicy project_rbac_policy(const Value& project);
// Names of roles: letters, digits, "-", "_" and "." between them. Errors: invalid.
Result<void> check_role_name(std::string_view name);

// "proj:PROJECT:ROLE", the name of who shows a token of that role.
std::string project_role_subject(const std::string& project, const std::string& role);

}  // namespace caisson::gitops
