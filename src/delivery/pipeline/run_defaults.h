// SPDX-License-Identifier: Apache-2.0
// What runs are given that say nothing themselves: the ConfigMap config-defaults of namespace tekton-pipelines, as
// upstream's installation has it. Pure; any thread. Internal to the room.
// Source: tektoncd/pipeline v1.0, docs/additional-configs.md; pkg/apis/config/default.go.
#pragma once
#include <string>

#include "cluster/kube/object.h"
#include "core/base/result.h"

namespace caisson::pipeline {

inline constexpr std::string_view kConfigNamespace = "tekton-pipelines", kConfigDefaults = "config-defaults";

struct RunDefaults {
  std::string timeout;          // "60m0s"; empty: an hour
  std::string service_account;  // empty: "default"
  std::string managed_by;       // label app.kubernetes.io/managed-by; empty: "tekton-pipelines"
  Value pod_template;           // its fields count where the run's own template has none
  Value workspace;              // binding of workspaces that a Task needs and its TaskRun does not bind; null: none
  bool operator==(const RunDefaults&) const = default;
};

// `data` of the ConfigMap; null: there is none. Other keys have no effect here. Errors: invalid, with the key.
Result<RunDefaults> parse_run_defaults(const Value& data);

// Fills the spec and the label in; what the run says itself stays.
void give_defaults_to_task_run(kube::Object& run, const RunDefaults& defaults);
void give_defaults_to_pipeline_run(kube::Object& run, const RunDefaults& defaults);
void bind_default_workspaces(kube::Object& task_run, const Value& task_spec, const RunDefaults& defaults);

}  // namespace caisson::pipeline
