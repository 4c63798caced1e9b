// SPDX-License-Identifier: Apache-2.0
// The steps of a pipeline task (annotation caisson.dev/steps: ordered): what each leaves in files for the next, and for
// whoever asked for the task. What upstream's entrypoint binary does inside the container, the node does from outside.
// Any thread. Follows Tekton Pipelines v1 (docs/stepactions.md, docs/tasks.md "Emitting Results").
#pragma once
#include <string>
#include <string_view>

#include "cluster/kube/object.h"
#include "core/base/result.h"
#include "core/document/value.h"
#include "machine/node/pod_state.h"

namespace caisson::node {

inline constexpr std::string_view kStepsDirAnnotation =
    "caisson.dev/steps-dir";  // a volume: <container>/results/<name>, <container>/exitCode
inline constexpr std::string_view kStepResultsAnnotation = "caisson.dev/step-results";  // {container: {name: text}}

// Before a step starts: its own folders, the exit codes of those before it, and links by number ("0") to all of them.
Result<void> prepare_step(const kube::Object& pod, const PodState& state, const std::string& steps_directory,
                          const std::string& container);

// The container with $(steps.NAME.results.RESULT) and its "[0]", "[*]" and ".key" forms replaced in command, args and
// env. Errors: invalid for a result that was not written or is of another form.
Result<Value> with_step_results(const Value& container, const std::string& steps_directory);

// The files of a folder as texts; links that leave it, binary files and those beyond the limits are left out with a log
// line.
Value read_result_files(const std::string& directory);
// The same for the results of every step; nothing writes any more.
Value read_step_results(const kube::Object& pod, const std::string& steps_directory);

}  // namespace caisson::node
