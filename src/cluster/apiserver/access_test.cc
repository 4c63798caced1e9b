// SPDX-License-Identifier: Apache-2.0
// Who is asking and what they may do: RBAC, tokens, reviews, impersonation.
#include "cluster/apiserver/authorizer.h"
#include "cluster/apiserver/testing_test.h"

using namespace caisson;
using namespace caisson::apiserver;
using kube::Object;
using namespace std::chrono_literals;

namespace {

struct AccessServer : HttpTestServer {
  AccessServer() {
    make_namespace("shop");
    create(R"(
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: shop}
rules:
- {apiGroups: [""], resources: [pods, pods/log], verbs: [get, list]}
- {apiGroups: [""], resources: [configmaps], resourceNames: [only], verbs: [get, update]}
- {apiGroups: [apps], resources: ["*"], verbs: [get]}
- {apiGroups: [""], resources: ["*/status"], verbs: [patch]})");
    bind("RoleBinding", "reader", "Role", "reader", "{kind: User, name: ann, apiGroup: rbac.authorization.k8s.io}");
  }
  void bind(const std::string& kind, const std::string& name, const std::string& role_kind, const std::string& role,
            const std::string& subject) {
    create("{apiVersion: rbac.authorization.k8s.io/v1, kind: " + kind + ", metadata: {name: " + name +
           (kind == "RoleBinding" ? ", namespace: shop" : "") +
           "}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: " + role_kind + ", name: '" + role +
           "'}, subjects: [" + subject + "]}");
  }
  bool allowed(const std::string& user, Value attributes) {
    const Object review(Value{{"apiVersion", "authorization.k8s.io/v1"},
                              {"kind", "SubjectAccessReview"},
                              {"spec", Value{{"user", user}, {"resourceAttributes", std::move(attributes)}}}});
    auto answer = admin->create(review);
    REQUIRE_MESSAGE(answer.ok(), failure(answer));
    return answer->status()["allowed"].as_bool();
  }
};

}  // namespace

TEST_CASE("a role gives what it says and nothing more") {
  AccessServer s;
  struct Case {
    const char *verb, *group, *resource, *subresource, *name, *ns;
    bool want;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"get", "", "pods", "", "", "shop", true},
           {"list", "", "pods", "", "", "shop", true},
           {"delete", "", "pods", "", "", "shop", false},
           {"get", "", "pods", "log", "", "shop", true},
           {"create", "", "pods", "exec", "", "shop", false},
           {"patch", "", "pods", "status", "", "shop", true},
           {"patch", "", "services", "status", "", "shop", true},
           {"patch", "", "pods", "", "", "shop", false},
           {"get", "", "configmaps", "", "only", "shop", true},
           {"get", "", "configmaps", "", "other", "shop", false},
           {"get", "", "configmaps", "", "", "shop", false},
           {"get", "apps", "deployments", "", "x", "shop", true},
           {"get", "apps", "deployments", "scale", "x", "shop", true},
           {"get", "batch", "jobs", "", "x", "shop", false},
           {"get", "", "pods", "", "", "default", false},
           {"get", "", "pods", "", "", "", false},
           {"*", "", "pods", "", "", "shop", false},
       }) {
    CAPTURE(c.verb);
    CAPTURE(c.resource);
    CAPTURE(c.subresource);
    CAPTURE(c.name);
    CAPTURE(c.ns);
    CHECK(s.allowed("ann", Value{{"verb", c.verb},
                                 {"group", c.group},
                                 {"resource", c.resource},
                                 {"subresource", c.subresource},
                                 {"name", c.name},
                                 {"namespace", c.ns}}) == c.want);
    CHECK_FALSE(
        s.allowed("eve", Value{{"verb", c.verb}, {"group", c.group}, {"resource", c.resource}, {"namespace", c.ns}}));
  }
}

TEST_CASE("a refusal says who, what and where") {
  AccessServer s;
  const auto ann = s.client("ann");
  CHECK(ann->list(schema::kPods, {.ns = "shop"}).ok());
  CHECK(failure(ann->list(schema::kPods, {})) ==
        "pods is forbidden: User \"ann\" cannot list resource \"pods\" in API group \"\" at the cluster scope");
  CHECK(failure(ann->remove(schema::kDeployments, {"shop", "d"})) ==
        "deployments.apps \"d\" is forbidden: User \"ann\" cannot delete resource \"deployments\" in API group "
        "\"apps\" in the namespace \"shop\"");
}

TEST_CASE("a change of a role counts at once") {
  AccessServer s;
  const schema::Resource roles = schema::kRoles;
  CHECK_FALSE(s.allowed("ann", Value{{"verb", "delete"}, {"resource", "pods"}, {"namespace", "shop"}}));
  REQUIRE(s.admin
              ->patch(roles, {"shop", "reader"}, kube::PatchType::json,
                      yaml::read(
                          "[{op: add, path: /rules/-, value: {apiGroups: [''], resources: [pods], verbs: [delete]}}]")
                          .value())
              .ok());
  CHECK(s.allowed("ann", Value{{"verb", "delete"}, {"resource", "pods"}, {"namespace", "shop"}}));
}

