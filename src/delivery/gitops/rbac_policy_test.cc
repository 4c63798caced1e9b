// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/rbac_policy.h"

#include <doctest/doctest.h>

#include "core/document/yaml.h"

using namespace caisson;
using namespace caisson::gitops;

namespace {

RbacPolicy policy_of(std::string_view csv) {
  auto policy = parse_rbac_policy(csv);
  REQUIRE_MESSAGE(policy.ok(), (policy.ok() ? "" : policy.error().message));
  return std::move(policy).value();
}

bool allow(std::string_view csv, std::string_view who, std::string_view resource, std::string_view action,
           std::string_view object, bool regex = false) {
  const RbacPolicy policy = policy_of(csv);
  return RbacPolicies{{&built_in_rbac_policy(), &policy}, regex}.allow(who, resource, action, object);
}

std::string error_of(std::string_view csv) {
  const auto policy = parse_rbac_policy(csv);
  return policy.ok() ? "" : policy.error().message;
}

}  // namespace

TEST_CASE("policies: globs pass slashes, roles lead to roles, a denial wins") {
  struct Case {
    const char *csv, *who, *resource, *action, *object;
    bool allowed;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"p, ann, applications, sync, shop/web, allow", "ann", "applications", "sync", "shop/web", true},
           {"p, ann, applications, sync, shop/web, allow", "ann", "applications", "sync", "shop/api", false},
           {"p, ann, applications, sync, shop/web, allow", "ann", "applications", "delete", "shop/web", false},
           {"p, ann, applications, sync, shop/web, allow", "bob", "applications", "sync", "shop/web", false},
           {"p, ann, applications, *, shop/*, allow", "ann", "applications", "action/apps/Deployment/restart",
            "shop/team/web", true},
           {"p, ann, *, get, *, allow", "ann", "clusters", "get", "https://a.example", true},
           {"p, ann, applications, get, \"{shop,pay}/w?b\", allow", "ann", "applications", "get", "pay/web", true},
           {"p, ann, applications, get, \"{shop,pay}/w?b\", allow", "ann", "applications", "get", "books/web", false},
           {"p, ann, applications, get, [!s]*/*, allow", "ann", "applications", "get", "shop/web", false},
           {"p, role:ops, applications, sync, */*, allow\ng, team, role:ops\ng, ann, team", "ann", "applications",
            "sync", "shop/web", true},
           {"g, ann, role:readonly", "ann", "applications", "get", "shop/web", true},
           {"g, ann, role:readonly", "ann", "applications", "sync", "shop/web", false},
           {"g, ann, role:admin", "ann", "applications", "get", "shop/web", true},
           {"g, ann, role:admin\np, ann, applications, delete, prod/*, deny", "ann", "applications", "delete",
            "prod/web", false},
           {"p, ann, applications, delete, prod/*, deny\ng, ann, role:admin", "ann", "applications", "delete",
            "prod/web", false},
           {"p, ann, applications, delete, prod/*, deny\np, ann, applications, *, */*, allow", "ann", "applications",
            "delete", "prod/web", false},
           {"g, a, b\ng, b, a\np, b, applications, get, */*, allow", "a", "applications", "get", "x/y", true},
           {"# a comment\n\np, \"ann\", applications, \"get\", */*, allow\n", "ann", "applications", "get", "x/y",
            true}}) {
    CAPTURE(c.csv);
    CAPTURE(c.object);
    CHECK(allow(c.csv, c.who, c.resource, c.action, c.object) == c.allowed);
  }
  CHECK(allow("p, ann, applications, (get|sync), ^shop/.+$, allow", "ann", "applications", "sync", "shop/web", true));
  CHECK_FALSE(allow("p, ann, applications, get, [, allow", "ann", "applications", "get", "shop/web", true));
}

TEST_CASE("policies: a line that can't be read is refused with its number") {
  CHECK(error_of("p, ann, applications, get, */*, allow\nx, y") == "line 2: a line begins with \"p\" or \"g\", not x");
  CHECK(error_of("p, ann, applications, get, */*") ==
        "line 1: \"p\" has five fields: who, resource, action, object, allow or deny");
  CHECK(error_of("p, ann, applications, get, */*, maybe") == "line 1: the effect is allow or deny, not maybe");
  CHECK(error_of("p, ann, , get, */*, allow") == "line 1: a field is empty");
  CHECK(error_of("g, ann") == "line 1: \"g\" has two fields: who, and the role");
}

TEST_CASE("policies: a role of a project speaks of its project alone") {
  CHECK(parse_project_rule("shop", "ci", "p, proj:shop:ci, applications, sync, shop/*, allow").ok());
  for (const char* line :
       {"p, proj:shop:ci, applications, sync, pay/*, allow", "p, proj:shop:ci, applications, sync, */*, allow",
        "p, proj:shop:ci, applications, sync, shop, allow", "p, proj:shop:other, applications, sync, shop/*, allow",
        "p, ann, applications, sync, shop/*, allow", "p, proj:shop:ci, projects, update, shop/x, allow",
        "g, proj:shop:ci, role:admin", "p, proj:shop:ci, applications, sync, shop/*, allow\ng, ann, role:admin", ""}) {
    CAPTURE(line);
    CHECK_FALSE(parse_project_rule("shop", "ci", line).ok());
  }
  const auto project = yaml::read(R"(
metadata: {name: shop}
spec:
  roles:
    - name: ci
      groups: [builders]
      policies: ["p, proj:shop:ci, applications, sync, shop/*, allow", "p, proj:shop:ci, applications, sync, */*, allow"]
)");
  REQUIRE(project.ok());
  const RbacPolicy policy = project_rbac_policy(*project);
  const RbacPolicies policies{{&policy}};
  CHECK(policies.allow("proj:shop:ci", "projects", "get", "shop"));
  CHECK(policies.allow("builders", "applications", "sync", "shop/web"));
  CHECK_FALSE(policies.allow("builders", "applications", "sync", "pay/web"));
  CHECK(policies.allow_somewhere("builders", "applications", "sync"));
  CHECK_FALSE(policies.allow_somewhere("builders", "applications", "delete"));
}

TEST_CASE("policies: names of roles") {
  for (const char* name : {"ci", "a.b-c_d", "9"}) CHECK(check_role_name(name).ok());
  for (const char* name : {"", "-ci", "ci-", "a b", "a:b", "a,b", "a/b"}) CHECK_FALSE(check_role_name(name).ok());
}
