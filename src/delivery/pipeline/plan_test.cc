// SPDX-License-Identifier: Apache-2.0
// The pure plans: a PipelineRun's next TaskRuns, a TaskRun's pod, a pod's word as status, an event's objects.
#include <doctest/doctest.h>

#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/document/yaml.h"
#include "delivery/pipeline/event_listener.h"
#include "delivery/pipeline/pipeline_graph.h"
#include "delivery/pipeline/pipeline_plan.h"
#include "delivery/pipeline/task_run_status.h"
#include "delivery/pipeline/task_spec.h"
#include "delivery/pipeline/triggers.h"

namespace caisson::pipeline {
namespace {

const Time kStart(std::chrono::seconds(1'700'000'000));

Value parse(const std::string& text) {
  auto value = yaml::read(text);
  INFO((value.ok() ? "" : value.error().message));
  REQUIRE(value.ok());
  return std::move(value).value();
}

kube::Object run_of(const std::string& kind, const std::string& spec) {
  kube::Object run = kube::Object::make(kind == "TaskRun" ? schema::kTaskRuns : schema::kPipelineRuns, "shop", "run");
  run.edit({"metadata"}).set("uid", "uid-1");
  run.set_annotation(kTraceparentAnnotation, "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01");
  run.edit().set("spec", parse(spec));
  run.edit({"status"}).set("startTime", format_time(kStart));
  return run;
}

// A TaskRun that ended (or runs), with results.
kube::Object task_run(const std::string& name, const std::string& status, const std::string& reason = "",
                      const Value& results = {}, const std::string& message = "") {
  kube::Object run = kube::Object::make(schema::kTaskRuns, "shop", "run-" + name);
  set_succeeded(run, status,
                reason.empty() ? (status == "True"    ? "Succeeded"
                                  : status == "False" ? "Failed"
                                                      : "Running")
                               : reason,
                message, kStart);
  if (!results.is_null()) run.edit({"status"}).set("results", results);
  return run;
}

std::string created(const PipelinePlan& plan) {
  std::vector<std::string> names;
  for (const kube::Object& object : plan.create) names.push_back(std::string(object.label("tekton.dev/pipelineTask")));
  return join(names, " ");
}
std::string skipped(const PipelinePlan& plan) {
  std::vector<std::string> names;
  for (const Value& task : plan.status["skippedTasks"].items())
    names.push_back(task["name"].str() + ": " + task["reason"].str());
  return join(names, ", ");
}
std::string condition(const PipelinePlan& plan) {
  const Value& c = plan.status["conditions"][0];
  return c["status"].str() + " " + c["reason"].str() + " " + c["message"].str();
}

const char* kPipeline = R"yaml(
params: [{name: branch, default: main}]
tasks:
- {name: clone, taskRef: {name: git-clone}, params: [{name: revision, value: $(params.branch)}]}
- {name: test, taskRef: {name: test}, runAfter: [clone]}
- {name: build, taskRef: {name: build}, runAfter: [clone], params: [{name: sha, value: $(tasks.clone.results.commit)}]}
- {name: deploy, taskRef: {name: deploy}, params: [{name: digest, value: $(tasks.build.results.digest)}],
   when: [{input: $(params.branch), operator: in, values: [main]}]}
- {name: notify, taskRef: {name: notify}, runAfter: [deploy]}
finally:
- {name: report, taskRef: {name: report}, params: [{name: status, value: "$(tasks.build.status) $(tasks.status)"}]}
- {name: after-deploy, taskRef: {name: x}, params: [{name: d, value: $(tasks.build.results.digest)}]}
results: [{name: image, value: $(tasks.build.results.digest)}]
)yaml";

TEST_CASE("a pipeline's tasks start when what they wait for has ended") {
  const Value results = parse("[{name: commit, type: string, value: abc}]");
  const Value digest = parse("[{name: digest, type: string, value: sha256:1}]");
  using Runs = Children;
  struct Case {
    const char* name;
    std::string spec;
    Runs runs;
    const char *create, *skip, *condition;
    Duration age{};
    const char* cancel = "";
  };
  const Case cases[] = {
      {"at first",
       "{}",
       {},
       "clone",
       "",
       "Unknown Running Tasks Completed: 0 (Failed: 0, Cancelled 0), Incomplete: 7, Skipped: 0"},
      {"clone runs",
       "{}",
       {{"clone", task_run("clone", "Unknown")}},
       "",
       "",
       "Unknown Running Tasks Completed: 0 (Failed: 0, Cancelled 0), Incomplete: 7, Skipped: 0"},
      {"clone is done",
       "{}",
       {{"clone", task_run("clone", "True", "", results)}},
       "test build",
       "",
       "Unknown Running Tasks Completed: 1 (Failed: 0, Cancelled 0), Incomplete: 6, Skipped: 0"},
      {"clone failed: finally runs",
       "{}",
       {{"clone", task_run("clone", "False", "Failed", {}, "\"step-clone\" exited with code 128: boom")}},
       "report",
       "test: PipelineRun was stopping, build: PipelineRun was stopping, deploy: PipelineRun was stopping, notify: "
       "PipelineRun was stopping, after-deploy: Results were missing",
       "Unknown Stopping Tasks Completed: 1 (Failed: 1, Cancelled 0), Incomplete: 1, Skipped: 5"},
      {"all over after a failure",
       "{}",
       {{"clone", task_run("clone", "False", "Failed", {}, "\"step-clone\" exited with code 128: boom")},
        {"report", task_run("report", "True")}},
       "",
       "test: PipelineRun was stopping, build: PipelineRun was stopping, deploy: PipelineRun was stopping, notify: "
       "PipelineRun was stopping, after-deploy: Results were missing",
       "False Failed Tasks Completed: 2 (Failed: 1, Cancelled 0), Skipped: 5. Task clone failed: \"step-clone\" exited "
       "with code 128: boom"},
      {"a when that is false lets those go on that only come after it",
       "{params: [{name: branch, value: side}]}",
       {{"clone", task_run("clone", "True", "", results)},
        {"test", task_run("test", "True")},
        {"build", task_run("build", "True", "", digest)}},
       "notify",
       "deploy: When Expressions evaluated to false",
       "Unknown Running Tasks Completed: 3 (Failed: 0, Cancelled 0), Incomplete: 3, Skipped: 1"},
      {"cancelled",
       "{status: Cancelled}",
       {{"clone", task_run("clone", "Unknown")}},
       "",
       "test: PipelineRun was cancelled, build: PipelineRun was cancelled, deploy: PipelineRun was cancelled, notify: "
       "PipelineRun was cancelled, report: PipelineRun was cancelled, after-deploy: PipelineRun was cancelled",
       "Unknown Running Tasks Completed: 0 (Failed: 0, Cancelled 0), Incomplete: 1, Skipped: 6",
       {},
       "run-clone"},
      {"cancelled and over",
       "{status: Cancelled}",
       {{"clone", task_run("clone", "False", "TaskRunCancelled")}},
       "",
       "test: PipelineRun was cancelled, build: PipelineRun was cancelled, deploy: PipelineRun was cancelled, notify: "
       "PipelineRun was cancelled, report: PipelineRun was cancelled, after-deploy: PipelineRun was cancelled",
       "False Cancelled PipelineRun \"run\" was cancelled"},
      {"out of time",
       "{timeouts: {pipeline: 10m}}",
       {{"clone", task_run("clone", "Unknown")}},
       "",
       "test: PipelineRun timeout has been reached, build: PipelineRun timeout has been reached, deploy: PipelineRun "
       "timeout has been reached, notify: PipelineRun timeout has been reached, report: PipelineRun timeout has been "
       "reached, after-deploy: PipelineRun timeout has been reached",
       "False PipelineRunTimeout PipelineRun \"run\" failed to finish within \"10m0s\"",
       std::chrono::minutes(11),
       "run-clone"},
      {"pending",
       "{status: PipelineRunPending}",
       {},
       "",
       "",
       "Unknown PipelineRunPending PipelineRun \"run\" is pending"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    const auto plan = plan_pipeline(run_of("PipelineRun", c.spec), parse(kPipeline), "ship", c.runs, kStart + c.age);
    INFO((plan.ok() ? "" : plan.error().message));
    REQUIRE(plan.ok());
    CHECK(created(*plan) == c.create);
    CHECK(skipped(*plan) == c.skip);
    CHECK(condition(*plan) == c.condition);
    CHECK(join(plan->cancel, " ") == c.cancel);
  }
}

TEST_CASE("a pipeline that went well has its results, and its tasks got theirs") {
  const Value results = parse("[{name: commit, type: string, value: abc}]");
  const Value digest = parse("[{name: digest, type: string, value: sha256:1}]");
  Children runs{{"clone", task_run("clone", "True", "", results)}};
  const kube::Object run =
      run_of("PipelineRun", "{taskRunTemplate: {serviceAccountName: builder}, timeouts: {pipeline: 30m}}");
  auto plan = plan_pipeline(run, parse(kPipeline), "ship", runs, kStart + std::chrono::minutes(10)).value();
  REQUIRE(plan.create.size() == 2);
  const kube::Object& build = plan.create[1];
  CHECK(build.name() == "run-build");
  CHECK(build.spec()["params"][0]["value"].as_string() == "abc");
  CHECK(build.spec()["serviceAccountName"].as_string() == "builder");
  CHECK(build.spec()["timeout"].as_string() == "30m0s");
  CHECK(build.controller()->uid == "uid-1");
  CHECK(build.trace().trace_id == "0123456789abcdef0123456789abcdef");
  for (const char* name : {"test", "deploy", "notify", "report", "after-deploy"})
    runs.emplace(name, task_run(name, "True"));
  runs.emplace("build", task_run("build", "True", "", digest));
  plan = plan_pipeline(run, parse(kPipeline), "ship", runs, kStart).value();
  CHECK(plan.done);
  CHECK(condition(plan) == "True Succeeded Tasks Completed: 7 (Failed: 0, Cancelled 0), Skipped: 0");
  CHECK(json::write(plan.status["results"]) == R"([{"name":"image","value":"sha256:1"}])");
  CHECK(plan.status["childReferences"].size() == 7);
}

TEST_CASE("a pipeline that can't run says why") {
  const std::pair<const char*, const char*> cases[] = {
      {"tasks: []", "a pipeline needs at least one task"},
      {"tasks: [{name: a, taskRef: {name: x}, runAfter: [b]}]",
       "task a runs after b, which is no task of the pipeline"},
      {"tasks: [{name: a, taskRef: {name: x}, runAfter: [b]}, {name: b, taskRef: {name: x}, runAfter: [a]}]",
       "the tasks wait for each other: a → b → a"},
      {"tasks: [{name: a, taskRef: {name: x}}, {name: a, taskRef: {name: x}}]", "two tasks called a"},
      {"tasks: [{name: a}]", "exactly one of taskRef, taskSpec, pipelineRef and pipelineSpec"},
      {"tasks: [{name: a, taskRef: {name: x}, matrix: {params: [{name: p, value: v}]}}]",
       "matrix param \"p\" must be a list"},
      {"tasks: [{name: a, taskRef: {name: x}, colour: red}]", "tasks[0].colour is not supported"},
      {"tasks: [{name: a, pipelineRef: {name: x}, retries: 1}]",
       "retries are not supported for a pipeline in a pipeline"},
      {"tasks: [{name: a, taskRef: {name: x, apiVersion: example.dev/v1}}]",
       "custom tasks (example.dev/v1) are not supported"},
      {"tasks: [{name: a, taskRef: {name: x}, params: [{name: p, value: $(params.none)}]}]",
       "$(params.none) refers to something that is not declared"},
      {"tasks: [{name: a, taskRef: {name: x}, params: [{name: p, value: $(tasks.b.results.r)}]}]",
       "uses the result r of b, which is no task of the pipeline"},
      {"{params: [{name: p}], tasks: [{name: a, taskRef: {name: x}}]}",
       "missing values for these params which have no default values: [p]"},
      {"{workspaces: [{name: w}], tasks: [{name: a, taskRef: {name: x}}]}",
       "pipeline requires workspace with name \"w\""},
      {"tasks: [{name: a, taskRef: {name: x}, when: [{input: a, operator: like, values: [a]}]}]",
       "operator \"like\" is not recognized"},
  };
  for (const auto& [spec, want] : cases) {
    CAPTURE(spec);
    const auto plan = plan_pipeline(run_of("PipelineRun", "{}"), parse(spec), "p", {}, kStart);
    REQUIRE_FALSE(plan.ok());
    CAPTURE(plan.error().message);
    CHECK(plan.error().message.find(want) != std::string::npos);
  }
}

const FindStepAction no_actions = [](const Value& reference) -> Result<Value> {
  return Error{ErrorCode::invalid, "stepactions.tekton.dev \"" + reference["name"].str() + "\" not found"};
};

const char* kTask = R"yaml(
params: [{name: greeting, default: hello}, {name: flags, type: array, default: [-v]}]
workspaces: [{name: source}, {name: cache, optional: true}]
results: [{name: digest}, {name: list, type: array}]
stepTemplate: {env: [{name: A, value: template}, {name: B, value: b}]}
steps:
- {name: hello, image: busybox, workingDir: $(workspaces.source.path), script: 'echo $(params.greeting) $(workspaces.cache.bound) > $(results.digest.path)', env: [{name: A, value: own}]}
- {name: build, image: executor, command: [/kaniko/executor], args: ['$(params.flags[*])', '--context=$(workspaces.source.path)'], onError: continue, computeResources: {limits: {memory: 64Mi}}}
- {image: busybox, script: "#!/usr/bin/env python3\nprint(1)", timeout: 5s}
)yaml";

TEST_CASE("a task becomes a pod whose containers are its steps") {
  const kube::Object run = run_of("TaskRun",
                                  "{serviceAccountName: builder, workspaces: [{name: source, persistentVolumeClaim: "
                                  "{claimName: pvc-1}, subPath: a}]}");
  Credentials credentials;
  credentials.https = {{"github", {"https://github.com"}}};
  const auto plan = plan_task(run, parse(kTask), "ship", credentials, {}, no_actions).value();
  const Value& spec = plan.pod.spec();
  CHECK(plan.pod.name() == "run-pod");
  CHECK(plan.pod.controller()->name == "run");
  CHECK(plan.pod.annotation("caisson.dev/steps") == "ordered");
  CHECK(plan.pod.annotation("caisson.dev/steps-continue") == "step-build");
  CHECK(plan.pod.annotation("caisson.dev/results-dir") == "tekton-results");
  CHECK(spec["restartPolicy"].as_string() == "Never");
  CHECK(spec["serviceAccountName"].as_string() == "builder");
  REQUIRE(spec["containers"].size() == 3);
  const Value& hello = spec["containers"][0];
  CHECK(hello["name"].as_string() == "step-hello");
  CHECK(hello["command"][0].as_string() == "/tekton/scripts/script-0");
  CHECK(hello["workingDir"].as_string() == "/workspace/source");
  CHECK(plan.scripts["data"]["script-0"].as_string() == "#!/bin/sh\nset -e\necho hello false > /tekton/results/digest");
  CHECK(plan.scripts["data"]["script-2"].as_string() == "#!/usr/bin/env python3\nprint(1)");
  std::map<std::string, std::string> env;
  for (const Value& variable : hello["env"].items()) env[variable["name"].str()] = variable["value"].str();
  CHECK(env["A"] == "own");
  CHECK(env["B"] == "b");
  CHECK(env["HOME"] == "/tekton/home");
  CHECK(TraceContext::parse(env["TRACEPARENT"]).trace_id == "0123456789abcdef0123456789abcdef");
  CHECK(env["GIT_CONFIG_COUNT"] == "5");
  CHECK(env["GIT_CONFIG_VALUE_3"] == "traceparent: " + env["TRACEPARENT"]);
  const Value& build = spec["containers"][1];
  CHECK(json::write(build["args"]) == R"(["-v","--context=/workspace/source"])");
  CHECK(build["resources"]["limits"]["memory"].as_string() == "64Mi");
  CHECK(spec["containers"][2]["name"].as_string() == "step-unnamed-2");
  std::string mounts;
  for (const Value& mount : hello["volumeMounts"].items())
    mounts += mount["mountPath"].str() + (mount["subPath"].is_null() ? "" : "(" + mount["subPath"].str() + ")") + " ";
  CHECK(mounts ==
        "/tekton/creds-secrets/github /tekton/home /tekton/results /tekton/scripts /tekton/steps /workspace "
        "/workspace/source(a) ");
}

TEST_CASE("a task that can't run says why") {
  struct Case {
    const char *run, *task, *want;
  };
  const Case cases[] = {
      {"{}", "steps: []", "a task needs at least one step"},
      {"{}", "steps: [{name: a}]", "spec.steps[0].image is missing"},
      {"{}", "steps: [{name: a, image: i, script: x, command: [y]}]", "script and command exclude each other"},
      {"{}", "steps: [{name: a, image: i}, {name: a, image: i}]", "is there twice"},
      {"{}", "steps: [{name: a, ref: {name: s}}]", "stepactions.tekton.dev \"s\" not found"},
      {"{}", "{steps: [{name: a, ref: {name: s}, image: i}]}", "image cannot be used with ref"},
      {"{}", "{steps: [{name: a, image: i, params: [{name: p, value: v}]}]}", "only a step with ref has params"},
      {"{}", "{steps: [{name: a, image: i, args: ['$(steps.b.results.r)']}]}", "no step before it is called b"},
      {"{}", "{results: [{name: r, value: x}], steps: [{name: a, image: i}]}",
       "its value must be $(steps.STEP.results"},
      {"{}", "{steps: [{name: a, image: i, script: 'cat $(steps.step-x.exitCode.path) $(params.none)'}]}",
       "$(params.none) refers to something"},
      {"{}", "{workspaces: [{name: w}], steps: [{name: a, image: i}]}", "needs the workspace \"w\""},
      {"{workspaces: [{name: w, emptyDir: {}}]}", "{steps: [{name: a, image: i}]}", "which task ship does not declare"},
      {"{workspaces: [{name: w}]}", "{workspaces: [{name: w}], steps: [{name: a, image: i}]}",
       "must be bound to exactly one of"},
      {"{params: [{name: p, value: [a]}]}", "{params: [{name: p}], steps: [{name: a, image: i}]}",
       "is of type string, but its value is a list"},
      {"{podTemplate: {colour: red}}", "{steps: [{name: a, image: i}]}", "podTemplate.colour is not known"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.task);
    const auto plan = plan_task(run_of("TaskRun", c.run), parse(c.task), "ship", {}, {}, no_actions);
    REQUIRE_FALSE(plan.ok());
    CAPTURE(plan.error().message);
    CHECK(plan.error().message.find(c.want) != std::string::npos);
  }
}

TEST_CASE("a step with ref runs its StepAction, and may use what an earlier step left") {
  const FindStepAction find = [](const Value&) -> Result<Value> {
    return parse(R"yaml(
params: [{name: files, type: array}, {name: who, default: you}, {name: image, type: object, properties: {url: {}}}]
results: [{name: said}]
image: busybox
env: [{name: URL, value: $(params.image.url)}]
args: ['$(params.files[*])', '$(params.files[0])', '$(params.who)']
script: echo > $(step.results.said.path)
)yaml");
  };
  const Value task = parse(R"yaml(
results: [{name: said, value: $(steps.say.results.said)}]
steps:
- {name: first, image: busybox, results: [{name: list, type: array}, {name: object, type: object}], script: x > $(step.results.list.path)}
- {name: say, ref: {name: act}, workingDir: /w, params: [{name: files, value: '$(steps.first.results.list[*])'}, {name: image, value: '$(steps.first.results.object[*])'}]}
- {name: last, image: busybox, script: cat $(steps.say.exitCode.path)}
)yaml");
  const auto plan = plan_task(run_of("TaskRun", "{}"), task, "ship", {}, {}, find);
  REQUIRE_MESSAGE(plan.ok(), (plan.ok() ? "" : plan.error().message));
  const Value& say = plan->pod.spec()["containers"][1];
  CHECK(json::write(say["args"]) == R"x(["$(steps.first.results.list[*])","$(steps.first.results.list[0])","you"])x");
  CHECK(say["env"][0]["value"].as_string() == "$(steps.first.results.object.url)");
  CHECK(say["image"].as_string() == "busybox");
  CHECK(say["workingDir"].as_string() == "/w");
  CHECK(plan->scripts["data"]["script-0"].as_string().ends_with("x > /tekton/steps/step-first/results/list"));
  CHECK(plan->scripts["data"]["script-1"].as_string().ends_with("echo > /tekton/steps/step-say/results/said"));
  CHECK(plan->scripts["data"]["script-2"].as_string().ends_with("cat /tekton/steps/step-say/exitCode"));
}

TEST_CASE("a pod's word becomes the run's status") {
  struct Case {
    const char *name, *pod, *condition, *results;
  };
  const Case cases[] = {
      {"pending", "{status: {phase: Pending}}", "Unknown Pending Pending", "null"},
      {"running",
       "{status: {phase: Running, containerStatuses: [{name: step-hello, state: {running: {startedAt: "
       "'2023-11-14T22:13:20Z'}}}]}}",
       "Unknown Running Not all Steps in the Task have finished executing", "null"},
      {"well",
       R"({metadata: {annotations: {caisson.dev/results: '{"digest":"sha256:1\n","list":"[\"a\"]"}'}}, status: {phase: Succeeded}})",
       "True Succeeded All Steps have completed executing",
       R"([{"name":"digest","type":"string","value":"sha256:1\n"},{"name":"list","type":"array","value":["a"]}])"},
      {"a step failed",
       R"({status: {phase: Failed, containerStatuses: [{name: step-hello, state: {terminated: {exitCode: 3, reason: Error, message: "one\nlast words\n"}}},
        {name: step-build, state: {terminated: {exitCode: 1, reason: Skipped}}}]}})",
       "False Failed \"step-hello\" exited with code 3: last words", "null"},
      {"a step that may fail did not",
       "{status: {phase: Failed, containerStatuses: [{name: step-build, state: {terminated: {exitCode: 1}}}, {name: "
       "step-unnamed-2, state: {terminated: {exitCode: 137, reason: OOMKilled}}}]}}",
       "False Failed \"step-unnamed-2\" exited with code 137 (OOMKilled)", "null"},
      {"no such image",
       "{status: {phase: Pending, containerStatuses: [{name: step-hello, image: nowhere/x, state: {waiting: {reason: "
       "ImagePullBackOff, message: not found}}}]}}",
       "False TaskRunImagePullFailed the step \"step-hello\" in TaskRun \"run\" failed to pull the image "
       "\"nowhere/x\": not found",
       "null"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    kube::Object run = run_of("TaskRun", "{}");
    const kube::Object pod{parse(c.pod)};
    observe_pod(run, pod, parse(kTask), kStart);
    const Value& found = kube::condition(run, "Succeeded");
    CHECK(found["status"].str() + " " + found["reason"].str() + " " + found["message"].str() == c.condition);
    CHECK(json::write(run.status()["results"]) == c.results);
    CHECK(run.status()["steps"].size() == 3);
  }
  const kube::Object pod{
      parse("{status: {phase: Running, containerStatuses: [{name: step-unnamed-2, state: {running: {startedAt: "
            "'2023-11-14T22:13:20Z'}}}]}}")};
  CHECK(overdue_step(pod, parse(kTask), kStart + std::chrono::seconds(4)) == "");
  CHECK(overdue_step(pod, parse(kTask), kStart + std::chrono::seconds(6)) == "step-unnamed-2");
}

