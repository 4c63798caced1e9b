// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/policy_types.h"

#include "cluster/apiserver/testing_test.h"

namespace caisson::apiserver {
namespace {

Value checked(const std::string& rules, const std::string& rest) {
  static const schema::Schema schema = schema::Schema::built_in().value();
  return type_checking(yaml::read("{spec: {matchConstraints: {resourceRules: [" + rules + "]}, " + rest + "}}").value(),
                       schema);
}

constexpr const char* kDeployments = "{apiGroups: [apps], apiVersions: [v1], resources: [deployments]}";

}  // namespace

TEST_CASE("a field that a kind has not is told with the kind and the place") {
  const Value status = checked(kDeployments,
                               "validations: [{expression: object.spec.replicas < 5}, {expression: object.spec.replica "
                               "< 5, messageExpression: \"'at most ' + object.nope\"}]");
  REQUIRE(status["expressionWarnings"].size() == 2);
  CHECK(status["expressionWarnings"][0]["fieldRef"] == Value("spec.validations[1].expression"));
  CHECK(
      status["expressionWarnings"][0]["warning"] ==
      Value("apps/v1, Kind=Deployment: ERROR: <input>:1:12: undefined field 'replica'\n | object.spec.replica < 5\n | "
            "...........^\n"));
  CHECK(status["expressionWarnings"][1]["fieldRef"] == Value("spec.validations[1].messageExpression"));
}

TEST_CASE("an expression is checked for each kind, and what fits all is not warned of") {
  const std::string both = "{apiGroups: ['', apps], apiVersions: [v1], resources: [pods, deployments]}";
  CHECK(checked(both, "validations: [{expression: \"object.metadata.name != 'x'\"}]") == Value::map());
  const Value status = checked(both, "validations: [{expression: object.spec.paused}]");
  CHECK(status["expressionWarnings"][0]["warning"].str().starts_with("/v1, Kind=Pod: ERROR"));
  CHECK(status["expressionWarnings"][0]["warning"].str().find("Deployment") == std::string::npos);
}

TEST_CASE("variables and parameters have types of their own") {
  CHECK(
      checked(kDeployments,
              "paramKind: {apiVersion: v1, kind: ConfigMap}, variables: [{name: n, expression: object.spec.replicas}], "
              "validations: [{expression: variables.n <= int(params.data.max)}]") == Value::map());
  const Value status = checked(kDeployments,
                               "variables: [{name: n, expression: object.spec.replicas}], validations: [{expression: "
                               "\"variables.n == 'x'\"}]");
  CHECK(status["expressionWarnings"][0]["warning"].str().find("found no matching overload for '_==_'") !=
        std::string::npos);
}

TEST_CASE("wildcards, unknown kinds and kinds that hold themselves are let be") {
  for (const char* rules : {"{apiGroups: ['*'], apiVersions: [v1], resources: [pods]}",
                            "{apiGroups: [''], apiVersions: ['*'], resources: [pods]}",
                            "{apiGroups: [''], apiVersions: [v1], resources: ['*', pods/status]}",
                            "{apiGroups: [x.io], apiVersions: [v1], resources: [things]}"})
    CHECK(checked(rules, "validations: [{expression: object.nope}]") == Value::map());
  CHECK(checked("{apiGroups: [apiextensions.k8s.io], apiVersions: [v1], resources: [customresourcedefinitions]}",
                "validations: [{expression: 'object.spec.versions.all(v, v.schema.openAPIV3Schema.properties.size() > "
                "0)'}]") == Value::map());
}

}  // namespace caisson::apiserver
