// SPDX-License-Identifier: Apache-2.0
#include "delivery/pipeline/task_run_builder.h"

#include "delivery/pipeline/pipeline_plan.h"
#include "delivery/pipeline/spans.h"

namespace caisson::pipeline {
namespace {

const Value* find_named(const Value& list, std::string_view name) {
  for (const Value& item : list.items()) {
    if (item["name"].as_string() == name) return &item;
  }
  return nullptr;
}

// A pipeline's variables reach into an embedded task, but not where the task declares a param of the same name
// (docs/pipelineruns.md, "Propagated Parameters", scope and precedence).
Scope scope_inside(const Scope& scope, const Value& task_spec) {
  Scope inside;
  for (const auto& [name, value] : scope.values()) {
    if (name.starts_with("params.") && find_named(task_spec["params"], std::string_view(name).substr(7)) != nullptr)
      continue;
    if (name.starts_with("workspaces.")) continue;  // the task's own
    inside.set(name, value);
  }
  return inside;
}

Value binding_of(const kube::Object& run, const Value& bound, const std::string& name, const std::string& sub_path) {
  Value out{{"name", name}};
  for (const auto& entry : bound.entries()) {
    if (entry.key != "name" && entry.key != "volumeClaimTemplate") out.set(entry.key, entry.value);
  }
  if (!bound["volumeClaimTemplate"].is_null())
    out.set("persistentVolumeClaim", Value{{"claimName", workspace_claim(run, bound).name()}});
  std::string path = bound["subPath"].str();
  if (!sub_path.empty()) path += (path.empty() ? "" : "/") + sub_path;
  if (!path.empty()) out.set("subPath", path);
  return out;
}

// Workspaces that an embedded task uses without declaring them (docs/pipelineruns.md, "Propagated Workspaces").
void propagate_workspaces(const kube::Object& run, Value& task_spec, Value& bindings) {
  for (const std::string& reference : references(task_spec)) {
    if (!reference.starts_with("workspaces.")) continue;
    const std::string name = reference.substr(11, reference.find('.', 11) - 11);
    const Value* bound = find_binding(run, name);
    if (bound == nullptr || find_named(task_spec["workspaces"], name) != nullptr) continue;
    Value declared = task_spec["workspaces"].is_null() ? Value::list() : task_spec["workspaces"];
    declared.push_back(Value{{"name", name}});
    task_spec.set("workspaces", declared);
    if (find_named(bindings, name) == nullptr) bindings.push_back(binding_of(run, *bound, name, ""));
  }
}

Result<Value> workspaces_of(const kube::Object& run, const Value& task, const Scope& scope) {
  Value out = Value::list();
  for (const Value& wanted : task["workspaces"].items()) {
    const std::string name = wanted["name"].str();
    const std::string source = wanted["workspace"].as_string().empty() ? name : wanted["workspace"].str();
    const Value* bound = find_binding(run, source);
    if (bound == nullptr) continue;  // an optional one; the task says when it needs it
    const std::string sub_path = TRY(substitute_text(wanted["subPath"].as_string(), scope));
    out.push_back(binding_of(run, *bound, name, sub_path));
  }
  return out;
}

void hand_down_metadata(const kube::Object& run, const Value& embedded_metadata, kube::Object& task_run) {
  for (const auto& label : run.metadata()["labels"].entries()) task_run.set_label(label.key, label.value.as_string());
  for (const auto& annotation : run.metadata()["annotations"].entries()) {
    if (annotation.key != "kubectl.kubernetes.io/last-applied-configuration")
      task_run.set_annotation(annotation.key, annotation.value.as_string());
  }
  for (const auto& label : embedded_metadata["labels"].entries())
    task_run.set_label(label.key, label.value.as_string());
  for (const auto& annotation : embedded_metadata["annotations"].entries())
    task_run.set_annotation(annotation.key, annotation.value.as_string());
}

// taskRunTemplate for all tasks, taskRunSpecs for one.
void hand_down_settings(const kube::Object& run, const std::string& task_name, Value& spec) {
  for (const auto& entry : run.spec()["taskRunTemplate"].entries()) {
    if (entry.key == "serviceAccountName" || entry.key == "podTemplate") spec.set(entry.key, entry.value);
  }
  for (const Value& own : run.spec()["taskRunSpecs"].items()) {
    if (own["pipelineTaskName"].as_string() != task_name) continue;
    for (const char* key : {"serviceAccountName", "podTemplate", "timeout"}) {
      if (own.contains(key)) spec.set(key, own[key]);
    }
  }
}

}  // namespace

const Value* find_binding(const kube::Object& run, std::string_view workspace) {
  return find_named(run.spec()["workspaces"], workspace);
}

namespace {

kube::Object make_labelled(const ChildOf& place, const schema::Resource& resource, const Value& embedded_metadata) {
  const kube::Object& run = place.run;
  kube::Object out = kube::Object::make(resource, run.ns(), place.name);
  hand_down_metadata(run, embedded_metadata, out);
  out.set_label("tekton.dev/pipelineRun", run.name());
  out.set_label("tekton.dev/pipelineRunUID", run.uid());
  out.set_label("tekton.dev/pipeline", place.pipeline_name);
  out.set_label("tekton.dev/pipelineTask", place.task_name);
  out.set_label("tekton.dev/memberOf", place.final ? "finally" : "tasks");
  out.set_label("app.kubernetes.io/managed-by", "tekton-pipelines");
  if (place.on_error == "continue") out.set_annotation(kOnErrorAnnotation, place.on_error);
  out.set_controller(run);
  if (const TraceContext trace = pipeline_trace(run); !trace.empty())
    out.set_annotation(kTraceparentAnnotation, trace.traceparent());
  return out;
}

// A pipeline in the pipeline: it gets what it asks for, and nothing of ours but the account.
Result<kube::Object> make_pipeline_run(const ChildOf& place, const Value& task, const Scope& scope,
                                       const std::string& timeout) {
  if (task["retries"].as_int() > 0)
    return Error{ErrorCode::invalid, "retries are not supported for a pipeline in a pipeline"};
  kube::Object out = make_labelled(place, schema::kPipelineRuns, task["pipelineSpec"]["metadata"]);
  Value spec = Value::map();
  if (const Value params = TRY(substitute(task["params"], scope)); !params.empty()) spec.set("params", params);
  if (const Value workspaces = TRY(workspaces_of(place.run, task, scope)); !workspaces.empty())
    spec.set("workspaces", workspaces);
  if (!task["pipelineRef"].is_null())
    spec.set("pipelineRef", TRY(substitute(task["pipelineRef"], scope)));
  else
    spec.set("pipelineSpec", TRY(substitute(task["pipelineSpec"], scope_inside(scope, task["pipelineSpec"]))));
  spec.set("timeouts", Value{{"pipeline", timeout}});
  if (!place.run.spec()["taskRunTemplate"].is_null()) spec.set("taskRunTemplate", place.run.spec()["taskRunTemplate"]);
  out.edit().set("spec", spec);
  return out;
}

Result<kube::Object> make_task_run(const ChildOf& place, const Value& task, const Scope& scope,
                                   const std::string& timeout) {
  const kube::Object& run = place.run;
  kube::Object out = make_labelled(place, schema::kTaskRuns, task["taskSpec"]["metadata"]);
  Value spec = Value::map();
  Value params = TRY(substitute(task["params"], scope));
  if (!params.empty()) spec.set("params", params);
  Value workspaces = TRY(workspaces_of(run, task, scope));
  if (!task["taskRef"].is_null()) {
    spec.set("taskRef", TRY(substitute(task["taskRef"], scope)));
  } else {
    Value task_spec = task["taskSpec"];
    for (const char* key : {"metadata", "apiVersion", "kind"}) task_spec.erase(key);
    propagate_workspaces(run, task_spec, workspaces);
    spec.set("taskSpec", TRY(substitute(task_spec, scope_inside(scope, task_spec))));
  }
  if (!workspaces.empty()) spec.set("workspaces", workspaces);
  if (task["retries"].as_int() > 0) spec.set("retries", task["retries"]);
  spec.set("timeout", timeout);
  hand_down_settings(run, place.task_name, spec);
  if (spec["serviceAccountName"].as_string().empty()) spec.set("serviceAccountName", "default");
  out.edit().set("spec", spec);
  return out;
}

}  // namespace

Result<kube::Object> make_child(const ChildOf& place, const Value& task, const Scope& scope, Duration time_max) {
  Scope own = scope;
  own.set("context.pipelineTask.retries", std::to_string(task["retries"].as_int()));
  const std::string timeout =
      task["timeout"].is_null() ? format_duration(time_max) : TRY(substitute_text(task["timeout"].scalar_text(), own));
  const bool is_pipeline = !task["pipelineRef"].is_null() || !task["pipelineSpec"].is_null();
  return is_pipeline ? make_pipeline_run(place, task, own, timeout) : make_task_run(place, task, own, timeout);
}

}  // namespace caisson::pipeline
