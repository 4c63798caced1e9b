// SPDX-License-Identifier: Apache-2.0
#include "delivery/pipeline/matrix.h"

#include <doctest/doctest.h>

#include "core/base/text.h"
#include "core/document/yaml.h"
#include "delivery/pipeline/pipeline_plan.h"
#include "delivery/pipeline/task_run_status.h"

using namespace caisson;
using namespace caisson::pipeline;

namespace {

const Time kStart(std::chrono::seconds(1'700'000'000));

// "os=linux browser=chrome; os=mac browser=chrome"
std::string told(const std::vector<Value>& combinations) {
  std::vector<std::string> lines;
  for (const Value& params : combinations) {
    std::vector<std::string> one;
    for (const Value& param : params.items()) one.push_back(param["name"].str() + "=" + param["value"].scalar_text());
    lines.push_back(join(one, " "));
  }
  return join(lines, "; ");
}

kube::Object pipeline_run(const std::string& spec) {
  kube::Object run = kube::Object::make(schema::kPipelineRuns, "shop", "run");
  run.edit({"metadata"}).set("uid", "u-1");
  run.edit().set("spec", Value{{"pipelineSpec", yaml::read(spec).value()}});
  run.edit({"status"}).set("startTime", format_time(kStart));
  return run;
}

PipelinePlan planned(const std::string& spec, const Children& children) {
  auto plan = plan_pipeline(pipeline_run(spec), yaml::read(spec).value(), "p", children, kStart);
  REQUIRE_MESSAGE(plan.ok(), (plan.ok() ? "" : plan.error().message));
  return std::move(plan).value();
}

kube::Object ended(kube::Object child, const char* status, const char* reason, const std::string& result = "") {
  if (!result.empty())
    child.edit({"status"}).set("results", Value(std::vector<Value>{Value{{"name", "r"}, {"value", result}}}));
  set_succeeded(child, status, reason, "because", kStart);
  return child;
}

const char* kMatrix = R"yaml(
tasks:
- name: build
  matrix: {params: [{name: os, value: [linux, mac]}]}
  taskSpec: {params: [{name: os}], results: [{name: r}], steps: [{image: i, script: echo $(params.os)}]}
- {name: collect, taskRef: {name: t}, params: [{name: all, value: '$(tasks.build.results.r[*])'}]}
- {name: count, taskRef: {name: t}, runAfter: [build], params: [{name: n, value: $(tasks.build.matrix.length) $(tasks.build.matrix.r.length)}]}
)yaml";

}  // namespace

TEST_CASE("a matrix is every combination, and what include adds") {
  const std::pair<const char*, const char*> cases[] = {
      {"params: [{name: os, value: [linux, mac]}, {name: browser, value: [chrome, safari]}]",
       "os=linux browser=chrome; os=mac browser=chrome; os=linux browser=safari; os=mac browser=safari"},
      {"include: [{name: a, params: [{name: os, value: linux}]}, {name: b, params: [{name: os, value: mac}, {name: x, "
       "value: y}]}]",
       "os=linux; os=mac x=y"},
      {"{params: [{name: os, value: [linux, mac]}], include: [{name: all, params: [{name: flag, value: f}]}]}",
       "os=linux flag=f; os=mac flag=f"},
      {"{params: [{name: os, value: [linux, mac]}], include: [{name: one, params: [{name: os, value: mac}, {name: arm, "
       "value: yes}]}]}",
       "os=linux; os=mac arm=yes"},
      {"{params: [{name: os, value: [linux, mac]}], include: [{name: more, params: [{name: os, value: windows}]}]}",
       "os=linux; os=mac; os=windows"},
      {"params: [{name: os, value: [linux]}, {name: none, value: []}]", ""},
  };
  for (const auto& [matrix, want] : cases) {
    CAPTURE(matrix);
    const auto combinations = matrix_combinations(yaml::read(matrix).value());
    REQUIRE(combinations.ok());
    CHECK(told(*combinations) == want);
  }
}

TEST_CASE("a matrix of more than 256 combinations is refused") {
  Value values = Value::list();
  for (int i = 0; i < 17; ++i) values.push_back(std::to_string(i));
  Value params = Value::list();
  params.push_back(Value{{"name", "a"}, {"value", values}});
  CHECK(matrix_combinations(Value{{"params", params}}).ok());
  params.push_back(Value{{"name", "b"}, {"value", values}});
  CHECK_FALSE(matrix_combinations(Value{{"params", params}}).ok());
}

TEST_CASE("the tasks of a matrix are runs of their own, whose results become lists") {
  PipelinePlan plan = planned(kMatrix, {});
  REQUIRE(plan.create.size() == 2);
  CHECK(plan.create[0].name() == "run-build-0");
  CHECK(plan.create[1].name() == "run-build-1");
  CHECK(plan.create[1].spec()["params"][0]["value"].as_string() == "mac");

  // The second ends first; the order of the list is the matrix's.
  Children children{{"build", ended(plan.create[1], "True", "Succeeded", "b")}, {"build", plan.create[0]}};
  CHECK(planned(kMatrix, children).create.empty());
  children = {{"build", ended(plan.create[1], "True", "Succeeded", "b")},
              {"build", ended(plan.create[0], "True", "Succeeded", "a")}};
  plan = planned(kMatrix, children);
  REQUIRE(plan.create.size() == 2);
  CHECK(plan.create[0].spec()["params"][0]["value"].size() == 2);
  CHECK(plan.create[0].spec()["params"][0]["value"][0].as_string() == "a");
  CHECK(plan.create[1].spec()["params"][0]["value"].as_string() == "2 2");
  CHECK(plan.status["childReferences"].size() == 4);
}

TEST_CASE(
    "a run of a matrix that a killed process left out is made, and a failed one fails the task when all have ended") {
  const PipelinePlan plan = planned(kMatrix, {});
  const Children only_one{{"build", plan.create[1]}};
  const PipelinePlan rest = planned(kMatrix, only_one);
  REQUIRE(rest.create.size() == 1);
  CHECK(rest.create[0].name() == "run-build-0");

  Children children{{"build", ended(plan.create[0], "False", "Failed")}, {"build", plan.create[1]}};
  CHECK_FALSE(planned(kMatrix, children).done);
  children = {{"build", ended(plan.create[0], "False", "Failed")},
              {"build", ended(plan.create[1], "True", "Succeeded", "b")}};
  const PipelinePlan failed = planned(kMatrix, children);
  CHECK(failed.done);
  CHECK(failed.status["conditions"][0]["message"].str().find("Task build failed: because") != std::string::npos);
}

TEST_CASE("an empty matrix skips its task") {
  const PipelinePlan plan =
      planned("tasks: [{name: a, taskRef: {name: t}, matrix: {params: [{name: p, value: []}]}}]", {});
  CHECK(plan.create.empty());
  CHECK(plan.status["skippedTasks"][0]["reason"].as_string() == "Matrix Parameters have an empty array");
}

TEST_CASE("a pipeline in a pipeline is a run of its own") {
  const char* spec = R"yaml(
tasks:
- {name: inner, pipelineRef: {name: other}, params: [{name: who, value: you}]}
- {name: after, taskRef: {name: t}, params: [{name: r, value: $(tasks.inner.results.r)}]}
)yaml";
  PipelinePlan plan = planned(spec, {});
  REQUIRE(plan.create.size() == 1);
  CHECK(plan.create[0].kind() == "PipelineRun");
  CHECK(plan.create[0].spec()["pipelineRef"]["name"].as_string() == "other");
  CHECK(plan.create[0].spec()["params"][0]["value"].as_string() == "you");
  CHECK(plan.status["childReferences"][0]["kind"].as_string() == "PipelineRun");
  plan = planned(spec, {{"inner", ended(plan.create[0], "True", "Completed", "from inside")}});
  REQUIRE(plan.create.size() == 1);
  CHECK(plan.create[0].spec()["params"][0]["value"].as_string() == "from inside");
}
