// SPDX-License-Identifier: Apache-2.0
#include "core/base/trace.h"

#include "core/base/encoding.h"
#include "core/base/hash.h"
#include "core/base/random.h"

namespace caisson {
namespace {

bool is_id(std::string_view text, std::size_t length) {
  return text.size() == length && text.find_first_not_of("0123456789abcdef") == std::string_view::npos &&
         text.find_first_not_of('0') != std::string_view::npos;
}

}  // namespace

std::string TraceContext::traceparent() const {
  return "00-" + trace_id + "-" + span_id + "-01";
}

TraceContext TraceContext::parse(std::string_view text) {
  if (text.size() != 55 || text.substr(0, 3) != "00-" || text[35] != '-' || text[52] != '-') return {};
  TraceContext context{std::string(text.substr(3, 32)), std::string(text.substr(36, 16))};
  if (!is_id(context.trace_id, 32) || !is_id(context.span_id, 16)) return {};
  return context;
}

TraceContext TraceContext::start() {
  return {hex(random_bytes(16)), hex(random_bytes(8))};
}

TraceContext TraceContext::child() const {
  return empty() ? TraceContext{} : TraceContext{trace_id, hex(random_bytes(8))};
}

TraceContext TraceContext::child(std::string_view name) const {
  if (empty()) return {};
  return {trace_id, sha256_hex(trace_id + span_id + std::string(name)).substr(0, 16)};
}

}  // namespace caisson
