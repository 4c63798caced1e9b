// SPDX-License-Identifier: Apache-2.0
#include "security/policy/webhook.h"

#include <doctest/doctest.h>

#include "core/base/encoding.h"
#include "core/document/json.h"
#include "core/document/patch.h"
#include "core/document/yaml.h"
#include "security/policy/admission_plugin.h"

namespace caisson::policy {
namespace {

Value value(std::string_view text) {
  return yaml::read(text).value();
}

Value review(std::string_view object) {
  return Value{{"apiVersion", "admission.k8s.io/v1"},
               {"kind", "AdmissionReview"},
               {"request", Value{{"uid", "u-1"},
                                 {"kind", value("{group: '', version: v1, kind: Pod}")},
                                 {"resource", value("{group: '', version: v1, resource: pods}")},
                                 {"namespace", "shop"},
                                 {"operation", "CREATE"},
                                 {"userInfo", value("{username: dev, groups: ['system:authenticated']}")},
                                 {"object", value(object)}}}};
}

std::shared_ptr<apiserver::Admission> policies(std::initializer_list<std::string_view> texts) {
  const auto all = std::make_shared<Policies>();
  for (const std::string_view text : texts) all->set(value(text));
  return make_policy_admission({.policies = all});
}

Value nothing(const schema::Resource&, std::string_view, std::string_view) {
  return {};
}

constexpr std::string_view kNoLatest = R"y(
apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata: {name: no-latest}
spec:
  rules:
  - name: tag
    match: {any: [{resources: {kinds: [Pod]}}]}
    validate: {failureAction: Enforce, message: write a tag, pattern: {spec: {containers: [{image: "!*:latest"}]}}}
)y";
constexpr std::string_view kTeam = R"y(
apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata: {name: team}
spec:
  rules:
  - name: add
    match: {any: [{resources: {kinds: [Pod]}}]}
    mutate: {patchStrategicMerge: {metadata: {labels: {"+(team)": none}}}}
)y";
constexpr std::string_view kPod =
    "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: shop}, spec: {containers: [{name: a, image: "
    "'nginx:latest'}]}}";

}  // namespace

TEST_CASE("a review is answered as the policies have it") {
  const auto plugin = policies({kNoLatest, kTeam});
  const auto refused = answer_review(*plugin, review(kPod), WebhookStage::validate, nothing);
  REQUIRE(refused.ok());
  const Value& response = (*refused)["response"];
  CHECK(response["uid"].as_string() == "u-1");
  CHECK_FALSE(response["allowed"].as_bool(true));
  CHECK(response["status"]["code"].as_int() == 403);
  CHECK(response["status"]["message"].as_string().find("no-latest") != std::string_view::npos);
  CHECK(response["status"]["message"].as_string().find("denied the request") == std::string_view::npos);

  const auto mutated = answer_review(*plugin, review(kPod), WebhookStage::mutate, nothing);
  REQUIRE(mutated.ok());
  CHECK((*mutated)["response"]["allowed"].as_bool());
  const std::string patch = unbase64((*mutated)["response"]["patch"].as_string()).value();
  CHECK(patch == R"([{"op":"add","path":"/metadata/labels","value":{"team":"none"}}])");
}

TEST_CASE("a policy that can't be compiled is refused through the webhook, too") {
  Value broken = review("{apiVersion: kyverno.io/v1, kind: ClusterPolicy, metadata: {name: b}, spec: {rules: []}}");
  broken.edit({"request", "kind"}) = value("{group: kyverno.io, version: v1, kind: ClusterPolicy}");
  const auto answer = answer_review(*policies({}), broken, WebhookStage::validate, nothing);
  REQUIRE(answer.ok());
  CHECK((*answer)["response"]["status"]["message"].as_string() == "spec.rules: may not be empty");
}

TEST_CASE("what is no review is refused") {
  const auto plugin = policies({});
  CHECK_FALSE(answer_review(*plugin, value("{}"), WebhookStage::validate, nothing).ok());
  Value old = review(kPod);
  old.set("apiVersion", "admission.k8s.io/v1beta1");
  CHECK_FALSE(answer_review(*plugin, old, WebhookStage::validate, nothing).ok());
  Value nameless = review(kPod);
  nameless.edit("request").erase("uid");
  CHECK_FALSE(answer_review(*plugin, nameless, WebhookStage::mutate, nothing).ok());
}

TEST_CASE("a patch between two documents makes the second of the first") {
  const std::pair<const char*, const char*> cases[] = {
      {"{a: 1}", "{a: 1}"},
      {"{a: 1, b: {c: 2}}", "{b: {c: 3, d: [1]}}"},
      {"{a: [1, 2]}", "{a: [1, 3]}"},
      {"{a: [1, 2]}", "{a: [1]}"},
      {"{a/b: {x~y: 1}}", "{a/b: {x~y: 2}}"},
      {"{a: 1}", "{a: {b: null}}"},
  };
  for (const auto& [before, after] : cases) {
    const auto patched = document::json_patch(value(before), json_patch_between(value(before), value(after)));
    REQUIRE(patched.ok());
    CHECK(*patched == value(after));
  }
}

}  // namespace caisson::policy
