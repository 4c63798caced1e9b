// SPDX-License-Identifier: Apache-2.0
// The TaskRun of a pipeline task: params, workspaces and settings handed down. Pure; any thread. Internal to the room.
#pragma once
#include <string>

#include "cluster/kube/object.h"
#include "core/base/result.h"
#include "delivery/pipeline/substitute.h"

namespace caisson::pipeline {

// The run's binding of a pipeline workspace; nullptr when there is none.
const Value* find_binding(const kube::Object& run, std::string_view workspace);

// `time_max`: of the pipeline; zero when it has no limit. Errors: invalid.
Result<kube::Object> make_task_run(const kube::Object& run, const std::string& pipeline_name,
                                   const std::string& task_name, const Value& task, bool final, const Scope& scope,
                                   Duration time_max);

}  // namespace caisson::pipeline
