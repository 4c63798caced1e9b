// SPDX-License-Identifier: Apache-2.0
// Kyverno's functions over times (RFC 3339 texts) and durations (Go's texts). "Now" is the caller's clock.
#include "core/base/text.h"
#include "core/calendar/civil.h"
#include "core/calendar/go_time.h"
#include "core/expr/jmespath/functions.h"

namespace caisson::jmespath {
namespace {

using calendar::GoTime;

Result<GoTime> time_in(const Call& call, std::string_view layout, std::string_view text) {
  auto time = calendar::parse_go_time(layout.empty() ? calendar::kRfc3339 : layout, text, calendar::TimeZone::utc());
  if (!time.ok()) return call.fail(time.error().message);
  return time;
}
Result<GoTime> time_argument(const Call& call, std::size_t i) {
  return time_in(call, calendar::kRfc3339, call.text(i));
}
Result<Duration> duration_argument(const Call& call, std::size_t i) {
  auto duration = parse_duration(call.text(i));
  if (!duration.ok()) return call.fail(duration.error().message);
  return duration;
}
Result<GoTime> now(const Call& call) {
  if (call.environment.clock == nullptr) return call.fail("there is no clock here");
  return GoTime::from(call.environment.clock->now(), calendar::TimeZone::utc());
}
Value text_of(const GoTime& time) {
  return Value(calendar::format_go_time(time, calendar::kRfc3339));
}

Result<Value> run_time_now(const Call& call) {
  return text_of(TRY(now(call)));
}
Result<Value> run_time_since(const Call& call) {
  const GoTime from = TRY(time_in(call, call.text(0), call.text(1)));
  const GoTime to = TRY(call.text(2).empty() ? now(call) : time_in(call, call.text(0), call.text(2)));
  return Value(format_duration(to.since(from)));
}
Result<Value> run_time_to_cron(const Call& call) {
  const calendar::ClockFace at = calendar::face_of(TRY(time_argument(call, 0)));
  return Value(std::to_string(at.minute) + " " + std::to_string(at.hour) + " " + std::to_string(at.day) + " " +
               std::to_string(at.month) + " " + std::to_string(at.weekday));
}
Result<Value> run_time_add(const Call& call) {
  const GoTime time = TRY(time_argument(call, 0));
  return text_of(time.add(TRY(duration_argument(call, 1))));
}
Result<Value> run_time_parse(const Call& call) {
  if (parse_int(call.text(0))) {  // a number as layout: seconds since 1970
    const auto seconds = parse_int(call.text(1));
    if (!seconds || *seconds > 9'000'000'000 || *seconds < -9'000'000'000) return call.fail("not an epoch time");
    return text_of({*seconds, 0, calendar::TimeZone::utc()});
  }
  return text_of(TRY(time_in(call, call.text(0), call.text(1))));
}
Result<Value> run_time_utc(const Call& call) {
  return text_of(TRY(time_argument(call, 0)).in(calendar::TimeZone::utc()));
}
Result<Value> run_time_diff(const Call& call) {
  const GoTime from = TRY(time_argument(call, 0)), to = TRY(time_argument(call, 1));
  return Value(format_duration(to.since(from)));
}
Result<Value> run_time_before(const Call& call) {
  const GoTime a = TRY(time_argument(call, 0)), b = TRY(time_argument(call, 1));
  return Value(a < b);
}
Result<Value> run_time_after(const Call& call) {
  const GoTime a = TRY(time_argument(call, 0)), b = TRY(time_argument(call, 1));
  return Value(b < a);
}
Result<Value> run_time_between(const Call& call) {
  const GoTime time = TRY(time_argument(call, 0)), from = TRY(time_argument(call, 1));
  const GoTime to = TRY(time_argument(call, 2));
  return Value(from < time && time < to);
}
Result<Value> run_time_truncate(const Call& call) {
  const GoTime time = TRY(time_argument(call, 0));
  const Duration unit = TRY(duration_argument(call, 1));
  if (unit.count() <= 0) return text_of(time);
  // Go counts multiples from the year 1.
  const __int128 since = __int128{time.seconds - GoTime::zero().seconds} * 1'000'000'000 + time.nanos;
  return text_of(time.add(-Duration(static_cast<std::int64_t>(since % unit.count()))));
}

constexpr Function kTable[] = {
    {"time_add", 2, false, {kString, kString}, "string", run_time_add, "a time and a duration added"},
    {"time_after", 2, false, {kString, kString}, "boolean", run_time_after, "whether the first is after the second"},
    {"time_before", 2, false, {kString, kString}, "boolean", run_time_before, "whether the first is before the second"},
    {"time_between",
     3,
     false,
     {kString, kString, kString},
     "boolean",
     run_time_between,
     "whether the first is between the others"},
    {"time_diff", 2, false, {kString, kString}, "string", run_time_diff, "the duration from one time to another"},
    {"time_now", 0, false, {}, "string", run_time_now, "the time"},
    {"time_now_utc", 0, false, {}, "string", run_time_now, "the time in UTC"},
    {"time_parse", 2, false, {kString, kString}, "string", run_time_parse, "a time read by a layout of Go"},
    {"time_since",
     3,
     false,
     {kString, kString, kString},
     "string",
     run_time_since,
     "the duration between two times of a layout; an empty second one is the present time"},
    {"time_to_cron", 1, false, {kString}, "string", run_time_to_cron, "a time as a cron expression"},
    {"time_truncate", 2, false, {kString, kString}, "string", run_time_truncate, "rounded down to a duration"},
    {"time_utc", 1, false, {kString}, "string", run_time_utc, "a time in UTC"},
};

}  // namespace

std::span<const Function> time_functions() {
  return kTable;
}

}  // namespace caisson::jmespath
