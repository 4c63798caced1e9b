// SPDX-License-Identifier: Apache-2.0
#include "delivery/pipeline/event_listener.h"

#include "core/base/log.h"
#include "core/document/json.h"
#include "delivery/pipeline/run_triggers.h"

namespace caisson::pipeline {
namespace {

constexpr std::string_view kRepositoryAnnotation = "caisson.dev/repository";
constexpr std::string_view kNoCommit = "0000000000000000000000000000000000000000";
constexpr Duration kLateListenerMax = std::chrono::minutes(30);

bool names_repository(std::string_view annotation, std::string_view full_name) {
  if (annotation.empty()) return false;
  if (annotation.find('/') != std::string_view::npos) return annotation == full_name;
  return full_name.substr(full_name.find('/') + 1) == annotation;
}

bool is_handled(const kube::Object& event, const kube::Object& listener) {
  for (const Value& entry : event.status()["handledBy"].items()) {
    if (entry["name"].as_string() == listener.name() && entry["uid"].as_string() == listener.uid()) return true;
  }
  return false;
}

}  // namespace

bool listens_to(const kube::Object& listener, const kube::Object& event, bool newest_of_its_ref) {
  if (listener.ns() != event.ns() || listener.deleting()) return false;
  if (!names_repository(listener.annotation(kRepositoryAnnotation), event.spec()["repository"].as_string()))
    return false;
  if (event.spec()["after"].as_string() == kNoCommit) return false;  // a deleted ref has nothing to build
  const auto pushed = event.created(), made = listener.created();
  if (!pushed || !made || *made <= *pushed) return true;
  return newest_of_its_ref && *made - *pushed <= kLateListenerMax;
}

PushEventReconciler::PushEventReconciler(kube::Runtime& runtime)
    : client_(runtime.client()),
      clock_(runtime.clock()),
      events_(runtime.client(), runtime.clock(), "EventListener"),
      listeners_(runtime.informer(schema::kEventListeners)),
      push_events_(runtime.informer(schema::kPushEvents)) {}

bool PushEventReconciler::is_newest_of_its_ref(const kube::Object& event) const {
  for (const kube::Object& other : push_events_.list(event.ns())) {
    const bool same =
        other.spec()["repository"] == event.spec()["repository"] && other.spec()["ref"] == event.spec()["ref"];
    if (same && other.name() != event.name() && other.spec()["before"] == event.spec()["after"])
      return false;  // a later push began here
  }
  return true;
}

Result<void> PushEventReconciler::hand_over(const kube::Object& event, const kube::Object& listener) {
  TriggerEvent trigger_event;
  trigger_event.input.body = event.spec()["body"];
  trigger_event.input.extensions = Value::map();
  trigger_event.input.headers = {
      {"X-GitHub-Event", "push"}, {"Content-Type", "application/json"}, {"X-GitHub-Delivery", event.uid()}};
  trigger_event.raw_body = json::write(trigger_event.input.body);
  trigger_event.id = event.name();
  trigger_event.trusted = true;
  const TriggerOutcome outcome = TRY(run_triggers(client_, listener, trigger_event, event.trace()));
  for (const std::string& error : outcome.errors) {
    events_.record(listener, kube::EventRecorder::Type::warning, "TriggerFailed", error);
    log::warning("trigger failed", {{"event_listener", listener.key().str()}, {"error", error}});
  }
  Value entry{{"kind", "EventListener"},
              {"name", listener.name()},
              {"uid", listener.uid()},
              {"time", format_time(clock_.now())}};
  entry.set("created", Value::list_of(outcome.created));
  if (!outcome.errors.empty()) entry.set("errors", Value::list_of(outcome.errors));
  kube::WriteOptions options;
  options.subresource = "status";
  TRY(kube::modify(
      client_, schema::kPushEvents, event.key(),
      [&](kube::Object& object) {
        if (is_handled(object, listener)) return false;
        Value all = object.status()["handledBy"].is_null() ? Value::list() : object.status()["handledBy"];
        all.push_back(entry);
        object.edit({"status"}).set("handledBy", all);
        return true;
      },
      options));
  log::info(
      "push handled",
      {{"event_listener", listener.key().str()}, {"push_event", event.name()}, {"created", outcome.created.size()}});
  return {};
}

Result<kube::Requeue> PushEventReconciler::reconcile(const kube::ObjectKey& key) {
  const auto event = client_.get(schema::kPushEvents, key);
  if (!event.ok()) {
    if (event.error().code == ErrorCode::not_found) return kube::Requeue::never();
    return event.error();
  }
  const bool newest = is_newest_of_its_ref(*event);
  for (const kube::Object& listener : listeners_.list(key.ns)) {
    if (is_handled(*event, listener) || !listens_to(listener, *event, newest)) continue;
    TRY(hand_over(*event, listener));
  }
  return kube::Requeue::never();
}

}  // namespace caisson::pipeline