TEST_CASE("which listeners hear a push") {
  const auto listener = [](const char* repository, Time made) {
    kube::Object object = kube::Object::make(schema::kEventListeners, "shop", "l");
    object.set_annotation("caisson.dev/repository", repository);
    object.edit({"metadata"}).set("creationTimestamp", format_time(made));
    return object;
  };
  kube::Object push = kube::Object::make(schema::kPushEvents, "shop", "e");
  push.edit({"metadata"}).set("creationTimestamp", format_time(kStart));
  push.edit().set("spec", parse("{repository: shop/app, ref: refs/heads/main, after: abc}"));
  CHECK(listens_to(listener("app", kStart - std::chrono::hours(100)), push, false));
  CHECK(listens_to(listener("shop/app", kStart), push, false));
  CHECK_FALSE(listens_to(listener("other", kStart), push, true));
  CHECK_FALSE(listens_to(listener("", kStart), push, true));
  CHECK(listens_to(listener("app", kStart + std::chrono::minutes(20)), push, true));
  CHECK_FALSE(listens_to(listener("app", kStart + std::chrono::minutes(20)), push, false));
  CHECK_FALSE(listens_to(listener("app", kStart + std::chrono::minutes(40)), push, true));
  push.edit({"spec"}).set("after", std::string(40, '0'));
  CHECK_FALSE(listens_to(listener("app", kStart), push, true));
}

TEST_CASE("long names are cut and stay apart") {
  CHECK(child_name("run", "-pod") == "run-pod");
  const std::string a = child_name(std::string(70, 'a') + "1", "-pod"),
                    b = child_name(std::string(70, 'a') + "2", "-pod");
  CHECK(a.size() == 63);
  CHECK(a != b);
  CHECK(a.ends_with("-pod"));
}

}  // namespace
}  // namespace caisson::pipeline
