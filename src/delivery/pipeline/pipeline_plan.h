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

// TaskRuns, and PipelineRuns of pipelines in pipelines, by pipeline task name; a matrix has several of one name.
using Children = std::multimap<std::string, kube::Object>;

struct PipelinePlan {
  std::vector<kube::Object> create;               // TaskRuns and PipelineRuns, in the pipeline's order
  std::vector<std::string> cancel;                // names of TaskRuns that must stop
  std::vector<std::string> cancel_pipeline_runs;  // names of PipelineRuns that must stop
  Value status;  // childReferences, skippedTasks, results, conditions: the run's whole status
  bool done = false;
  std::optional<Duration> again_after;  // when a time limit will strike
};

// The run's status must have its startTime. Errors: invalid, for a pipeline that
// can't run.
Result<PipelinePlan> plan_pipeline(const kube::Object& run, const Value& pipeline_spec,
                                   const std::string& pipeline_name, const Children& children, Time now);

// What the plan's TaskRuns are called; "index" of those of a matrix.
std::string task_run_name(const kube::Object& run, std::string_view pipeline_task);
std::string task_run_name(const kube::Object& run, std::string_view pipeline_task, std::size_t index);

}  // namespace caisson::pipeline
