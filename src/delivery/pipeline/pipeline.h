// SPDX-License-Identifier: Apache-2.0
// Tekton: reconcilers of TaskRun, PipelineRun (tekton.dev/v1) and EventListener (triggers.tekton.dev/v1beta1), and the
// webhook door.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "cluster/kube/reconciler.h"
#include "core/base/trace.h"
#include "core/http/server.h"
#include "delivery/git/repositories.h"

namespace caisson::pipeline {

struct PipelineOptions {
  SpanSink* spans = nullptr;                               // required; must outlive the runtime
  std::string git_url = "https://git.caisson-system.svc";  // where pods reach our git
  Time up_since{};  // when this process began to serve: a step that ran before and failed was let down by us; epoch:
                    // none was
  std::string portal_url = "http://localhost:8080";  // what clone_url of a push says: in a step's git it means git_url
  // Opens a port that pods reach, for the Service of an EventListener, and gives it. Not set: listeners have the
  // webhook door alone.
  std::function<Result<int>(http::Handler handler, const http::TlsOptions* tls)> listen;
  std::function<void(int port)> stop_listening;     // closes such a port
  std::string node_address;                         // where that port is
  const git::Repositories* repositories = nullptr;  // what the git resolver reads, with no logins of its own
};

// Adds the reconcilers task-run, pipeline-run, resolution-request, event-listener (pushes) and
// event-listener-service. Call before runtime.start.
void add_pipeline(kube::Runtime& runtime, const PipelineOptions& options);

// What Tekton Triggers' installation has and the role bindings of users' repositories name, as YAML.
std::string_view shipped_roles();

// POST /hooks/<namespace>/<listener>: a webhook with a JSON body (or a form, as Slack sends it), checked by the
// listener's interceptors. Any worker; blocks.
void handle_hook(kube::Client& client, const http::ExchangePtr& exchange);

}  // namespace caisson::pipeline
