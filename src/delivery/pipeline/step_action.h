// SPDX-License-Identifier: Apache-2.0
// StepActions (tekton.dev/v1beta1) that steps refer to, and the results that one step leaves for the next. Pure; any
// thread. Internal to the room. Source: tektoncd/pipeline v1, docs/stepactions.md.
#pragma once
#include <functional>
#include <string>

#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::pipeline {

// The spec of the StepAction that a step's `ref` names. Errors: invalid when there is none.
using FindStepAction = std::function<Result<Value>(const Value& reference)>;

// Steps with `ref` become what their StepAction says, with the step's params in it; $(step.results.NAME.path) and
// $(step.exitCode.path) of all steps become paths below kStepsDirectory. `spec` has its variables replaced. Errors:
// invalid, naming the step.
Result<Value> resolve_steps(const Value& spec, const FindStepAction& find);

inline constexpr std::string_view kStepsDirectory =
    "/tekton/steps";  // <container>/results/<name>, <container>/exitCode

// "$(steps.NAME.results.RESULT)" and what may stand behind it, in parts; an empty step when the text is not that.
struct StepResultReference {
  std::string step, result;
};
StepResultReference step_result_reference(std::string_view text);

}  // namespace caisson::pipeline
