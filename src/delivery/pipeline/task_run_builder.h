// SPDX-License-Identifier: Apache-2.0
// The run of a pipeline task: params, workspaces and settings handed down. Pure; any thread. Internal to the room.
#pragma once
#include <string>

#include "cluster/kube/object.h"
#include "core/base/result.h"
#include "delivery/pipeline/substitute.h"

namespace caisson::pipeline {

// The run's binding of a pipeline workspace; nullptr when there is none.
const Value* find_binding(const kube::Object& run, std::string_view workspace);

// Where a child of a PipelineRun belongs.
struct ChildOf {
  const kube::Object& run;
  const std::string& pipeline_name;
  const std::string& task_name;  // the pipeline task
  const std::string& name;       // of the child
  std::string_view on_error;     // of the pipeline task: "continue"
  bool final = false;
};
inline constexpr std::string_view kOnErrorAnnotation = "pipeline.tekton.dev/pipeline-task-on-error";

// The TaskRun of a pipeline task; for one with pipelineRef or pipelineSpec, its PipelineRun. `time_max`: of the
// pipeline; zero when it has no limit. Errors: invalid.
Result<kube::Object> make_child(const ChildOf& place, const Value& task, const Scope& scope, Duration time_max);

}  // namespace caisson::pipeline
