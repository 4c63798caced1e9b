// SPDX-License-Identifier: Apache-2.0
#include "delivery/pipeline/run_defaults.h"

#include <algorithm>

#include "core/base/text.h"
#include "core/document/yaml.h"
#include "delivery/pipeline/task_spec.h"

namespace caisson::pipeline {
namespace {

constexpr std::int64_t kMinutesMax = 60 * 24 * 366;

// YAML in a text; a map.
Result<Value> map_in(const Value& data, const char* key) {
  const std::string text = data[key].str();
  if (caisson::trim(text).empty()) return Value();
  Value out = TRY(yaml::read(text).in(key));
  if (!out.is_map()) return Error{ErrorCode::invalid, std::string(key) + ": must be a map"};
  return out;
}

void give_template(Value& spec, const RunDefaults& defaults) {
  for (const auto& entry : defaults.pod_template.entries()) {
    if (spec["podTemplate"][entry.key].is_null()) spec.edit("podTemplate").set(entry.key, entry.value);
  }
}

void give_account(Value& spec, const RunDefaults& defaults) {
  if (spec["serviceAccountName"].as_string().empty() && !defaults.service_account.empty())
    spec.set("serviceAccountName", defaults.service_account);
}

void give_label(kube::Object& run, const RunDefaults& defaults) {
  if (run.label(kManagedByLabel).empty() && !defaults.managed_by.empty())
    run.set_label(kManagedByLabel, defaults.managed_by);
}

}  // namespace

Result<RunDefaults> parse_run_defaults(const Value& data) {
  RunDefaults out;
  if (const std::string text = data["default-timeout-minutes"].scalar_text(); !text.empty()) {
    const auto minutes = parse_int(text);
    if (!minutes || *minutes < 0 || *minutes > kMinutesMax)
      return Error{ErrorCode::invalid, "failed parsing default config \"default-timeout-minutes\": \"" + text + "\""};
    out.timeout = std::to_string(*minutes) + "m";
  }
  out.service_account = data["default-service-account"].str();
  out.managed_by = data["default-managed-by-label-value"].str();
  out.pod_template = TRY(map_in(data, "default-pod-template"));
  out.workspace = TRY(map_in(data, "default-task-run-workspace-binding"));
  return out;
}

void give_defaults_to_task_run(kube::Object& run, const RunDefaults& defaults) {
  give_label(run, defaults);
  Value& spec = run.edit({"spec"});
  if (spec["timeout"].is_null() && !defaults.timeout.empty()) spec.set("timeout", defaults.timeout);
  give_account(spec, defaults);
  give_template(spec, defaults);
}

void give_defaults_to_pipeline_run(kube::Object& run, const RunDefaults& defaults) {
  give_label(run, defaults);
  Value& spec = run.edit({"spec"});
  if (spec["timeouts"]["pipeline"].is_null() && !defaults.timeout.empty())
    spec.edit("timeouts").set("pipeline", defaults.timeout);
  if (defaults.service_account.empty() && defaults.pod_template.is_null()) return;
  Value& of_tasks = spec.edit("taskRunTemplate");
  if (of_tasks.is_null()) of_tasks = Value::map();
  give_account(of_tasks, defaults);
  give_template(of_tasks, defaults);
}

void bind_default_workspaces(kube::Object& task_run, const Value& task_spec, const RunDefaults& defaults) {
  if (!defaults.workspace.is_map()) return;
  for (const Value& declared : task_spec["workspaces"].items()) {
    if (declared["optional"].as_bool()) continue;
    const auto bound = task_run.spec()["workspaces"].items();
    if (std::any_of(bound.begin(), bound.end(), [&](const Value& one) { return one["name"] == declared["name"]; }))
      continue;
    Value binding = defaults.workspace;
    binding.set("name", declared["name"]);
    task_run.edit({"spec", "workspaces"}).push_back(std::move(binding));
  }
}

}  // namespace caisson::pipeline
