// SPDX-License-Identifier: Apache-2.0
// MutatingAdmissionPolicy: testdata/mutating_policies has the cases; here stand those that need more than one request.
#include "cluster/apiserver/testing_test.h"
#include "core/base/test_dirs.h"

namespace caisson::apiserver {
namespace {

constexpr const char* kGroup = "admissionregistration.k8s.io/v1beta1";

// What a case leaves out: constraints on Pods and ConfigMaps, a binding of the same name.
void make_objects(TestServer& server, const std::string& text) {
  std::vector<Value> objects = yaml::read_all(text).value();
  std::vector<std::string> bound;
  for (const Value& object : objects)
    if (object["kind"].as_string() == "MutatingAdmissionPolicyBinding")
      bound.push_back(object["spec"]["policyName"].str());
  for (Value object : objects) {
    const bool is_policy = object["kind"].as_string() == "MutatingAdmissionPolicy";
    if (is_policy && !object["spec"].contains("matchConstraints"))
      object.edit("spec").set("matchConstraints", yaml::read("{resourceRules: [{apiGroups: [''], apiVersions: [v1], "
                                                             "operations: [CREATE], resources: [pods, configmaps]}]}")
                                                      .value());
    const auto made = server.admin->create(kube::Object(object));
    REQUIRE_MESSAGE(made.ok(), made.error().message);
    const std::string name = object["metadata"]["name"].str();
    if (!is_policy || std::find(bound.begin(), bound.end(), name) != bound.end()) continue;
    server.create("{apiVersion: " + std::string(kGroup) + ", kind: MutatingAdmissionPolicyBinding, metadata: {name: " +
                  name + "}, spec: {policyName: " + name + "}}");
  }
}

// Every member of `want` is in `got`; lists item by item.
void check_within(const Value& want, const Value& got, const std::string& path) {
  if (want.is_map()) {
    for (const auto& [key, value] : want.entries()) check_within(value, got[key], path + "." + std::string(key));
  } else if (want.is_list()) {
    CHECK_MESSAGE(want.size() == got.size(), path << ": " << json::write(got));
    for (std::size_t i = 0; i < want.size(); ++i) check_within(want[i], got[i], path + "[" + std::to_string(i) + "]");
  } else {
    CHECK_MESSAGE(want == got, path << ": " << json::write(got));
  }
}

std::string refusal(const std::string& policy_spec) {
  TestServer server;
  const std::string text = "{apiVersion: " + std::string(kGroup) +
                           ", kind: MutatingAdmissionPolicy, metadata: {name: p}, spec: {" + policy_spec + "}}";
  return failure(server.admin->create(object(text)));
}

constexpr const char* kConstraints =
    "matchConstraints: {resourceRules: [{apiGroups: [''], apiVersions: [v1], operations: [CREATE], resources: "
    "[configmaps]}]}, reinvocationPolicy: Never, ";

}  // namespace

TEST_CASE("mutating policies change objects as their folders say") {
  const std::string root = test_room_dir() + "/testdata/mutating_policies/";
  int cases = 0;
  for (const std::string& name : list_dir(root).value()) {
    if (!is_directory(root + name)) continue;
    CAPTURE(name);
    ++cases;
    TestServer server;
    server.make_namespace("shop");
    make_objects(server, read_file(root + name + "/objects.yaml").value());
    const auto made = server.admin->create(object(read_file(root + name + "/in.yaml").value()));
    if (const auto wanted = read_file(root + name + "/want.error"); wanted.ok()) {
      CHECK(failure(made) + "\n" == *wanted);
      continue;
    }
    CHECK(failure(made) == "");
    if (made.ok()) check_within(yaml::read(read_file(root + name + "/want.yaml").value()).value(), made->value(), "");
  }
  CHECK(cases >= 11);
}

TEST_CASE("a mutating policy needs constraints, mutations and expressions of the right type") {
  CHECK(
      refusal("reinvocationPolicy: Never, mutations: [{patchType: JSONPatch}]") ==
      "MutatingAdmissionPolicy.admissionregistration.k8s.io \"p\" is invalid: [spec.matchConstraints: Required value, "
      "spec.mutations[0].jsonPatch: Required value: must be specified when patchType is JSONPatch]");
  CHECK(refusal(std::string(kConstraints) + "mutations: []")
            .find("spec.mutations: Required value: mutations must contain at least one item") != std::string::npos);
  CHECK(refusal(std::string(kConstraints) +
                "mutations: [{patchType: ApplyConfiguration, applyConfiguration: {expression: \"'text'\"}}]")
            .find("spec.mutations[0].applyConfiguration.expression: Invalid value: \"'text'\": must evaluate to Object "
                  "but got string") != std::string::npos);
  CHECK(refusal(std::string(kConstraints) +
                "mutations: [{patchType: JSONPatch, jsonPatch: {expression: \"[JSONPatch{op: 1}]\"}}]")
            .find("expected type of field 'op' is 'string' but provided type is 'int'") != std::string::npos);
}

TEST_CASE("what goes can't be matched by a mutating policy") {
  const std::string message = refusal(
      "matchConstraints: {resourceRules: [{apiGroups: [''], apiVersions: [v1], operations: [DELETE], resources: "
      "[pods]}]}, reinvocationPolicy: Never, mutations: [{patchType: JSONPatch, jsonPatch: {expression: "
      "\"[JSONPatch{op: 'remove', path: '/x'}]\"}}]");
  CHECK(message.find("Unsupported value: \"DELETE\": supported values: \"*\", \"CONNECT\", \"CREATE\", \"UPDATE\"") !=
        std::string::npos);
}

TEST_CASE("a mutating policy does not move an object, and its refusal is a Status with a cause") {
  HttpTestServer server;
  server.make_namespace("shop");
  make_objects(server, "{apiVersion: " + std::string(kGroup) +
                           ", kind: MutatingAdmissionPolicy, metadata: {name: p}, spec: {reinvocationPolicy: Never, "
                           "mutations: [{patchType: JSONPatch, jsonPatch: {expression: \"[JSONPatch{op: 'replace', "
                           "path: '/metadata/name', value: 'other'}]\"}}]}}");
  const auto answer = server.send("POST", "/api/v1/namespaces/shop/configmaps",
                                  R"({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}})",
                                  {{"Content-Type", "application/json"}});
  CHECK(answer.status == 403);
  CHECK(answer.body["reason"] == Value("Invalid"));
  CHECK(answer.body["details"]["kind"] == Value("configmaps"));
  CHECK(answer.body["details"]["causes"][0]["message"] ==
        Value("policy 'p' with binding 'p' denied request: a mutation may not change metadata.name"));
}

TEST_CASE("policies in one version are read in the other") {
  HttpTestServer server;
  make_objects(server, "{apiVersion: " + std::string(kGroup) +
                           ", kind: MutatingAdmissionPolicy, metadata: {name: p}, spec: {reinvocationPolicy: Never, "
                           "mutations: [{patchType: JSONPatch, jsonPatch: {expression: \"[JSONPatch{op: 'remove', "
                           "path: '/x'}]\"}}]}}");
  const auto answer = server.send("GET", "/apis/admissionregistration.k8s.io/v1alpha1/mutatingadmissionpolicies/p");
  CHECK(answer.body["apiVersion"] == Value("admissionregistration.k8s.io/v1alpha1"));
  CHECK(answer.body["spec"]["failurePolicy"] == Value("Fail"));
}

}  // namespace caisson::apiserver
