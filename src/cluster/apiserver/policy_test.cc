// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/testing_test.h"

namespace caisson::apiserver {
namespace {

// A policy on ConfigMaps of namespace shop with this spec beside matchConstraints, and its binding.
void bind(TestServer& server, const std::string& spec, const std::string& binding = "validationActions: [Deny]") {
  server.create(
      "{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicy, metadata: {name: p}, spec: "
      "{matchConstraints: {resourceRules: [{apiGroups: [''], apiVersions: [v1], operations: [CREATE, UPDATE, DELETE], "
      "resources: [configmaps]}]}, " +
      spec + "}}");
  server.create(
      "{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicyBinding, metadata: {name: b}, "
      "spec: {policyName: p, " +
      binding + "}}");
}

std::string create(TestServer& server, const std::string& data, const std::string& user = "") {
  const auto text =
      "{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: shop, labels: {team: a}}, data: " + data + "}";
  const auto client = user.empty() ? nullptr : server.client(user, {"system:masters"});
  return failure((client == nullptr ? *server.admin : *client).create(object(text)));
}

constexpr const char* kDenied =
    "configmaps \"c\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: ";

}  // namespace

TEST_CASE("a bound policy refuses what its expressions do not allow, in Kubernetes' words") {
  TestServer server;
  server.make_namespace("shop");
  bind(server,
       "variables: [{name: size, expression: object.data.size()}, {name: small, expression: variables.size < 3}], "
       "validations: [{expression: variables.small}, {expression: \"!('secret' in object.data)\", message: no secrets, "
       "reason: Forbidden}, {expression: \"object.data.all(k, k != 'x')\", messageExpression: \"'x has ' + "
       "object.data['x']\"}]");
  CHECK(create(server, "{a: '1', b: '2', c: '3'}") == std::string(kDenied) + "failed expression: variables.small");
  CHECK(create(server, "{secret: '1'}") == std::string(kDenied) + "no secrets");
  CHECK(create(server, "{x: '1'}") == std::string(kDenied) + "x has 1");
  CHECK(create(server, "{a: '1'}").empty());
}

TEST_CASE("conditions, requests, old objects and the authorizer are what expressions see") {
  TestServer server;
  server.make_namespace("shop");
  bind(server,
       "matchConditions: [{name: not-root, expression: request.userInfo.username != 'root'}], "
       "validations: [{expression: \"request.operation != 'DELETE' || oldObject.data.keep != 'yes'\", message: kept}, "
       "{expression: \"authorizer.group('').resource('secrets').namespace(request.namespace).check('get').allowed()\", "
       "message: no rights}, {expression: \"namespaceObject.metadata.name == 'shop'\"}, "
       "{expression: \"authorizer.requestResource.check('create').allowed()\"}]");
  CHECK(create(server, "{keep: 'yes'}").empty());
  const auto removed = server.admin->remove(schema::kConfigMaps, {"shop", "c"});
  CHECK(failure(removed) == std::string(kDenied) + "kept");
  CHECK(server.client("root", {"system:masters"})->remove(schema::kConfigMaps, {"shop", "c"}).ok());
}

TEST_CASE("an expression that fails refuses unless the failure policy is Ignore") {
  TestServer server;
  server.make_namespace("shop");
  bind(server, "validations: [{expression: \"object.data.nothing == 'x'\"}]");
  CHECK(create(server, "{a: '1'}") == std::string(kDenied) +
                                          "expression 'object.data.nothing == 'x'' resulted in error: no such key: "
                                          "nothing");
  auto policy = server.admin->get(
      {"admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies", false},
      {"", "p"});
  REQUIRE(policy.ok());
  Value changed = policy->value();
  changed.edit("spec").set("failurePolicy", "Ignore");
  REQUIRE(server.admin->update(kube::Object(changed)).ok());
  CHECK(create(server, "{a: '1'}").empty());
}

TEST_CASE("a binding that only warns lets what is refused pass with a warning") {
  HttpTestServer server;
  server.make_namespace("shop");
  bind(server, "validations: [{expression: 'false', message: not so}]", "validationActions: [Warn, Audit]");
  const auto answer = server.send("POST", "/api/v1/namespaces/shop/configmaps",
                                  R"({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}})",
                                  {{"Content-Type", "application/json"}});
  CHECK(answer.status == 201);
  CHECK(answer.headers.get("Warning").find("Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': not "
                                           "so") != std::string_view::npos);
}

TEST_CASE("parameters come from the object that the binding names; without it the request is refused") {
  TestServer server;
  server.make_namespace("shop");
  bind(server,
       "paramKind: {apiVersion: v1, kind: ConfigMap}, matchConditions: [{name: not-limits, expression: "
       "\"object.metadata.name != 'limits'\"}], validations: [{expression: \"object.data.size() <= "
       "int(params.data.most)\", messageExpression: \"'at most ' + params.data.most\"}]",
       "paramRef: {name: limits, namespace: default, parameterNotFoundAction: Deny}, validationActions: [Deny]");
  CHECK(create(server, "{a: '1'}").find("no params found for policy binding") != std::string::npos);
  const auto unbound = server.admin->remove({"admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicyBinding",
                                             "validatingadmissionpolicybindings", false},
                                            {"", "b"});
  REQUIRE(unbound.ok());
  server.create("{apiVersion: v1, kind: ConfigMap, metadata: {name: limits, namespace: default}, data: {most: '1'}}");
  server.create(
      "{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicyBinding, metadata: {name: b}, "
      "spec: {policyName: p, paramRef: {name: limits, namespace: default, parameterNotFoundAction: Deny}, "
      "validationActions: [Deny]}}");
  CHECK(create(server, "{a: '1', b: '2'}") == std::string(kDenied) + "at most 1");
  CHECK(create(server, "{a: '1'}").empty());
}

TEST_CASE("a policy for another version of a resource sees it in that version, and knows what was asked for") {
  HttpTestServer server;
  const auto refused = [&](const std::string& versions, const std::string& policy, const std::string& expression) {
    server.create(
        "{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicy, metadata: {name: p}, spec: "
        "{matchConstraints: {matchPolicy: " +
        policy + ", resourceRules: [{apiGroups: [autoscaling], apiVersions: [" + versions +
        "], operations: [CREATE], resources: [horizontalpodautoscalers]}]}, validations: [{expression: \"" +
        expression + "\", message: not so}]}}");
    server.create(
        "{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicyBinding, metadata: {name: b}, "
        "spec: {policyName: p, validationActions: [Deny]}}");
    const auto answer =
        server.send("POST", "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers?dryRun=All",
                    R"({"metadata": {"name": "web"}, "spec": {"maxReplicas": 3, "targetCPUUtilizationPercentage": 55,
            "scaleTargetRef": {"kind": "Deployment", "name": "web"}}})",
                    {{"Content-Type", "application/json"}});
    for (const auto& [kind, plural, name] :
         {std::tuple("ValidatingAdmissionPolicy", "validatingadmissionpolicies", "p"),
          std::tuple("ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", "b")})
      REQUIRE(server.admin->remove({"admissionregistration.k8s.io", "v1", kind, plural, false}, {"", name}).ok());
    return answer.status != 201;
  };
  constexpr const char* kInV2 =
      "object.spec.metrics[0].resource.target.averageUtilization == 55 && request.kind.version == 'v2' && "
      "request.requestKind.version == 'v1' && request.resource.version == 'v2'";
  CHECK_FALSE(refused("v2", "Equivalent", kInV2));
  CHECK(refused("v2", "Equivalent", "object.spec.metrics[0].resource.target.averageUtilization == 54"));
  CHECK_FALSE(
      refused("'*'", "Equivalent", "object.spec.targetCPUUtilizationPercentage == 55 && request.kind.version == 'v1'"));
  CHECK_FALSE(refused("v2", "Exact", "false"));
  CHECK_FALSE(refused("v9", "Equivalent", "false"));
}

TEST_CASE("a policy that can't be compiled is refused with its field named") {
  TestServer server;
  const auto made = server.admin->create(object(
      "{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicy, metadata: {name: p}, spec: "
      "{matchConstraints: {resourceRules: [{apiGroups: [''], apiVersions: [v1], operations: [CREATE], resources: "
      "[configmaps]}]}, validations: [{expression: request.nothing == 'x'}]}}"));
  CHECK(failure(made).find("spec.validations[0].expression") != std::string::npos);
  CHECK(failure(made).find("undefined field 'nothing'") != std::string::npos);
}

TEST_CASE("selectors of policy and binding choose namespaces and objects") {
  TestServer server;
  server.make_namespace("shop");
  bind(server, "validations: [{expression: 'false', message: never}]",
       "matchResources: {objectSelector: {matchLabels: {team: b}}}, validationActions: [Deny]");
  CHECK(create(server, "{a: '1'}").empty());
}

}  // namespace caisson::apiserver
