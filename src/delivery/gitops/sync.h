// SPDX-License-Identifier: Apache-2.0
// One operation: applies the plan step by step and keeps its state where it can be taken up after a crash
// (status.operationState). Every call does what can be done now and returns; nothing waits. Threads: one at a time for
// an Application.
#pragma once
#include <string>

#include "core/base/trace.h"
#include "delivery/gitops/observe.h"

namespace caisson::gitops {

struct SyncContext {
  World& world;
  const Application& application;
  const Rendered& rendered;        // of the operation's revision
  const Observation& observation;  // against that revision
  TraceContext trace;              // goes to changed objects; may be empty
  Time now;
};

struct SyncOutcome {
  enum class Phase { running, succeeded, failed } phase = Phase::running;
  std::string message;
  bool wrote = false;  // objects were applied or deleted: observe again
};

// `state` is status.operationState; syncResult.resources grows. Transient trouble (the API can't be reached) is an
// Error.
Result<SyncOutcome> advance(const SyncContext& context, Value& state);

}  // namespace caisson::gitops
