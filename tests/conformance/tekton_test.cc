// SPDX-License-Identifier: Apache-2.0
// Tekton's own examples, planned to their end: each TaskRun becomes a pod; each PipelineRun's tasks are taken as
// succeeded, with results of the declared types, until the run says that it is over. What the steps do is not run here.
// Source: tektoncd/pipeline examples/v1.
#include <map>

#include "conformance/corpus.h"
#include "core/document/yaml.h"
#include "delivery/pipeline/pipeline_plan.h"
#include "delivery/pipeline/run_defaults.h"
#include "delivery/pipeline/task_run_status.h"
#include "delivery/pipeline/task_spec.h"

namespace caisson::pipeline {
namespace {

const Time kNow(std::chrono::seconds(1'700'000'000));

struct Example {
  std::map<std::string, Value> tasks, pipelines, actions;
  std::vector<kube::Object> runs;
  RunDefaults defaults;
};

Result<Example> load(const std::string& text) {
  Example out;
  const auto documents = TRY(yaml::read_all(text));
  for (const Value& document : documents) {
    kube::Object object(document);
    if (object.kind() == "Task") out.tasks[object.name()] = object.spec();
    if (object.kind() == "StepAction") out.actions[object.name()] = object.spec();
    if (object.kind() == "Pipeline") out.pipelines[object.name()] = object.spec();
    if (object.kind() != "TaskRun" && object.kind() != "PipelineRun") continue;
    Value& metadata = object.edit({"metadata"});
    if (object.name().empty()) metadata.set("name", metadata["generateName"].str() + "x");
    metadata.set("namespace", "default");
    metadata.set("uid", "uid-" + std::to_string(out.runs.size()));
    object.edit({"status"}).set("startTime", format_time(kNow));
    out.runs.push_back(object);
  }
  if (out.runs.empty()) return Error{ErrorCode::invalid, "the example has no run"};
  return out;
}

// What the reconciler does with a claim template of a run.
void bind_claims(kube::Object& run) {
  Value workspaces = run.spec()["workspaces"];
  for (std::size_t i = 0; i < workspaces.size(); ++i) {
    if (workspaces[i]["volumeClaimTemplate"].is_null()) continue;
    workspaces.edit(i).erase("volumeClaimTemplate");
    workspaces.edit(i).set("persistentVolumeClaim", Value{{"claimName", "pvc"}});
  }
  if (!workspaces.is_null()) run.edit({"spec"}).set("workspaces", workspaces);
}

Result<TaskPlan> plan_run(const Example& example, kube::Object run) {
  bind_claims(run);
  const std::string name = run.spec()["taskRef"]["name"].str();
  Value spec = run.spec()["taskSpec"];
  if (spec.is_null()) {
    const auto found = example.tasks.find(name);
    if (found == example.tasks.end()) return Error{ErrorCode::invalid, "task " + name + " is not in the example"};
    spec = found->second;
  }
  bind_default_workspaces(run, spec, example.defaults);
  return plan_task(run, spec, name.empty() ? run.name() : name, {}, {}, [&](const Value& reference) -> Result<Value> {
    const std::string action = reference["name"].str();
    const auto found = example.actions.find(action);
    if (found != example.actions.end()) return found->second;
    return Error{ErrorCode::invalid, "step action " + action + " is not in the example"};
  });
}

Value result_of(const Value& declared) {
  const std::string_view type = declared["type"].as_string();
  Value value = "x";
  if (type == "array") value = Value::list_of({"x", "y", "z"});
  if (type == "object") {
    value = Value::map();
    for (const auto& property : declared["properties"].entries()) value.set(property.key, "x");
  }
  return Value{{"name", declared["name"]}, {"type", type.empty() ? "string" : type}, {"value", value}};
}

Result<void> run_pipeline(const Example& example, kube::Object run) {
  const std::string name = run.spec()["pipelineRef"]["name"].str();
  Value spec = run.spec()["pipelineSpec"];
  if (spec.is_null()) {
    const auto found = example.pipelines.find(name);
    if (found == example.pipelines.end())
      return Error{ErrorCode::invalid, "pipeline " + name + " is not in the example"};
    spec = found->second;
  }
  Children children;
  for (int round = 0; round < 50; ++round) {
    const PipelinePlan plan = TRY(plan_pipeline(run, spec, name.empty() ? run.name() : name, children, kNow));
    run.edit().set("status", plan.status);
    if (plan.done) {
      if (succeeded(run) == "True") return {};
      return Error{ErrorCode::internal, kube::condition(run, "Succeeded")["message"].str()};
    }
    for (kube::Object task_run : plan.create) {
      if (task_run.kind() == "PipelineRun") {
        task_run.edit({"metadata"}).set("uid", "uid-" + task_run.name());
        task_run.edit({"status"}).set("startTime", format_time(kNow));
        TRY(run_pipeline(example, task_run).in(task_run.name()));
        set_succeeded(task_run, "True", "Succeeded", "", kNow);
        children.emplace(std::string(task_run.label("tekton.dev/pipelineTask")), task_run);
        continue;
      }
      const TaskPlan task = TRY(plan_run(example, task_run).in("TaskRun " + task_run.name()));
      Value results = Value::list();
      for (const Value& declared : task.spec["results"].items()) results.push_back(result_of(declared));
      task_run.edit({"status"}).set("results", results);
      set_succeeded(task_run, "True", "Succeeded", "", kNow);
      children.emplace(std::string(task_run.label("tekton.dev/pipelineTask")), task_run);
    }
  }
  return Error{ErrorCode::internal, "the pipeline does not end"};
}

Result<void> run_example(const std::string& path) {
  const std::string text = TRY(read_file(path));
  Example example = TRY(load(text));
  // Made for an installation whose config-defaults has this binding.
  if (path.ends_with("/default-workspaces.yaml")) example.defaults.workspace = Value{{"emptyDir", Value::map()}};
  for (const kube::Object& run : example.runs) {
    if (run.kind() == "PipelineRun")
      TRY(run_pipeline(example, run).in(run.name()));
    else
      TRY(plan_run(example, run).in(run.name()));
  }
  return {};
}

TEST_CASE("Tekton's examples plan to their end") {
  const std::string root = conformance::corpus_dir("tekton/pipeline");
  if (root.empty()) return;
  conformance::Outcomes outcomes("tekton");
  std::vector<std::string> folders{"pipelineruns", "pipelineruns/alpha", "pipelineruns/beta", "pipelineruns/no-ci",
                                   "taskruns",     "taskruns/alpha",     "taskruns/beta",     "taskruns/no-ci"};
  for (const std::string& folder : folders) {
    const auto names = list_dir(root + "/" + folder);
    if (!names.ok()) continue;
    for (const std::string& name : *names) {
      if (!name.ends_with(".yaml")) continue;
      const auto ran = run_example(root + "/" + folder + "/" + name);
      if (ran.ok())
        outcomes.passed(folder + "/" + name);
      else
        outcomes.failed(folder + "/" + name, ran.error().message);
    }
  }
  outcomes.check(true);
}

}  // namespace
}  // namespace caisson::pipeline
