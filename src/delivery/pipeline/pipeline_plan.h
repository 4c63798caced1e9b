// SPDX-License-Identifier: Apache-2.0
// What a PipelineRun needs next: a pure function of the run, its pipeline, its TaskRuns and the time. Any thread.
// Source: tektoncd/pipeline v1, docs/pipelines.md, docs/pipelineruns.md; pkg/reconciler/pipelinerun/resources.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "cluster/kube/object.h"
#include "core/base/result.h"

namespace caisson::pipeline {

struct PipelinePlan {
  std::vector<kube::Object> create;  // TaskRuns, in the pipeline's order
  std::vector<std::string> cancel;   // names of TaskRuns that must stop
  Value status;                      // childReferences, skippedTasks, results, conditions: the run's whole status
  bool done = false;
  std::optional<Duration> again_after;  // when a time limit will strike
};

// `task_runs`: by pipeline task name. The run's status must have its startTime. Errors: invalid, for a pipeline that
// can't run.
Result<PipelinePlan> plan_pipeline(const kube::Object& run, const Value& pipeline_spec,
                                   const std::string& pipeline_name,
                                   const std::map<std::string, kube::Object>& task_runs, Time now);

// What the plan's TaskRuns are called.
std::string task_run_name(const kube::Object& run, std::string_view pipeline_task);

}  // namespace caisson::pipeline
