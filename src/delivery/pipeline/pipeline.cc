// SPDX-License-Identifier: Apache-2.0
// Wiring of the room: which change wakes which reconciler; and the webhook door.
#include "delivery/pipeline/pipeline.h"

#include "core/base/check.h"
#include "core/base/log.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "delivery/pipeline/event_listener.h"
#include "delivery/pipeline/pipeline_run_reconciler.h"
#include "delivery/pipeline/task_run_reconciler.h"

namespace caisson::pipeline {
namespace {

constexpr std::size_t kHookBytesMax = 10u << 20;
constexpr std::string_view kHookPrefix = "/hooks/";

struct HookTarget {
  std::string ns, listener;
};
std::optional<HookTarget> hook_target(std::string_view path) {
  if (!path.starts_with(kHookPrefix)) return std::nullopt;
  path.remove_prefix(kHookPrefix.size());
  const auto slash = path.find('/');
  if (slash == std::string_view::npos || slash == 0 || slash + 1 == path.size() ||
      path.find('/', slash + 1) != std::string_view::npos)
    return std::nullopt;
  return HookTarget{std::string(path.substr(0, slash)), std::string(path.substr(slash + 1))};
}

void answer(http::Exchange& exchange, int status, const Value& body) {
  exchange.respond({status, {{"Content-Type", "application/json"}}, json::write(body) + "\n"});
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

  kube::Informer& push_events = runtime.informer(schema::kPushEvents);
  const kube::Queue pushes = runtime.add(std::make_unique<PushEventReconciler>(runtime));
  runtime.watch(schema::kPushEvents, pushes);
  // A listener that came after a push may still be meant for it.
  runtime.watch(schema::kEventListeners, pushes, [&push_events](const kube::Object& listener) {
    std::vector<kube::ObjectKey> keys;
    for (const kube::Object& event : push_events.list(listener.ns())) keys.push_back(event.key());
    return keys;
  });
}

bool is_hook_path(std::string_view path) {
  return hook_target(path).has_value();
}

void handle_hook(kube::Client& client, Clock&, const http::ExchangePtr& exchange) {
  const auto target = hook_target(exchange->path);
  if (!target) return answer(*exchange, 404, Value{{"errorMessage", "no such hook"}});
  if (exchange->method != "POST") return answer(*exchange, 405, Value{{"errorMessage", "a hook takes POST"}});
  const auto listener = client.get(schema::kEventListeners, {target->ns, target->listener});
  if (!listener.ok())
    return answer(*exchange, listener.error().code == ErrorCode::not_found ? 404 : 503,
                  Value{{"errorMessage", listener.error().message}});
  const auto body = exchange->read_body(kHookBytesMax);
  if (!body.ok())
    return answer(*exchange, body.error().code == ErrorCode::too_large ? 413 : 400,
                  Value{{"errorMessage", body.error().message}});
  const auto payload = json::parse(body->empty() ? "{}" : *body);
  if (!payload.ok())
    return answer(*exchange, 400, Value{{"errorMessage", "the body is not JSON: " + payload.error().message}});
  TriggerEvent event;
  event.input = CelInput{*payload, Value::map(), exchange->headers};
  event.raw_body = *body;
  event.id = random_uuid();
  TraceContext trace = TraceContext::parse(exchange->headers.get("traceparent"));
  if (trace.empty()) trace = TraceContext::start();
  const auto outcome = run_triggers(client, *listener, event, trace);
  if (!outcome.ok()) return answer(*exchange, 503, Value{{"errorMessage", outcome.error().message}});
  for (const std::string& error : outcome->errors)
    log::warning("trigger failed", {{"event_listener", listener->key().str()}, {"error", error}});
  Value out{{"eventListener", target->listener},
            {"namespace", target->ns},
            {"eventListenerUID", listener->uid()},
            {"eventID", event.id}};
  if (!outcome->errors.empty()) out.set("errorMessage", join(outcome->errors, "; "));
  answer(*exchange, outcome->forbidden ? 403 : 202, out);
}

}  // namespace caisson::pipeline
