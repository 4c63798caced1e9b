// SPDX-License-Identifier: Apache-2.0
#include "cluster/kube/background_queue.h"
#include "cluster/kube/reconciler.h"

namespace caisson::kube {
namespace {

constexpr std::string_view kTraceIdLabel = "caisson.dev/trace-id";

Object object_of(const Span& span) {
  Object object = Object::make(schema::kSpans, "", span.context.span_id);
  object.set_label(kTraceIdLabel, span.context.trace_id);
  Value spec = Value::map();
  spec.set("traceId", span.context.trace_id);
  spec.set("spanId", span.context.span_id);
  spec.set("parentSpanId", span.parent_span_id);
  spec.set("name", span.name);
  spec.set("component", span.component);
  spec.set("startTime", format_time_nanos(span.start));
  if (span.end != Time{}) spec.set("endTime", format_time_nanos(span.end));
  if (!span.error.empty()) spec.set("error", span.error);
  if (!span.attributes.empty()) {
    Value attributes = Value::map();
    for (const auto& [key, value] : span.attributes) attributes.set(key, value);
    spec.set("attributes", std::move(attributes));
  }
  object.edit().set("spec", std::move(spec));
  return object;
}

class SpanRecorder : public SpanSink {
 public:
  explicit SpanRecorder(Client& client)
      : client_(client), queue_("spans", 4096, 64, [this](std::vector<Span> spans) { write(spans); }) {}

  void record(Span span) override {
    if (!span.context.empty()) queue_.add(std::move(span));
  }

 private:
  void write(const std::vector<Span>& spans) {
    std::vector<Write> writes;
    for (const Span& span : spans) writes.push_back({Write::Verb::create, object_of(span), {}, {}});
    // A batch is one commit where that is possible; one span that is there already must not cost the others.
    if (client_.atomic() && writes.size() > 1 && client_.transact(writes).ok()) return;
    for (const Write& write : writes) {
      if (const auto done = write_one(write.object); !done.ok()) {
        log::warning("span not recorded", {{"span", write.object.spec()["name"].as_string()}, {"error", done.error()}});
      }
    }
  }

  // What is told again (at its end, or after a crash) is told better: the later telling stays, but for the start, which
  // was seen exactly only when it happened.
  Result<void> write_one(const Object& object) {
    const auto created = client_.create(object);
    if (created.ok()) return {};
    if (created.error().code != ErrorCode::already_exists) return created.error();
    const Object known = TRY(client_.get(schema::kSpans, object.key()));
    Object told = object;
    const auto first = parse_time(known.spec()["startTime"].as_string());
    const auto again = parse_time(object.spec()["startTime"].as_string());
    // Ended is final: a start that is told late must not open the span again.
    if (object.spec()["endTime"].is_null() && !known.spec()["endTime"].is_null()) return {};
    if (first && (!again || kept_start(*first, *again)))
      told.edit({"spec"}).set("startTime", known.spec()["startTime"]);
    TRY(client_.update(told));
    return {};
  }

  // Starts that come from an object's status are whole seconds, cut off: a known start within that second is the exact
  // one.
  static bool kept_start(Time known, Time told) { return known < told || known - told < std::chrono::seconds(1); }

  Client& client_;
  BackgroundQueue<Span> queue_;
};

}  // namespace

std::unique_ptr<SpanSink> make_span_recorder(Client& client) {
  return std::make_unique<SpanRecorder>(client);
}

}  // namespace caisson::kube
