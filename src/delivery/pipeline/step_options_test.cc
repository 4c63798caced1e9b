// SPDX-License-Identifier: Apache-2.0
// Steps' when expressions and streams as the node is told of them, and what config-defaults gives runs.
#include <doctest/doctest.h>

#include "core/document/json.h"
#include "core/document/yaml.h"
#include "delivery/pipeline/run_defaults.h"
#include "delivery/pipeline/task_spec.h"

namespace caisson::pipeline {
namespace {

Value doc(const std::string& text) {
  auto value = yaml::read(text);
  REQUIRE_MESSAGE(value.ok(), (value.ok() ? "" : value.error().message));
  return *value;
}

kube::Object task_run(const std::string& spec) {
  return kube::Object(
      doc("{apiVersion: tekton.dev/v1, kind: TaskRun, metadata: {name: r, namespace: shop, uid: u}, "
          "spec: " +
          spec + "}"));
}

// The pod's annotation, or why there is no pod.
std::string told(const std::string& steps, std::string_view annotation) {
  const Value spec =
      doc("{params: [{name: env, type: string, default: dev}, {name: all, type: array, default: [x, dev]}], "
          "results: [{name: digest}], steps: " +
          steps + "}");
  const auto plan = plan_task(task_run("{}"), spec, "t", {}, {}, [](const Value&) -> Result<Value> {
    return Error{ErrorCode::invalid, "none"};
  });
  return plan.ok() ? std::string(plan->pod.annotation(annotation)) : plan.error().message;
}

constexpr const char* kWhen = "caisson.dev/steps-when";
constexpr const char* kStreams = "caisson.dev/steps-streams";

}  // namespace

TEST_CASE("a step's when is decided where its values are known: params in the plan, results of steps on the node") {
  CHECK(told("[{name: a, image: i, when: [{input: $(params.env), operator: in, values: [dev]}]}]", kWhen).empty());
  CHECK(told("[{name: a, image: i, when: [{input: $(params.env), operator: notin, values: ['$(params.all[*])']}]}]",
             kWhen) == R"x({"step-a":[false]})x");
  CHECK(told("[{name: a, image: i, when: [{cel: \"'$(params.env)' == 'prod'\"}]}]", kWhen) ==
        R"x({"step-a":[false]})x");
  CHECK(told("[{name: a, image: i, results: [{name: r}]}, {name: b, image: i, when: [{input: "
             "$(steps.a.results.r), operator: in, values: ['$(params.env)']}]}]",
             kWhen) == R"x({"step-b":[{"input":"$(steps.a.results.r)","operator":"in","values":["dev"]}]})x");
}

TEST_CASE("a step's when that can't be decided is refused by name") {
  CHECK(told("[{name: a, image: i, when: [{input: x, operator: is, values: [x]}]}]", kWhen)
            .find("spec.steps[0].when[0]: operator \"is\" is not recognized") != std::string::npos);
  CHECK(told("[{name: a, image: i, when: [{cel: 'true', input: x}]}]", kWhen).find("exclude each other") !=
        std::string::npos);
  CHECK(told("[{name: a, image: i, results: [{name: r}]}, {name: b, image: i, when: [{cel: \"'$(steps.a.results.r)' "
             "== ''\"}]}]",
             kWhen)
            .find("step b: when: cel with results of steps is not supported") != std::string::npos);
  CHECK(told("[{name: b, image: i, when: [{input: $(steps.a.results.r), operator: in, values: [x]}]}]", kWhen)
            .find("no step before it is called a") != std::string::npos);
}

TEST_CASE("a step's streams go to files whose paths may be variables") {
  CHECK(told("[{name: a, image: i, stdoutConfig: {path: $(results.digest.path)}, stderrConfig: {path: /data/err}}]",
             kStreams) == R"x({"step-a":{"stdout":"/tekton/results/digest","stderr":"/data/err"}})x");
  CHECK(told("[{name: a, image: i, stdoutConfig: {}}]", kStreams).find("spec.steps[0].stdoutConfig.path is missing") !=
        std::string::npos);
  CHECK(told("[{name: a, image: i, stdoutConfig: {path: /x, mode: 1}}]", kStreams)
            .find("stdoutConfig.mode is not supported") != std::string::npos);
}

TEST_CASE("a workspace that a step asks for itself is in that step alone, where it says") {
  const auto mounts = [](const std::string& steps) {
    const Value spec = doc("{workspaces: [{name: secret}, {name: source}], steps: " + steps + "}");
    const auto plan = plan_task(task_run("{workspaces: [{name: secret, secret: {secretName: s}}, {name: source, "
                                         "emptyDir: {}}]}"),
                                spec, "t", {}, {}, [](const Value&) -> Result<Value> {
                                  return Error{ErrorCode::invalid, "none"};
                                });
    if (!plan.ok()) return plan.error().message;
    std::string out;
    for (const Value& container : plan->pod.spec()["containers"].items()) {
      out += container["name"].str() + ":";
      for (const Value& mount : container["volumeMounts"].items())
        if (mount["name"].as_string().starts_with("ws-")) out += " " + mount["mountPath"].str();
      out += "; ";
    }
    return out;
  };
  CHECK(mounts("[{name: a, image: i}, {name: b, image: i}]") ==
        "step-a: /workspace/secret /workspace/source; step-b: /workspace/secret /workspace/source; ");
  CHECK(mounts("[{name: a, image: i, workspaces: [{name: secret, mountPath: /keys}]}, {name: b, image: i}]") ==
        "step-a: /keys /workspace/source; step-b: /workspace/source; ");
  CHECK(mounts("[{name: a, image: i, workspaces: [{name: other}]}]").find("undefined workspace \"other\"") !=
        std::string::npos);
}

TEST_CASE("config-defaults: what a run does not say itself") {
  const auto defaults = parse_run_defaults(
      doc("{default-timeout-minutes: '5', default-service-account: builder, default-managed-by-label-value: us, "
          "default-pod-template: 'nodeSelector: {disk: ssd}', default-task-run-workspace-binding: 'emptyDir: {}', "
          "default-cloud-events-sink: 'http://x'}"));
  REQUIRE_MESSAGE(defaults.ok(), (defaults.ok() ? "" : defaults.error().message));
  kube::Object bare = task_run("{workspaces: [{name: own, configMap: {name: c}}]}");
  give_defaults_to_task_run(bare, *defaults);
  bind_default_workspaces(bare, doc("{workspaces: [{name: own}, {name: source}, {name: cache, optional: true}]}"),
                          *defaults);
  CHECK(json::write(bare.spec()) ==
        R"({"workspaces":[{"name":"own","configMap":{"name":"c"}},{"emptyDir":{},"name":"source"}],"timeout":"5m",)"
        R"("serviceAccountName":"builder","podTemplate":{"nodeSelector":{"disk":"ssd"}}})");
  CHECK(bare.label(kManagedByLabel) == "us");
  kube::Object own = task_run("{timeout: 1s, serviceAccountName: me, podTemplate: {nodeSelector: {a: b}}}");
  const Value before = own.spec();
  give_defaults_to_task_run(own, *defaults);
  CHECK(own.spec() == before);
  kube::Object pipeline(doc("{kind: PipelineRun, metadata: {name: p}, spec: {pipelineRef: {name: x}}}"));
  give_defaults_to_pipeline_run(pipeline, *defaults);
  CHECK(json::write(pipeline.spec()) ==
        R"({"pipelineRef":{"name":"x"},"timeouts":{"pipeline":"5m"},"taskRunTemplate":{"serviceAccountName":"builder",)"
        R"("podTemplate":{"nodeSelector":{"disk":"ssd"}}}})");
  kube::Object untouched = task_run("{}");
  give_defaults_to_task_run(untouched, *parse_run_defaults(Value()));
  CHECK(json::write(untouched.spec()) == "{}");
}

TEST_CASE("config-defaults that make no sense are named") {
  CHECK(parse_run_defaults(doc("{default-timeout-minutes: soon}")).error().message ==
        "failed parsing default config \"default-timeout-minutes\": \"soon\"");
  CHECK(parse_run_defaults(doc("{default-pod-template: '[a]'}")).error().message ==
        "default-pod-template: must be a map");
}

}  // namespace caisson::pipeline
