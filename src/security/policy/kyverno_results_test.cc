// SPDX-License-Identifier: Apache-2.0
// What rules say, word for word: recorded from the kyverno command line (testdata/README.md).
#include <doctest/doctest.h>

#include "core/base/file.h"
#include "core/base/test_dirs.h"
#include "core/document/json.h"
#include "core/document/yaml.h"
#include "security/policy/cel_template.h"
#include "security/policy/evaluate.h"
#include "security/policy/policy_output.h"

namespace caisson::policy {
namespace {

std::string recorded(const std::string& name) {
  auto text = read_file(test_room_dir() + "/testdata/kyverno_results/" + name);
  REQUIRE_MESSAGE(text.ok(), name);
  return std::move(text).value();
}

std::string object_key(const Value& object) {
  return object["kind"].str() + "/" + object["metadata"]["namespace"].str() + "/" + object["metadata"]["name"].str();
}

// {object: [result, message]} of one policy over the objects, those alone of which it says something.
Value said_by(const Value& policy, const std::vector<Value>& objects) {
  PolicySet set;
  set.add(policy);
  CHECK_MESSAGE(set.invalid_policies().empty(), policy["metadata"]["name"].as_string());
  Value out = Value::map();
  for (const Value& object : objects) {
    std::vector<Finding> findings;
    for (const Evaluation& evaluation : set.evaluate(object, "", TestInputs(), {}, no_lookups()))
      add_findings(evaluation, false, findings);
    for (const Finding& finding : findings)
      out.set(object_key(object), Value::list_of({std::string(status_name(finding.status)), finding.message}));
  }
  return out;
}

Value read(std::string_view text) {
  return yaml::read(text).value();
}

}  // namespace

TEST_CASE("rules say what kyverno says, with its words") {
  const auto policies = yaml::read_all(recorded("policies.yaml")), objects = yaml::read_all(recorded("objects.yaml"));
  const auto want = json::parse(recorded("want.json"));
  REQUIRE((policies.ok() && objects.ok() && want.ok()));
  CHECK(want->size() == policies->size());
  for (const Value& policy : *policies) {
    const std::string name = policy["metadata"]["name"].str();
    const Value said = said_by(policy, *objects);
    CHECK_MESSAGE(said == (*want)[name],
                  name << "\n  kyverno " << json::write((*want)[name]) << "\n  caisson " << json::write(said));
  }
}

TEST_CASE("a MutatingPolicy on Pods changes the templates of what makes Pods, where it says nothing else") {
  const Value policy = read(R"y(
    {apiVersion: policies.kyverno.io/v1, kind: MutatingPolicy, metadata: {name: p}, spec: {
     matchConstraints: {resourceRules: [{apiGroups: [''], apiVersions: [v1], operations: [CREATE], resources: [pods]}]},
     matchConditions: [{name: x, expression: "!has(object.spec.hostNetwork)"}],
     variables: [{name: first, expression: "object.spec.containers[0].name"}],
     mutations: [{patchType: ApplyConfiguration, applyConfiguration: {expression: "Object{metadata:
       Object.metadata{labels: {'first': variables.first}}, spec: Object.spec{priorityClassName: 'high'}}"}}]}})y");
  const Value pod = read("{metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: x}]}}");
  const Value wanted = read(
      "{metadata: {labels: {a: b, first: c}}, spec: {containers: [{name: c, image: x}], priorityClassName: high}}");
  const auto patched = [&](const Value& by, const Value& object) {
    PolicySet set;
    set.add(by);
    const auto said = set.evaluate(object, "", TestInputs(), {}, no_lookups());
    return said.empty() || said[0].rules.empty() ? Value() : said[0].patched;
  };
  const Value deployment{{"apiVersion", "apps/v1"},
                         {"kind", "Deployment"},
                         {"metadata", Value{{"name", "d"}, {"namespace", "shop"}}},
                         {"spec", Value{{"replicas", 2}, {"template", pod}}}};
  Value want = deployment;
  want.edit({"spec", "template"}) = wanted;
  CHECK(patched(policy, deployment) == want);
  const Value cron{{"apiVersion", "batch/v1"},
                   {"kind", "CronJob"},
                   {"metadata", Value{{"name", "d"}, {"namespace", "shop"}}},
                   {"spec", Value{{"jobTemplate", Value{{"spec", Value{{"template", pod}}}}}}}};
  want = cron;
  want.edit({"spec", "jobTemplate", "spec", "template"}) = wanted;
  CHECK(patched(policy, cron) == want);
  Value chosen = policy;
  chosen.edit("spec").set("autogen", read("{podControllers: {controllers: [jobs]}}"));
  CHECK(patched(chosen, cron).is_null());
  Value on_host = deployment;
  on_host.edit({"spec", "template", "spec"}).set("hostNetwork", true);
  const Value unchanged = patched(policy, on_host);
  CHECK((unchanged.is_null() || unchanged == on_host));
}

TEST_CASE("a template's own name and namespace come back, those that the Pod was given do not") {
  const Value object = read("{metadata: {name: o, namespace: n}, spec: {template: {metadata: {name: own}, spec: {}}}}");
  const Value pod = pod_of_template(object, kTemplate);
  CHECK(pod["metadata"] == read("{name: own, namespace: n}"));
  CHECK(with_template(object, kTemplate, pod) == object);
  const Value bare = read("{metadata: {name: o, namespace: n}, spec: {template: {spec: {}}}}");
  CHECK(pod_of_template(bare, kTemplate)["metadata"] == read("{name: o, namespace: n}"));
  CHECK(with_template(bare, kTemplate, pod_of_template(bare, kTemplate)) == bare);
  CHECK(pod_of_template(bare, kCronTemplate).is_null());
}

}  // namespace caisson::policy