TEST_CASE("nobody grants what they do not hold, unless they may escalate or bind") {
  AccessServer s;
  s.create(R"(
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: role-writer}
rules:
- {apiGroups: [rbac.authorization.k8s.io], resources: [roles, rolebindings], verbs: [create, update, patch, get]}
- {apiGroups: [""], resources: [pods], verbs: [get]})");
  s.bind("ClusterRoleBinding", "bob", "ClusterRole", "role-writer",
         "{kind: User, name: bob, apiGroup: rbac.authorization.k8s.io}");
  const auto bob = s.client("bob");
  const auto role = [](std::string_view verb) {
    return object("{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: 'r-" + std::string(verb) +
                  "', namespace: shop}, rules: [{apiGroups: [''], resources: [pods], verbs: [" + std::string(verb) +
                  "]}]}");
  };
  CHECK(bob->create(role("get")).ok());
  const std::string refused = failure(bob->create(role("delete")));
  CHECK_MESSAGE(
      refused.starts_with(
          "roles.rbac.authorization.k8s.io \"r-delete\" is forbidden: user \"bob\" (groups=[\"system:authenticated\"]) "
          "is attempting to "
          "grant RBAC permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"delete\"]}"),
      refused);
  const Object binding = object(
      "{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: up, namespace: shop}, roleRef: "
      "{apiGroup: rbac.authorization.k8s.io, kind: "
      "ClusterRole, name: cluster-admin}, subjects: [{kind: User, name: bob, apiGroup: rbac.authorization.k8s.io}]}");
  CHECK(bob->create(binding).error().code == ErrorCode::forbidden);
}

TEST_CASE("aggregated roles hold the rules of those they select") {
  AccessServer s;
  const Object view = s.admin->get(schema::kClusterRoles, {"", "view"}).value();
  CHECK(view["rules"].size() > 5);
  const Object admin_role = s.admin->get(schema::kClusterRoles, {"", "admin"}).value();
  CHECK(admin_role["rules"].size() > view["rules"].size());
  s.create(R"(
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: more, labels: {rbac.authorization.k8s.io/aggregate-to-view: "true"}}
rules: [{apiGroups: [example.com], resources: [widgets], verbs: [get]}])");
  CHECK(s.admin->get(schema::kClusterRoles, {"", "view"})->value()["rules"].size() == view["rules"].size() + 1);
}

TEST_CASE("a developer of an organisation pushes there and nowhere else") {
  AccessServer s;
  s.bind("RoleBinding", "dev", "ClusterRole", "caisson:developer",
         "{kind: User, name: dan, apiGroup: rbac.authorization.k8s.io}");
  const auto can = [&](const char* verb, const char* resource, const char* ns) {
    return s.allowed("dan", Value{{"verb", verb}, {"group", "caisson.dev"}, {"resource", resource}, {"namespace", ns}});
  };
  CHECK(can("update", "repositories", "shop"));
  CHECK(can("create", "repositories", "shop"));
  CHECK(can("update", "images", "shop"));
  CHECK_FALSE(can("delete", "repositories", "shop"));
  CHECK_FALSE(can("update", "repositories", "default"));
  CHECK(s.allowed("dan",
                  Value{{"verb", "create"}, {"group", "apps"}, {"resource", "deployments"}, {"namespace", "shop"}}));
}

