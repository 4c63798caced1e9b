// SPDX-License-Identifier: Apache-2.0
// Explanations show what was seen; results are the engine's own.
#include <doctest/doctest.h>

#include "core/document/yaml.h"
#include "security/policy/evaluate.h"

namespace caisson::policy {
namespace {

std::string explained(std::string_view policies, std::string_view resource, const std::string& rule = "") {
  PolicySet set;
  for (const Value& document : yaml::read_all(policies).value()) set.add(document);
  for (const auto& [name, why] : set.invalid_policies()) FAIL(name << ": " << why);
  TestInputs inputs;
  const auto lookups = make_test_lookups(inputs);
  std::string out;
  for (const Explanation& one : set.explain(yaml::read(resource).value(), rule, inputs, *lookups))
    for (const ExplainedLine& line : one) {
      const char* mark = line.mark == ExplainedLine::Mark::good  ? "+ "
                         : line.mark == ExplainedLine::Mark::bad ? "- "
                                                                 : "";
      out += std::string(static_cast<std::size_t>(line.depth) * 2, ' ') + mark + line.text + "\n";
    }
  return out;
}

bool has(const std::string& text, std::string_view part) {
  const bool found = text.find(part) != std::string::npos;
  if (!found) MESSAGE(text);
  return found;
}

constexpr std::string_view kPod =
    "{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, labels: {app: web}}, spec: {containers: "
    "[{name: a, image: 'nginx:latest'}, {name: b, image: 'redis:7'}]}}";

}  // namespace

TEST_CASE("a rule that does not match says which filter said no, and why") {
  const std::string text = explained(R"yaml(
apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata: {name: p}
spec:
  rules:
  - name: r
    match: {any: [{resources: {kinds: [Deployment]}}, {resources: {kinds: [Pod], namespaces: [prod]}}]}
    validate: {pattern: {metadata: {name: "?*"}}}
)yaml",
                                     kPod, "r");
  CHECK(has(text, "- match.any[0]: does not match: "));
  CHECK(has(text, "- match.any[1]: does not match: "));
  CHECK(has(text, "the rule does not speak of this object"));
  CHECK(text.find("result") == std::string::npos);
}

TEST_CASE("conditions show both sides with the values that were seen") {
  const std::string text = explained(R"yaml(
apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata: {name: p}
spec:
  rules:
  - name: r
    match: {any: [{resources: {kinds: [Pod]}}]}
    context: [{name: app, variable: {jmesPath: request.object.metadata.labels.app}}]
    preconditions: {all: [{key: "{{ app }}", operator: Equals, value: web}]}
    validate:
      message: no
      deny: {conditions: {any: [
        {key: "{{ request.object.spec.containers[].image }}", operator: AnyIn, value: ["redis:*"]}]}}
)yaml",
                                     kPod);
  CHECK(has(text, "context app = \"web\""));
  CHECK(has(text, "+ precondition.all[0]: {{ app }} = \"web\" Equals \"web\" → true"));
  CHECK(has(text,
            "deny.any[0]: {{ request.object.spec.containers[].image }} = [\"nginx:latest\",\"redis:7\"] AnyIn "
            "[\"redis:*\"] → true"));
  CHECK(has(text, "- result: fail: no"));
}

TEST_CASE("a pattern that fails shows where, and what stands there") {
  const std::string text = explained(R"yaml(
apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata: {name: p}
spec:
  rules:
  - name: r
    match: {any: [{resources: {kinds: [Pod]}}]}
    validate: {message: no, pattern: {spec: {containers: [{image: "!*:latest"}]}}}
)yaml",
                                     kPod);
  CHECK(has(text, "- pattern: fails at /spec/containers/0/image/, where the object has \"nginx:latest\""));
  CHECK(has(text, "- result: fail"));
}

TEST_CASE("a loop shows each element") {
  const std::string text = explained(R"yaml(
apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata: {name: p}
spec:
  rules:
  - name: r
    match: {any: [{resources: {kinds: [Pod]}}]}
    validate:
      message: no
      foreach:
      - list: request.object.spec.containers
        deny: {conditions: {any: [{key: "{{ element.name }}", operator: Equals, value: b}]}}
)yaml",
                                     kPod);
  CHECK(has(text, "foreach[0] over request.object.spec.containers: 2 elements"));
  CHECK(has(text, "{{ element.name }} = \"a\" Equals \"b\" → false"));
  CHECK(has(text, "{{ element.name }} = \"b\" Equals \"b\" → true"));
}

TEST_CASE("a policy in CEL shows its conditions, variables and validations") {
  const std::string text = explained(R"yaml(
apiVersion: policies.kyverno.io/v1
kind: ValidatingPolicy
metadata: {name: p}
spec:
  matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]}
  matchConditions: [{name: named, expression: "object.metadata.name == 'web'"}]
  variables: [{name: images, expression: "object.spec.containers.map(c, c.image)"}]
  validations: [{expression: "variables.images.all(i, !i.endsWith(':latest'))", message: no latest}]
)yaml",
                                     kPod);
  CHECK(has(text, "+ condition named: object.metadata.name == 'web' → true"));
  CHECK(has(text, "variable images: object.spec.containers.map(c, c.image) → [\"nginx:latest\", \"redis:7\"]"));
  CHECK(has(text, "- validation 0: variables.images.all(i, !i.endsWith(':latest')) → false"));
  CHECK(has(text, "- result: fail: no latest"));
  CHECK(has(explained(R"yaml(
apiVersion: policies.kyverno.io/v1
kind: ValidatingPolicy
metadata: {name: p}
spec:
  matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [secrets]}]}
  validations: [{expression: "true"}]
)yaml",
                      kPod),
            "does not speak of this object"));
}

}  // namespace caisson::policy
