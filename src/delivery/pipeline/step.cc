// SPDX-License-Identifier: Apache-2.0
#include "delivery/pipeline/step.h"

#include <algorithm>

#include "core/base/clock.h"
#include "delivery/pipeline/step_action.h"
#include "delivery/pipeline/task_spec.h"

namespace caisson::pipeline {
namespace {

Error invalid(std::string message) {
  return Error{ErrorCode::invalid, std::move(message)};
}

bool has_named(const Value& list, std::string_view name) {
  for (const Value& item : list.items()) {
    if (item["name"].as_string() == name) return true;
  }
  return false;
}

Result<void> check_known(const Value& map, std::initializer_list<std::string_view> known, const std::string& where) {
  for (const auto& entry : map.entries()) {
    bool found = false;
    for (const std::string_view name : known) found = found || name == entry.key;
    if (!found) return invalid(where + "." + std::string(entry.key) + " is not supported");
  }
  return {};
}

Result<void> check_sidecars(const Value& sidecars) {
  for (std::size_t i = 0; i < sidecars.size(); ++i) {
    const std::string where = "spec.sidecars[" + std::to_string(i) + "]";
    TRY(check_known(sidecars[i],
                    {"name",
                     "image",
                     "command",
                     "args",
                     "script",
                     "workingDir",
                     "env",
                     "envFrom",
                     "volumeMounts",
                     "imagePullPolicy",
                     "securityContext",
                     "computeResources",
                     "resources",
                     "ports",
                     "livenessProbe",
                     "readinessProbe",
                     "startupProbe",
                     "lifecycle",
                     "stdin",
                     "stdinOnce",
                     "tty",
                     "restartPolicy",
                     "workspaces"},
                    where));
    if (sidecars[i]["image"].as_string().empty()) return invalid(where + ".image is missing");
  }
  return {};
}

Result<void> check_when(const Value& when, const std::string& where) {
  TRY(check_known(when, {"input", "operator", "values", "cel"}, where));
  const std::string_view operation = when["operator"].as_string();
  if (when.contains("cel")) {
    if (when.contains("input") || when.contains("operator") || when.contains("values"))
      return invalid(where + ": cel and input, operator, values exclude each other");
  } else if (operation != "in" && operation != "notin") {
    return invalid(where + ": operator \"" + std::string(operation) +
                   "\" is not recognized. valid operators: in, notin");
  }
  return {};
}

Result<void> check_step(const Value& step, const std::string& where) {
  TRY(check_known(step,
                  {"name",
                   "displayName",
                   "image",
                   "command",
                   "args",
                   "script",
                   "workingDir",
                   "env",
                   "envFrom",
                   "volumeMounts",
                   "imagePullPolicy",
                   "securityContext",
                   "computeResources",
                   "resources",
                   "onError",
                   "timeout",
                   "ref",
                   "params",
                   "results",
                   "when",
                   "stdoutConfig",
                   "workspaces",
                   "stderrConfig"},
                  where));
  for (std::size_t i = 0; i < step["when"].size(); ++i)
    TRY(check_when(step["when"][i], where + ".when[" + std::to_string(i) + "]"));
  for (const char* stream : {"stdoutConfig", "stderrConfig"}) {
    if (!step.contains(stream)) continue;
    TRY(check_known(step[stream], {"path"}, where + "." + stream));
    if (step[stream]["path"].as_string().empty()) return invalid(where + "." + stream + ".path is missing");
  }
  if (step.contains("params") && !step.contains("ref"))
    return invalid(where + ".params: only a step with ref has params");
  if (step["script"].as_string().size() > 0 && !step["command"].empty())
    return invalid(where + ": script and command exclude each other");
  const std::string_view on_error = step["onError"].as_string();
  if (!on_error.empty() && on_error != "continue" && on_error != "stopAndFail" && !on_error.starts_with("$("))
    return invalid(where + ".onError is \"" + std::string(on_error) + "\", not continue or stopAndFail");
  if (const std::string timeout = step["timeout"].str(); !timeout.empty())
    TRY(parse_duration(timeout).in(where + ".timeout"));
  return {};
}

}  // namespace

Result<void> check_task_spec(const Value& task_spec) {
  TRY(check_known(
      task_spec,
      {"description", "displayName", "params", "workspaces", "results", "steps", "stepTemplate", "sidecars", "volumes"},
      "spec"));
  if (task_spec["steps"].empty()) return invalid("spec.steps: a task needs at least one step");
  std::vector<std::string> names;
  std::size_t index = 0;
  for (const Value& step : task_spec["steps"].items()) {
    const std::string where = "spec.steps[" + std::to_string(index) + "]";
    TRY(check_step(step, where));
    if (!step.contains("ref") && step["image"].as_string().empty() &&
        task_spec["stepTemplate"]["image"].as_string().empty())
      return invalid(where + ".image is missing");
    const std::string name = step_container(step, index++);
    if (std::find(names.begin(), names.end(), name) != names.end())
      return invalid(where + ".name \"" + step["name"].str() + "\" is there twice");
    names.push_back(name);
  }
  TRY(check_sidecars(task_spec["sidecars"]));
  for (const Value& result : task_spec["results"].items()) {
    if (result.contains("value") && step_result_reference(result["value"].as_string()).step.empty())
      return invalid("result " + result["name"].str() + ": its value must be $(steps.STEP.results.RESULT)");
  }
  return {};
}

std::string sidecar_container(const Value& sidecar, std::size_t index) {
  const std::string name = sidecar["name"].str();
  return name.empty() ? "sidecar-unnamed-" + std::to_string(index) : "sidecar-" + name;
}

std::string step_container(const Value& step, std::size_t index) {
  const std::string name = step["name"].str();
  return name.empty() ? "step-unnamed-" + std::to_string(index) : "step-" + name;
}

Value merge_step_template(const Value& step, const Value& step_template) {
  Value out = step;
  for (const auto& entry : step_template.entries()) {
    if (entry.key == "env" || entry.key == "volumeMounts" || entry.key == "envFrom") {
      Value list = out[entry.key].is_null() ? Value::list() : out[entry.key];
      for (const Value& item : entry.value.items()) {
        if (entry.key != "env" || !has_named(list, item["name"].as_string())) list.push_back(item);
      }
      out.set(entry.key, list);
    } else if (!out.contains(entry.key)) {
      out.set(entry.key, entry.value);
    }
  }
  return out;
}

Result<Value> make_step_container(const Value& step, const ContainerParts& parts, Value& scripts) {
  Value out{{"name", parts.name}};
  for (const auto& entry : step.entries()) {
    const std::string_view key = entry.key;
    if (key == "name" || key == "displayName" || key == "script" || key == "onError" || key == "timeout" ||
        key == "env" || key == "volumeMounts" || key == "results" || key == "when" || key == "stdoutConfig" ||
        key == "stderrConfig" || key == "workspaces")
      continue;
    out.set(key == "computeResources" ? std::string_view("resources") : key, entry.value);
  }
  if (const std::string_view script = step["script"].as_string(); !script.empty()) {
    // Without an interpreter line upstream's default is a shell that stops at the first error.
    scripts.set(parts.script_name,
                script.starts_with("#!") ? std::string(script) : "#!/bin/sh\nset -e\n" + std::string(script));
    out.set("command", Value::list_of({"/tekton/scripts/" + parts.script_name}));
  }
  Value env = step["env"].is_null() ? Value::list() : step["env"];
  for (const auto& [name, value] : parts.environment) {
    if (!has_named(env, name)) env.push_back(Value{{"name", name}, {"value", value}});
  }
  if (!env.empty()) out.set("env", env);
  Value mounts = step["volumeMounts"].is_null() ? Value::list() : step["volumeMounts"];
  const auto mount = [&mounts](const Value& added) {  // a step's own mount at the same place wins
    for (const Value& own : mounts.items()) {
      if (own["mountPath"] == added["mountPath"]) return;
    }
    mounts.push_back(added);
  };
  for (const Value& added : parts.mounts.items()) mount(added);
  for (const Value& added : parts.workspace_mounts.items()) mount(added);
  if (!step["script"].as_string().empty())
    mount(Value{{"name", "tekton-scripts"}, {"mountPath", "/tekton/scripts"}, {"readOnly", true}});
  std::vector<Value> sorted(mounts.items().begin(),
                            mounts.items().end());  // what is mounted below another comes after it
  std::stable_sort(sorted.begin(), sorted.end(), [](const Value& a, const Value& b) {
    return a["mountPath"].as_string() < b["mountPath"].as_string();
  });
  out.set("volumeMounts", Value(std::move(sorted)));
  if (step["workingDir"].as_string().empty()) out.erase("workingDir");
  out.set("terminationMessagePath", "/tekton/termination");
  out.set("terminationMessagePolicy",
          "FallbackToLogsOnError");  // the last log line of a failed step is what a person wants first
  return out;
}

}  // namespace caisson::pipeline
