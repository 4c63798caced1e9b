// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/windows.h"

#include <fnmatch.h>

#include <algorithm>

#include "cluster/controllers/cron.h"
#include "core/calendar/time_zone.h"

namespace caisson::gitops {
namespace {

bool listed(const Value& patterns, const std::string& text) {
  return std::any_of(patterns.items().begin(), patterns.items().end(),
                     [&](const Value& one) { return fnmatch(one.str().c_str(), text.c_str(), 0) == 0; });
}

// Applications, namespaces or clusters; with useAndOperator all that are given must fit.
bool applies(const Value& window, const Application& application) {
  const bool by_name = listed(window["applications"], application.key.name);
  const bool by_namespace = listed(window["namespaces"], application.destination_namespace);
  const bool by_cluster = listed(window["clusters"], application.destination_server) ||
                          listed(window["clusters"], application.destination_name);
  if (!window["useAndOperator"].as_bool() && !window["andOperator"].as_bool())
    return by_name || by_namespace || by_cluster;
  return (window["applications"].empty() || by_name) && (window["namespaces"].empty() || by_namespace) &&
         (window["clusters"].empty() || by_cluster);
}

struct Span {
  bool active = false;
  std::optional<Time> changes;  // when it ends, or begins next
};

Result<Span> span_of(const Value& window, Time now) {
  const auto schedule =
      TRY(controllers::CronSchedule::parse(window["schedule"].as_string()).in("sync window schedule"));
  const Duration length = TRY(parse_duration(window["duration"].as_string()).in("sync window duration"));
  Duration offset{0};
  if (const std::string zone = window["timeZone"].str(); !zone.empty() && zone != "UTC") {
    const auto known = calendar::TimeZone::load(zone);
    if (!known) return Error{ErrorCode::invalid, "sync window time zone: \"" + zone + "\" is not known"};
    offset = known->offset_at(now);
  }
  const Time local = now + offset;
  Span out;
  // The latest start that is not in the future lies in (now - length, now] when the window is open.
  std::optional<Time> start = schedule.next(local - length);
  while (start && *start <= local) {
    out.active = true;
    out.changes = *start + length - offset;
    start = schedule.next(*start);
  }
  if (!out.active && start) out.changes = *start - offset;
  return out;
}

std::string describe(const Value& window) {
  return window["kind"].str() + " \"" + window["schedule"].str() + "\" for " + window["duration"].str();
}

}  // namespace

Result<bool> window_is_open(const Value& window, Time now) {
  if (window["kind"].as_string() != "allow" && window["kind"].as_string() != "deny")
    return Error{ErrorCode::invalid, "sync window kind: allow or deny, not \"" + window["kind"].str() + "\""};
  if (window["applications"].empty() && window["namespaces"].empty() && window["clusters"].empty())
    return Error{ErrorCode::invalid, "sync window " + describe(window) + ": no applications, namespaces or clusters"};
  const Span span = TRY(span_of(window, now));
  return span.active;
}

Result<WindowVerdict> check_windows(const Application& application, const kube::Object* project, Time now) {
  WindowVerdict out;
  if (!project) return out;
  bool any_allow = false, open = false, manual_outside = true;
  std::string closed_by;
  for (const Value& window : project->spec()["syncWindows"].items()) {
    if (!applies(window, application)) continue;
    const Span span = TRY(span_of(window, now));
    if (span.changes && (!out.next_look || *span.changes < *out.next_look)) out.next_look = span.changes;
    const bool manual = window["manualSync"].as_bool();
    if (window["kind"].as_string() == "deny") {
      if (!span.active) continue;
      out.automated = false;
      out.manual = out.manual && manual;
      out.reason = "Cannot sync: the sync window " + describe(window) + " is active";
    } else {
      any_allow = true;
      open = open || span.active;
      if (!span.active) {
        manual_outside = manual_outside && manual;
        closed_by = describe(window);
      }
    }
  }
  if (any_allow && !open) {
    out.automated = false;
    out.manual = out.manual && manual_outside;
    if (out.reason.empty()) out.reason = "Cannot sync: outside of the sync window " + closed_by;
  }
  return out;
}

}  // namespace caisson::gitops
