// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <array>

#include "cluster/kube/background_queue.h"
#include "cluster/kube/event_correlator.h"
#include "cluster/kube/event_series.h"
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

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "localhost";
}

}  // namespace

struct EventRecorder::Impl {
  Client& client;
  Clock& clock;
  const std::string component, host;
  EventCorrelator correlator;  // of the queue's thread
  EventSeries series;          // of the queue's thread
  BackgroundQueue<Said> queue;

  Impl(Client& c, Clock& k, std::string comp, std::string h)
      : client(c),
        clock(k),
        component(std::move(comp)),
        host(std::move(h)),
        queue(
            "events", 1000, 1, [this](std::vector<Said> said) { write(std::move(said.front())); },
            [this] { write_due(clock.now()); }, std::chrono::minutes(1)) {}

  void write(Said said) {
    const Time now = said.when;
    if (said.event["action"].is_null()) {
      write_counted(std::move(said));
    } else if (const auto outcome = series.observe(std::move(said.event), now)) {
      write_series(*outcome);
    }
    write_due(now);
  }

  void write_due(Time now) {
    for (const auto& outcome : series.due(now)) write_series(outcome);
  }

  void write_series(const EventSeries::Outcome& outcome) {
    Value patch = Value::map();
    patch.set("series", outcome.event["series"]);
    report(outcome.event, outcome.is_new ? create(outcome.event) : raise(outcome.event, patch));
  }

  void write_counted(Said said) {
    const auto outcome = correlator.correlate(std::move(said.event), said.when);
    if (!outcome) return;
    Value patch = Value::map();
    for (const char* field : {"count", "lastTimestamp", "message"}) patch.set(field, outcome->event[field]);
    const Result<void> done = outcome->is_new ? create(outcome->event) : raise(outcome->event, patch);
    if (!done.ok()) correlator.forget(outcome->event);
    report(outcome->event, done);
  }

  static void report(const Object& event, const Result<void>& done) {
    if (done.ok()) return;
    if (done.error().message.find("because it is being terminated") != std::string::npos)
      return;  // its namespace goes, and it with it
    log::warning("event not recorded",
                 {{"about", event["involvedObject"]["kind"].str() + " " + event["involvedObject"]["name"].str()},
                  {"reason", event["reason"].as_string()},
                  {"error", done.error()}});
  }

  Result<void> create(const Object& event) {
    WriteOptions options;
    options.field_manager = component;
    TRY(client.create(event, options));
    return {};
  }

  Result<void> raise(const Object& event, const Value& patch) {
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
  value.set("reportingInstance", action.empty() ? impl_->host : impl_->component + "-" + host_name());
  impl_->queue.add({std::move(event), impl_->clock.now()});
}

}  // namespace caisson::kube
