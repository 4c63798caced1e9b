// SPDX-License-Identifier: Apache-2.0
// One operation: applies the plan step by step and keeps its state where it can be taken up after a crash
// (status.operationState). Every call does what can be done now and returns; nothing waits. Threads: one at a time for
// an Application.
#pragma once
#include <string>

#include "core/base/trace.h"
#include "delivery/gitops/observe.h"

namespace caisson::schema {
class Schema;
}

namespace caisson::gitops {

struct SyncContext {
  World& world;
  const Application& application;
  const Rendered& rendered;        // of the operation's revision
  const Observation& observation;  // against that revision
  TraceContext trace;              // goes to changed objects; may be empty
  Value annotations;               // the Application's: confirmations and approvals
  const kube::Object* project;     // for the safety catch; may be null
  Time now;
  bool recorded = true;  // the operation stands in the Application as the API has it
  // Of the API server that is written to: fields that it does not know are refused. Null: another cluster, whose
  // version may know more.
  const schema::Schema* schema = nullptr;
};

// What tells one operation of an Application from every other: hooks carry it (kHookOperationAnnotation), so that a
// hook that was made before a crash is known for what it is. It is kept in operation.info, which outlives a crash.
std::string operation_id(const Value& state);
void set_operation_id(Value& operation, const kube::Object& application);
inline constexpr std::string_view kHookOperationAnnotation = "caisson.dev/operation";

struct SyncOutcome {
  enum class Phase { running, succeeded, failed } phase = Phase::running;
  std::string message;
  bool wrote = false;  // objects were applied or deleted: observe again
};

// `state` is status.operationState; syncResult.resources grows. Transient trouble (the API can't be reached) is an
// Error. Hooks run only in an operation that is recorded, and are deleted after success only when that is: whatever is
// killed in between, none runs a second time.
Result<SyncOutcome> advance(const SyncContext& context, Value& state);

// Ends an operation that somebody terminates: hooks that still run are deleted.
Result<void> terminate(const SyncContext& context, Value& state);

// Runs the hooks of one phase outside of a sync (PreDelete, PostDelete). Their state is kept in `state` as a sync's is.
Result<SyncOutcome> run_hooks(const SyncContext& context, Phase phase, Value& state);

// The safety catch. What a sync would delete or replace, when that is more than the project's limit and more than half
// of the Application, or any Namespace, PersistentVolume, PersistentVolumeClaim or CustomResourceDefinition, or a
// Secret without a successor of the same base name. nullopt: it may go on.
struct SafetyPlan {
  std::string id;  // 12 hex digits: the same for the same deletions
  std::vector<ResourceId> deletions;
  std::size_t of = 0;  // objects of the Application
  std::string message() const;
};
std::optional<SafetyPlan> safety_plan(const std::vector<Step>& steps, const std::vector<Resource>& resources,
                                      const kube::Object* project);
inline constexpr std::string_view kSafetyAnnotation = "caisson.dev/max-deletions";    // AppProject: "20", "off"
inline constexpr std::string_view kApprovedAnnotation = "caisson.dev/approved-plan";  // Application: the id
inline constexpr std::string_view kConfirmAnnotation = "argocd.argoproj.io/deletion-approved";  // Application: a time

}  // namespace caisson::gitops
