// SPDX-License-Identifier: Apache-2.0
// Wiring of the room: which change wakes which reconciler; and the webhook door.
#include "delivery/pipeline/pipeline.h"

#include "core/base/check.h"
#include "delivery/pipeline/event_listener.h"
#include "delivery/pipeline/listener_service.h"
#include "delivery/pipeline/pipeline_run_reconciler.h"
#include "delivery/pipeline/resolution.h"
#include "delivery/pipeline/task_run_reconciler.h"

namespace caisson::pipeline {
namespace {

constexpr std::string_view kHookPrefix = "/hooks/";

std::optional<kube::ObjectKey> hook_target(std::string_view path) {
  if (!path.starts_with(kHookPrefix)) return std::nullopt;
  path.remove_prefix(kHookPrefix.size());
  const auto slash = path.find('/');
  if (slash == std::string_view::npos || slash == 0 || slash + 1 == path.size() ||
      path.find('/', slash + 1) != std::string_view::npos)
    return std::nullopt;
  return kube::ObjectKey{std::string(path.substr(0, slash)), std::string(path.substr(slash + 1))};
}

}  // namespace

void add_pipeline(kube::Runtime& runtime, const PipelineOptions& options) {
  CHECK(options.spans != nullptr);
  const kube::Queue task_runs = runtime.add(std::make_unique<TaskRunReconciler>(runtime, options));
  runtime.watch(schema::kTaskRuns, task_runs);
  runtime.watch(schema::kPods, task_runs, kube::Runtime::to_controller("TaskRun"));

  const kube::Queue pipeline_runs = runtime.add(std::make_unique<PipelineRunReconciler>(runtime, options));
  runtime.watch(schema::kPipelineRuns, pipeline_runs);
  runtime.watch(schema::kTaskRuns, pipeline_runs, kube::Runtime::to_controller("PipelineRun"));
  runtime.watch(schema::kPipelineRuns, pipeline_runs, kube::Runtime::to_controller("PipelineRun"));

  const kube::Queue requests = runtime.add(std::make_unique<ResolutionReconciler>(runtime, options.repositories), 2);
  runtime.watch(resolution_requests(), requests);
  runtime.watch(resolution_requests(), task_runs, kube::Runtime::to_controller("TaskRun"));
  runtime.watch(resolution_requests(), pipeline_runs, kube::Runtime::to_controller("PipelineRun"));

  kube::Informer& push_events = runtime.informer(schema::kPushEvents);
  const kube::Queue pushes = runtime.add(std::make_unique<PushEventReconciler>(runtime));
  runtime.watch(schema::kPushEvents, pushes);
  const kube::Queue listeners = runtime.add(std::make_unique<ListenerReconciler>(runtime, options), 1);
  runtime.watch(schema::kEventListeners, listeners);
  runtime.watch(schema::kServices, listeners, kube::Runtime::to_controller("EventListener"));
  // A listener that came after a push may still be meant for it.
  runtime.watch(schema::kEventListeners, pushes, [&push_events](const kube::Object& listener) {
    std::vector<kube::ObjectKey> keys;
    for (const kube::Object& event : push_events.list(listener.ns())) keys.push_back(event.key());
    return keys;
  });
}

// tektoncd/triggers v0.30, config/200-clusterrole-eventlistener… : what listeners' accounts are bound to.
std::string_view shipped_roles() {
  return R"yaml(
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: tekton-triggers-eventlistener-roles}
rules:
- {apiGroups: [triggers.tekton.dev], resources: [eventlisteners, interceptors, triggerbindings, triggers, triggertemplates], verbs: [get, list, watch]}
- {apiGroups: [""], resources: [configmaps], verbs: [get, list, watch]}
- {apiGroups: [tekton.dev], resources: [pipelineruns, taskruns], verbs: [create]}
- {apiGroups: [""], resources: [serviceaccounts], verbs: [impersonate]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: tekton-triggers-eventlistener-clusterroles}
rules:
- {apiGroups: [triggers.tekton.dev], resources: [clusterinterceptors, clustertriggerbindings], verbs: [get, list, watch]}
)yaml";
}

void handle_hook(kube::Client& client, const http::ExchangePtr& exchange) {
  if (const auto target = hook_target(exchange->path)) return receive_event(client, *target, exchange);
  exchange->respond({404, {{"Content-Type", "application/json"}}, "{\"errorMessage\":\"no such hook\"}\n"});
}

}  // namespace caisson::pipeline
