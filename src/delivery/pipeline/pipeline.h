// SPDX-License-Identifier: Apache-2.0
// Tekton: reconcilers of TaskRun, PipelineRun (tekton.dev/v1) and EventListener (triggers.tekton.dev/v1beta1), and the
// webhook door.
#pragma once
#include <memory>
#include <string>

#include "cluster/kube/reconciler.h"
#include "core/base/trace.h"
#include "core/http/server.h"

namespace caisson::pipeline {

struct PipelineOptions {
  SpanSink* spans = nullptr;                               // required; must outlive the runtime
  std::string git_url = "https://git.caisson-system.svc";  // where pods reach our git
  Time up_since{};  // when this process began to serve: a step that ran before and failed was let down by us; epoch:
                    // none was
  std::string portal_url = "http://localhost:8080";  // what clone_url of a push says: in a step's git it means git_url
};

// Adds the reconcilers task-run, pipeline-run and event-listener. Call before runtime.start.
void add_pipeline(kube::Runtime& runtime, const PipelineOptions& options);

// POST /hooks/<namespace>/<listener>: a webhook with a JSON body, checked by the listener's interceptors. Any worker;
// blocks.
bool is_hook_path(std::string_view path);
void handle_hook(kube::Client& client, Clock& clock, const http::ExchangePtr& exchange);

}  // namespace caisson::pipeline
