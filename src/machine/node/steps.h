// SPDX-License-Identifier: Apache-2.0
// The steps of a pipeline task (annotation caisson.dev/steps: ordered): what each leaves in files for the next, and for
// whoever asked for the task. What upstream's entrypoint binary does inside the container, the node does from outside.
// Any thread. Follows Tekton Pipelines v1 (docs/stepactions.md, docs/tasks.md "Emitting Results").
#pragma once
#include <functional>
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

inline constexpr std::string_view kStepsWhenAnnotation =
    "caisson.dev/steps-when";  // {container: [{input, operator: in|notin, values}]}; [false]: never
inline constexpr std::string_view kStepsStreamsAnnotation =
    "caisson.dev/steps-streams";  // {container: {stdout: path, stderr: path}}, files in what it mounts

// Whether a step runs: all its when expressions hold, with step results in them replaced. Errors: invalid, as for
// with_step_results.
Result<bool> step_applies(const kube::Object& pod, const std::string& steps_directory, const std::string& container);

// After a step's end: what it wrote goes from its log (and what that was rotated into) into the files that the pod
// says. `volume_path` gives a volume's folder. Errors: invalid for a path outside the step's volumes or in one that is
// only read; what writing gives.
Result<void> write_streams(const kube::Object& pod, const std::string& container, const std::string& log_path,
                           const std::function<std::string(const std::string& volume)>& volume_path);

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