TEST_CASE("credentials: a user's token, none, a wrong one, an account's token that expires or loses its pod") {
  AccessServer s;
  CHECK(s.send("GET", "/api/v1/namespaces").status == 200);
  CHECK(s.send("GET", "/api/v1/namespaces", "", {{"Authorization", "none"}}).status == 403);
  const auto wrong = s.send("GET", "/api/v1/namespaces", "", {{"Authorization", "Bearer csn_wrong"}});
  CHECK(wrong.status == 401);
  CHECK(wrong.body["message"].str() == "Unauthorized");
  CHECK(s.send("GET", "/version", "", {{"Authorization", "none"}}).status == 200);
  CHECK(s.send("GET", "/healthz", "", {{"Authorization", "none"}}).text == "ok");

  s.create(
      "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: shop}, spec: {containers: [{name: a, image: a}]}}");
  const Value ask =
      yaml::read("{spec: {expirationSeconds: 600, boundObjectRef: {kind: Pod, apiVersion: v1, name: p}}}").value();
  const auto made = s.admin->post(schema::kServiceAccounts, {"shop", "default"}, "token", ask);
  REQUIRE_MESSAGE(made.ok(), failure(made));
  const std::string token = (*made)["status"]["token"].str();
  const auto user = s.api->authenticate_token(token);
  REQUIRE_MESSAGE(user.ok(), failure(user));
  CHECK(user->name == "system:serviceaccount:shop:default");
  CHECK(user->in_group("system:serviceaccounts:shop"));
  const auto as_account = [&] {
    return s.send("GET", "/api/v1/namespaces/shop/pods", "", {{"Authorization", "Bearer " + token}}).status;
  };
  CHECK(as_account() == 403);
  std::string forged = token;
  forged[forged.size() - 3] = forged[forged.size() - 3] == 'A' ? 'B' : 'A';
  CHECK(s.send("GET", "/api/v1/namespaces", "", {{"Authorization", "Bearer " + forged}}).status == 401);
  SUBCASE("it expires") {
    s.clock.advance(11min);
    CHECK(as_account() == 401);
  }
  SUBCASE("its pod goes") {
    REQUIRE(s.admin->remove(schema::kPods, {"shop", "p"}).ok());
    CHECK(as_account() == 401);
  }
  SUBCASE("its account is made anew") {
    REQUIRE(s.admin->remove(schema::kServiceAccounts, {"shop", "default"}).ok());
    s.create("{apiVersion: v1, kind: ServiceAccount, metadata: {name: default, namespace: shop}}");
    CHECK(as_account() == 401);
  }
  SUBCASE("TokenReview tells whose it is") {
    const auto review = s.admin->create(Object(
        Value{{"apiVersion", "authentication.k8s.io/v1"}, {"kind", "TokenReview"}, {"spec", Value{{"token", token}}}}));
    REQUIRE(review.ok());
    CHECK(review->status()["authenticated"].as_bool());
    CHECK(review->status()["user"]["username"].str() == "system:serviceaccount:shop:default");
  }
}

TEST_CASE("the store holds no token, only its hash") {
  AccessServer s;
  const auto secrets = s.admin->list(schema::kSecrets, {.ns = "caisson-system"});
  REQUIRE(secrets.ok());
  REQUIRE(secrets->items.size() == 1);
  CHECK(json::write(secrets->items[0].value()).find(std::string(s.token.reveal())) == std::string::npos);
}

TEST_CASE("impersonation needs the right to it") {
  AccessServer s;
  CHECK(s.send("GET", "/api/v1/namespaces/shop/pods", "", {{"Impersonate-User", "ann"}}).status == 200);
  CHECK(s.send("GET", "/api/v1/pods", "", {{"Impersonate-User", "ann"}}).status == 403);
  const std::string ann = "Bearer " + std::string(s.api->make_user_token("ann", {}).value().reveal());
  const auto refused = s.send("GET", "/api/v1/pods", "", {{"Authorization", ann}, {"Impersonate-User", "admin"}});
  CHECK(refused.status == 403);
  CHECK(refused.body["message"].str() ==
        "users \"admin\" is forbidden: User \"ann\" cannot impersonate resource \"users\" in API group \"\" at the "
        "cluster scope");
}

TEST_CASE("a bootstrap token speaks for its bootstrapper until it expires") {
  TestServer server;
  const auto text = [](const std::string& time, const std::string& use, const std::string& groups) {
    return "{apiVersion: v1, kind: Secret, metadata: {name: bootstrap-token-abcdef, namespace: kube-system}, type: "
           "bootstrap.kubernetes.io/token, stringData: {token-id: abcdef, token-secret: 0123456789abcdef, "
           "usage-bootstrap-authentication: '" +
           use + "', expiration: '" + time + "', auth-extra-groups: '" + groups + "'}}";
  };
  const auto who = [&](const std::string& token) { return server.api->authenticate_token(token); };
  CHECK_FALSE(who("abcdef.0123456789abcdef").ok());
  server.create(text(format_time(server.clock.now() + std::chrono::hours(1)), "true", "system:bootstrappers:nodes"));
  const auto user = who("abcdef.0123456789abcdef");
  REQUIRE_MESSAGE(user.ok(), user.error().message);
  CHECK(user->name == "system:bootstrap:abcdef");
  CHECK(user->groups == std::vector<std::string>{"system:bootstrappers", "system:bootstrappers:nodes"});
  CHECK_FALSE(who("abcdef.0123456789abcdeg").ok());
  server.clock.advance(std::chrono::hours(2));
  CHECK(failure(who("abcdef.0123456789abcdef")) == "the bootstrap token has expired");
  const std::string later = format_time(server.clock.now() + std::chrono::hours(1));
  REQUIRE(server.admin->update(object(text(later, "false", ""))).ok());
  CHECK_FALSE(who("abcdef.0123456789abcdef").ok());
  REQUIRE(server.admin->update(object(text(later, "true", "system:masters"))).ok());
  CHECK_FALSE(who("abcdef.0123456789abcdef").ok());
}
