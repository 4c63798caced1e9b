// SPDX-License-Identifier: Apache-2.0
#include "cluster/kube/background_queue.h"
#include "cluster/kube/event_correlator.h"
#include "cluster/kube/reconciler.h"

namespace caisson::kube {
namespace {

struct Said {
  Object event;
  Time when;
};

Value reference_to(const Object& about) {
  Value reference = Value::map();
  reference.set("kind", about.kind());
  if (!about.ns().empty()) reference.set("namespace", about.ns());
  reference.set("name", about.name());
  reference.set("uid", about.uid());
  reference.set("apiVersion", about.api_version());
  if (const std::string version = about.resource_version(); !version.empty()) reference.set("resourceVersion", version);
  return reference;
}

}  // namespace

struct EventRecorder::Impl {
  Client& client;
  Clock& clock;
  const std::string component, host;
  EventCorrelator correlator;  // of the queue's thread
  BackgroundQueue<Said> queue;

  Impl(Client& c, Clock& k, std::string comp, std::string h)
      : client(c),
        clock(k),
        component(std::move(comp)),
        host(std::move(h)),
        queue("events", 1000, 1, [this](std::vector<Said> said) { write(std::move(said.front())); }) {}

  void write(Said said) {
    const auto outcome = correlator.correlate(std::move(said.event), said.when);
    if (!outcome) return;
    Result<void> done = outcome->is_new ? create(outcome->event) : raise_count(outcome->event);
    if (done.ok()) return;
    correlator.forget(outcome->event);
    if (done.error().message.find("because it is being terminated") != std::string::npos)
      return;  // its namespace goes, and it with it
    log::warning("event not recorded", {{"about", outcome->event["involvedObject"]["kind"].str() + " " +
                                                      outcome->event["involvedObject"]["name"].str()},
                                        {"reason", outcome->event["reason"].as_string()},
                                        {"error", done.error()}});
  }

  Result<void> create(const Object& event) {
    WriteOptions options;
    options.field_manager = component;
    TRY(client.create(event, options));
    return {};
  }

  Result<void> raise_count(const Object& event) {
    Value patch = Value::map();
    for (const char* field : {"count", "lastTimestamp", "message"}) patch.set(field, event[field]);
    WriteOptions options;
    options.field_manager = component;
    const auto patched = client.patch(schema::kEvents, event.key(), PatchType::strategic, patch, options);
    if (patched.ok()) return {};
    if (patched.error().code == ErrorCode::not_found) return create(event);  // it outlived its hour
    return patched.error();
  }
};

EventRecorder::EventRecorder(Client& client, Clock& clock, std::string component, std::string host)
    : impl_(std::make_shared<Impl>(client, clock, std::move(component), std::move(host))) {}

EventRecorder::~EventRecorder() = default;

void EventRecorder::record(const Object& about, Type type, std::string_view reason, std::string_view message,
                           std::string_view action) {
  const std::string ns = about.ns().empty() ? "default" : about.ns();
  Object event = Object::make(schema::kEvents, ns, "");
  Value& value = event.edit();
  value.set("involvedObject", reference_to(about));
  value.set("reason", reason);
  value.set("message", message.substr(0, 1024));
  Value source = Value::map();
  if (action.empty()) source.set("component", impl_->component);
  if (!impl_->host.empty()) source.set("host", impl_->host);
  value.set("source", std::move(source));
  value.set("type", type == Type::normal ? "Normal" : "Warning");
  value.set("eventTime", Value());
  if (!action.empty()) value.set("action", action);
  value.set("reportingComponent", impl_->component);
  value.set("reportingInstance", impl_->host);
  impl_->queue.add({std::move(event), impl_->clock.now()});
}

}  // namespace caisson::kube
