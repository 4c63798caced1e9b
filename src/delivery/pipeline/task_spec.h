// SPDX-License-Identifier: Apache-2.0
// From a TaskRun and its Task to a Pod: params and workspaces resolved, steps as containers that the node runs in
// order. Pure; any thread. Source: tektoncd/pipeline v1, docs/tasks.md, docs/taskruns.md; pkg/pod. Where upstream's
// entrypoint binary orders the steps, the node does (annotations caisson.dev/steps, steps-continue, steps-when,
// steps-streams, results-dir, steps-dir; docs/architecture.md).
#pragma once
#include <string>
#include <vector>

#include "cluster/kube/object.h"
#include "core/base/result.h"
#include "delivery/pipeline/credentials.h"
#include "delivery/pipeline/step_action.h"

namespace caisson::pipeline {

inline constexpr std::string_view kResultsAnnotation = "caisson.dev/results";
inline constexpr std::string_view kStepResultsAnnotation = "caisson.dev/step-results";
inline constexpr std::string_view kStepTimesAnnotation = "caisson.dev/step-times";

inline constexpr std::string_view kManagedByLabel = "app.kubernetes.io/managed-by";

struct PodSettings {
  std::string git_url =
      "https://git.caisson-system.svc";  // where a pod reaches our git, with the ServiceAccount's token
  std::string portal_url;                // the same for people on the host; a step's git goes to git_url instead
};

struct TaskPlan {
  Value spec;  // the task's spec with variables replaced: status.taskSpec
  kube::Object pod;
  kube::Object scripts;      // ConfigMap, mounted at /tekton/scripts; null value when no step has a script
  kube::Object credentials;  // Secret, of files of the steps' home; null value when there are none
};

// Errors: invalid, in words for the condition of the run; the code says nothing else.
Result<TaskPlan> plan_task(const kube::Object& task_run, const Value& task_spec, const std::string& task_name,
                           const Credentials& credentials, const PodSettings& settings,
                           const FindStepAction& find_action);

// What of a task's spec is not done here, by name. Errors: invalid.
Result<void> check_task_spec(const Value& task_spec);

std::string pod_name(const kube::Object& task_run);                // of its current try: known before the pod is made
std::string step_container(const Value& step, std::size_t index);  // "step-build", "step-unnamed-0"
std::string sidecar_container(const Value& sidecar, std::size_t index);  // "sidecar-db", "sidecar-unnamed-0"
// A name of at most 63 characters: a long one is cut and ends with a hash of what was cut.
std::string child_name(std::string_view parent, std::string_view suffix);

// A volume that binds a workspace: {name, emptyDir|persistentVolumeClaim|configMap|secret|projected|csi}.
Result<Value> workspace_volume(const Value& binding, std::string_view volume_name);

}  // namespace caisson::pipeline
