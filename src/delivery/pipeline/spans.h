// SPDX-License-Identifier: Apache-2.0
// Spans of runs, and the claims of their workspaces. Internal to the room.
#pragma once
#include "cluster/kube/object.h"
#include "core/base/trace.h"

namespace caisson::pipeline {

// `task NAME` and each `step NAME`, with ids derived by name: recording them again gives the same spans. Called when
// the run starts (the span is open then) and when it ends; statuses hold whole seconds, so the exact time of either is
// `now`.
void record_task_spans(SpanSink& sink, const kube::Object& task_run, const kube::Object* pod, Time now);
void record_pipeline_span(SpanSink& sink, const kube::Object& pipeline_run, Time now);
// The context below which a PipelineRun's tasks hang.
TraceContext pipeline_trace(const kube::Object& pipeline_run);

// The PersistentVolumeClaim of a workspace's volumeClaimTemplate, owned by the run; its name is a function of both.
kube::Object workspace_claim(const kube::Object& run, const Value& workspace);

}  // namespace caisson::pipeline
