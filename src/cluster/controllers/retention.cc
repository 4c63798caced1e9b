// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/retention.h"

#include <algorithm>
#include <map>

#include "cluster/controllers/names.h"

namespace caisson::controllers {
namespace {

using kube::Object;
using kube::ObjectKey;
using kube::Requeue;

const ObjectKey kAll{"", "all"};

Result<void> ignore_absent(const Result<void>& result) {
  if (result.ok() || result.error().code == ErrorCode::not_found) return {};
  return result.error();
}

class EventRetention : public kube::Reconciler {
 public:
  EventRetention(kube::Runtime& runtime, Duration ttl)
      : client_(runtime.client()), clock_(runtime.clock()), ttl_(ttl), events_(runtime.informer(schema::kEvents)) {}
  std::string_view name() const override { return "event-retention"; }

  Result<Requeue> reconcile(const ObjectKey& key) override {
    const auto event = events_.find(key);
    if (!event) return Requeue::never();
    const Duration age = clock_.now() - last_told(*event);
    if (age < ttl_) return Requeue::after(ttl_ - age);
    TRY(ignore_absent(client_.remove(schema::kEvents, key)));
    return Requeue::never();
  }

 private:
  Time last_told(const Object& event) const {
    std::optional<Time> last = event.created();
    for (const Value* text : {&event["lastTimestamp"], &event["eventTime"], &event["series"]["lastObservedTime"]}) {
      const auto time = parse_time(text->as_string());
      if (time && (!last || *time > *last)) last = time;
    }
    return last.value_or(clock_.now());
  }

  kube::Client& client_;
  Clock& clock_;
  const Duration ttl_;
  kube::Informer& events_;
};

class SpanRetention : public kube::Reconciler {
 public:
  SpanRetention(kube::Runtime& runtime, std::size_t traces_max)
      : client_(runtime.client()), traces_max_(traces_max), spans_(runtime.informer(schema::kSpans)) {}
  std::string_view name() const override { return "span-retention"; }

  Result<Requeue> reconcile(const ObjectKey&) override {
    for (const Object& span : plan_span_retention(spans_.list(), traces_max_)) {
      TRY(ignore_absent(client_.remove(schema::kSpans, span.key())));
    }
    return Requeue::never();
  }

 private:
  kube::Client& client_;
  const std::size_t traces_max_;
  kube::Informer& spans_;
};

}  // namespace

std::vector<Object> plan_span_retention(const std::vector<Object>& spans, std::size_t traces_max) {
  std::map<std::string_view, std::string_view> last_active;  // RFC 3339 with nine digits sorts as text
  for (const Object& span : spans) {
    std::string_view& last = last_active[span.spec()["traceId"].as_string()];
    last = std::max(last, span.spec()["startTime"].as_string());
  }
  if (last_active.size() <= traces_max) return {};
  std::vector<std::string_view> times;
  for (const auto& [trace, time] : last_active) times.push_back(time);
  std::nth_element(times.begin(), times.begin() + static_cast<long>(traces_max), times.end(), std::greater<>());
  const std::string_view limit = times[traces_max];
  std::vector<Object> out;
  for (const Object& span : spans) {
    if (last_active[span.spec()["traceId"].as_string()] <= limit) out.push_back(span);
  }
  return out;
}

void add_retention(kube::Runtime& runtime, Duration event_ttl, std::size_t traces_max) {
  const kube::Queue events = runtime.add(std::make_unique<EventRetention>(runtime, event_ttl), 1);
  runtime.watch(schema::kEvents, events);
  const kube::Queue spans = runtime.add(std::make_unique<SpanRetention>(runtime, traces_max), 1);
  // A push brings twenty spans at once: one look a while later is enough.
  runtime.informer(schema::kSpans).on_change([spans](const Object* before, const Object*) {
    if (!before) spans.add_after(kAll, std::chrono::seconds(30));
  });
}

}  // namespace caisson::controllers
