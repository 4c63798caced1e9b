// SPDX-License-Identifier: Apache-2.0
// Authorizer: may this user do this? RBAC (rbac.authorization.k8s.io/v1) over the store's roles and bindings;
// system:masters may do all. Where RBAC says no, other rules are asked (access_rules.h). Follows
// plugin/pkg/auth/authorizer/rbac of Kubernetes 1.33. Threads: any. What it compiled is made again when a role changed.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "cluster/apiserver/attributes.h"
#include "cluster/apiserver/request.h"
#include "cluster/apiserver/user.h"

namespace caisson::apiserver {

class AccessRules;

struct PolicyRule {
  std::vector<std::string> verbs, groups, resources, names, paths;
  static PolicyRule parse(const Value& rule);
  bool allows(const Attributes& attributes) const;
  std::string str() const;  // as upstream prints it: {APIGroups:[""], Resources:["pods"], Verbs:["get"]}
  Value to_value() const;
};
using PolicyRules = std::vector<PolicyRule>;

class Authorizer {
 public:
  explicit Authorizer(store::Store& store, std::vector<std::shared_ptr<const AccessRules>> others = {});
  ~Authorizer();

  struct Decision {
    bool allowed = false;
    std::string reason;               // of an allowed one: the binding
    const AccessRules* by = nullptr;  // not RBAC but these: they look at the change, too
  };
  Decision decide(const User& user, const Attributes& attributes) const;
  // All rules that hold for `user` in `ns` (empty: only those of the cluster).
  PolicyRules rules_of(const User& user, std::string_view ns) const;
  // Rules of a role reference in `ns`; empty when it does not exist.
  bool has_role(std::string_view kind, std::string_view name, std::string_view ns) const;
  PolicyRules rules_of_role(std::string_view kind, std::string_view name, std::string_view ns) const;
  // What of `wanted` none of `held` gives, broken down to the smallest rules that are missing.
  static PolicyRules missing(const PolicyRules& held, const PolicyRules& wanted);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The error of a refused request, in Kubernetes' words.
Error refusal(Request& request, const Attributes& attributes, std::string_view reason = {});
Attributes attributes_of(const Request& request);
// Writing a role or binding needs what it grants (escalation prevention), or the verb escalate or bind. A null `object`
// is fine.
Result<void> check_escalation(const Authorizer& authorizer, Request& request, const Value& before, const Value& object);

}  // namespace caisson::apiserver
