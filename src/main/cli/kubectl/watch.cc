// SPDX-License-Identifier: Apache-2.0
#include "main/cli/kubectl/watch.h"

#include <algorithm>

#include "core/base/encoding.h"
#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::cli::kubectl {
namespace {

// Reads events until `is_done` says so (true), or the stream ends and a list is due (false).
Result<bool> read_events(http::ResponseStream& stream, const Decide& is_done) {
  std::string pending;
  for (;;) {
    const std::string piece = TRY(stream.read_some());
    if (piece.empty()) return false;
    pending += piece;
    for (std::size_t line_end; (line_end = pending.find('\n')) != std::string::npos; pending.erase(0, line_end + 1)) {
      const Value event = TRY(json::parse(std::string_view(pending).substr(0, line_end)));
      const std::string_view type = event["type"].as_string();
      if (type == "ERROR") return false;  // the version is too old: list again
      if (type == "BOOKMARK") continue;
      if (TRY(is_done(type == "DELETED" ? nullptr : &event["object"]))) return true;
    }
  }
}

}  // namespace

Result<void> follow(const Call& call, const kube::Resource& resource, const std::string& ns, const std::string& name,
                    Time end, const Decide& is_done) {
  const std::string only = resource.path(ns) + "?fieldSelector=" + percent_encode("metadata.name=" + name);
  for (;;) {
    const Value list = TRY(get(call, only));
    const Value* found = list["items"].empty() ? nullptr : &list["items"][0];
    if (TRY(is_done(found))) return {};
    const Duration left = end - system_clock().now();
    if (left <= Duration(0)) return Error{ErrorCode::timeout, "timed out waiting for the condition"};
    http::Request request = call.session.request(
        "GET", only + "&watch=true&resourceVersion=" + percent_encode(list["metadata"]["resourceVersion"].as_string()));
    request.headers.set("Accept", "application/json");
    request.time_max = left;
    const auto opened = call.http->open(request);
    if (!opened.ok() && opened.error().code == ErrorCode::timeout) continue;
    if (!opened.ok()) return opened.error();
    if ((*opened)->status >= 400) continue;  // the list says what is wrong
    const auto done = read_events(**opened, is_done);
    if (done.ok() && *done) return {};
    // A stream that was cut off, or the time: the next list shows which.
    if (!done.ok() && done.error().code != ErrorCode::timeout && done.error().code != ErrorCode::unavailable)
      return done.error();
  }
}

Result<Time> end_of_wait(const Call& call, std::string_view otherwise) {
  const Duration time = TRY(parse_duration(call.text("timeout", otherwise)));
  if (time < Duration(0)) return system_clock().now() + std::chrono::hours(24 * 7);
  if (time == Duration(0)) return system_clock().now() + std::chrono::hours(24 * 365);
  return system_clock().now() + time;
}

}  // namespace caisson::cli::kubectl
