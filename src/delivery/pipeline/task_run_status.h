// SPDX-License-Identifier: Apache-2.0
// A TaskRun's status, from its pod. Pure; any thread. Source: tektoncd/pipeline v1, docs/taskruns.md "Monitoring
// execution status", pkg/pod/status.go.
#pragma once
#include <string>

#include "cluster/kube/object.h"

namespace caisson::pipeline {

// Sets the condition Succeeded; Tekton writes reason and message into the one condition. Gives whether it changed.
bool set_succeeded(kube::Object& run, std::string_view status, std::string_view reason, std::string_view message,
                   Time now);
// "True", "False", "Unknown"; "" before anything was said.
std::string_view succeeded(const kube::Object& run);
bool is_done(const kube::Object& run);

// Writes what `pod` says into the run's status: condition, steps, sidecars, results, times. `task_spec` is the one of
// status.taskSpec.
void observe_pod(kube::Object& run, const kube::Object& pod, const Value& task_spec, Time now);

// Whether the pod failed by a step that the platform itself let down: one that began before `up_since`, when this
// process began to serve, and failed before then or soon after; or one that the node calls Interrupted, for the same
// reason. That is no verdict on the step: the task starts anew, as upstream does when a pod is lost.
bool was_interrupted(const kube::Object& pod, const Value& task_spec, Time up_since);

// How long the run may take; zero: no limit.
Duration timeout_of(const kube::Object& run);
// The running step that is over its own `timeout`; "" when none is.
std::string overdue_step(const kube::Object& pod, const Value& task_spec, Time now);

}  // namespace caisson::pipeline
