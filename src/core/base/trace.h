// SPDX-License-Identifier: Apache-2.0
// W3C trace context (Recommendation, 23 November 2021): the id that one push carries from receive-pack to the running
// pod, and the spans that tell where its time went. A span is data; who keeps it is decided by the SpanSink that
// main/platform wires.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"

namespace caisson {

struct TraceContext {
  std::string trace_id;  // 32 hex digits; empty: no trace
  std::string span_id;   // 16 hex digits: the parent of what comes next
  bool empty() const { return trace_id.empty(); }
  std::string traceparent() const;                          // "00-<trace>-<span>-01"
  static TraceContext parse(std::string_view traceparent);  // empty when malformed
  static TraceContext start();                              // a new trace
  TraceContext child() const;                               // the same trace, a new span id
  // A child whose id is a function of the parent and `name`: recording it twice (after a crash) gives one span, not
  // two.
  TraceContext child(std::string_view name) const;
  bool operator==(const TraceContext&) const = default;
};

inline constexpr std::string_view kTraceparentAnnotation = "caisson.dev/traceparent";
inline constexpr std::string_view kTraceparentVariable = "TRACEPARENT";

struct Span {
  TraceContext context;  // its own id
  std::string parent_span_id;
  std::string name;       // "git receive-pack", "layer RUN go build", "kustomize build"
  std::string component;  // the room: "git", "build", "gitops", "node"
  Time start{}, end{};    // no end: it goes on; told again with one, the earlier start stays
  std::string error;      // empty: it went well
  std::vector<std::pair<std::string, std::string>> attributes;
};

// Any thread. Must not block for long: it may be called with work waiting.
class SpanSink {
 public:
  virtual ~SpanSink() = default;
  virtual void record(Span span) = 0;
};

}  // namespace caisson
