// SPDX-License-Identifier: Apache-2.0
// Writing an Application's status in Argo CD's fields. Pure; any thread.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "delivery/gitops/observe.h"

namespace caisson::gitops {

struct Condition {
  std::string type, message;  // "ComparisonError"
};

struct Verdict {
  std::string sync;  // "Synced", "OutOfSync", "Unknown"
  Health health;
};
Verdict verdict_of(const Observation& observation);

// status.sync, .health, .resources, .summary, .sourceType.
void write_observation(Value& status, const Value& spec, const Rendered& rendered, const Observation& observation,
                       Time now);
// What could not be rendered or compared: sync Unknown; resources stay as they were.
void write_unknown(Value& status, const Value& spec, Time now);
// The commits that `at` names (status.sync, syncResult, an entry of the history, operation.sync) as Renderer::resolve
// gives them: `revision`, or `revisions` of several sources with commas between. Empty: it names none.
std::string commits_of(const Value& at);
// `several`: of spec.sources, which has `revisions` in place of `revision`.
void set_commits(Value& at, const std::string& commits, bool several);
// status.operationState of an operation that begins now. `commits` may be empty: not known yet.
Value begun_state(const Value& operation, const Value& spec, const std::string& commits, Time now);
// lastTransitionTime stays where a condition of the same type says the same.
void write_conditions(Value& status, const std::vector<Condition>& conditions, Time now);
// Appends what the operation deployed to status.history and keeps `history_max` entries.
void write_history(Value& status, const Value& operation_state, std::size_t history_max, Time now);

}  // namespace caisson::gitops
