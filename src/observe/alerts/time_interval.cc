// SPDX-License-Identifier: Apache-2.0
#include "observe/alerts/time_interval.h"

#include <algorithm>
#include <span>

#include "core/base/text.h"
#include "core/calendar/civil.h"
#include "core/calendar/go_time.h"

namespace caisson::alerts {
namespace {

constexpr std::string_view kWeekdays[] = {"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"};
constexpr std::string_view kMonths[] = {"january", "february", "march",     "april",   "may",      "june",
                                        "july",    "august",   "september", "october", "november", "december"};

Error bad(const std::string& what, std::string_view text) {
  return {ErrorCode::bad_request, "'" + std::string(text) + "' is not a valid " + what};
}

// "17:30", also "24:00": minutes of the day.
Result<int> minute_of_day(std::string_view text) {
  const auto parts = split(text, ':');
  const auto hour = parts.size() == 2 ? parse_int(parts[0]) : std::nullopt,
             minute = parts.size() == 2 ? parse_int(parts[1]) : std::nullopt;
  if (!hour || !minute || *hour < 0 || *minute < 0 || *minute > 59 || *hour * 60 + *minute > 24 * 60)
    return bad("time", text);
  return static_cast<int>(*hour * 60 + *minute);
}

Result<int> number(std::string_view text, std::span<const std::string_view> names, int first, const std::string& what) {
  const std::string lower = to_lower(trim(text));
  for (std::size_t i = 0; i < names.size(); ++i)
    if (names[i] == lower) return static_cast<int>(i) + first;
  const auto n = parse_int(lower);
  if (!n || (what == "weekday")) return bad(what, text);
  return static_cast<int>(*n);
}

// "monday:friday", "1", "-3:-1".
Result<std::vector<Range>> ranges(const Value& list, std::span<const std::string_view> names, int first,
                                  const std::string& what, int least, int most) {
  std::vector<Range> out;
  for (const Value& item : list.items()) {
    const std::string text = item.scalar_text();
    const auto parts = split(text, ':');
    if (parts.size() > 2) return bad(what + " range", text);
    Range range;
    range.first = TRY(number(parts[0], names, first, what));
    range.last = TRY(number(parts.back(), names, first, what));
    if (range.first < least || range.last > most || range.first == INT32_MIN) return bad(what, text);
    if (range.first > range.last && (range.first < 0) == (range.last < 0))
      return bad(what + " range: its end is before its start", text);
    out.push_back(range);
  }
  return out;
}

bool any(const std::vector<Range>& list, int value) {
  return list.empty() ||
         std::any_of(list.begin(), list.end(), [value](const Range& r) { return value >= r.first && value <= r.last; });
}

bool any_day(const std::vector<Range>& list, int day, int days) {
  return list.empty() || std::any_of(list.begin(), list.end(), [&](const Range& r) {
           const int first = std::max(1, r.first < 0 ? days + r.first + 1 : r.first),
                     last = r.last < 0 ? days + r.last + 1 : r.last;
           return day >= first && day <= last;
         });
}

}  // namespace

Result<TimeInterval> parse_time_interval(const Value& from) {
  TimeInterval out;
  for (const Value& item : from["times"].items()) {
    const Value& start = item.contains("start_time") ? item["start_time"] : item["startTime"];
    const Value& end = item.contains("end_time") ? item["end_time"] : item["endTime"];
    Range range;
    range.first = TRY(minute_of_day(start.as_string()));
    range.last = TRY(minute_of_day(end.as_string()));
    if (range.first >= range.last) return bad("time range: its end is not after its start", start.as_string());
    out.minutes.push_back(range);
  }
  const Value& days = from.contains("days_of_month") ? from["days_of_month"] : from["daysOfMonth"];
  out.weekdays = TRY(ranges(from["weekdays"], kWeekdays, 0, "weekday", 0, 6));
  out.days_of_month = TRY(ranges(days, {}, 0, "day of the month", -31, 31));
  out.months = TRY(ranges(from["months"], kMonths, 1, "month", 1, 12));
  out.years = TRY(ranges(from["years"], {}, 0, "year", 0, 9999));
  if (const auto name = from["location"].as_string(); !name.empty()) {
    out.zone = calendar::TimeZone::load(name);
    if (!out.zone) return bad("location", name);
  }
  return out;
}

bool contains(const TimeInterval& interval, Time time) {
  const auto zone = interval.zone ? interval.zone : calendar::TimeZone::utc();
  const calendar::ClockFace face = calendar::face_of(calendar::GoTime::from(time, zone));
  const int minute = face.hour * 60 + face.minute;
  const bool in_time = interval.minutes.empty() ||
                       std::any_of(interval.minutes.begin(), interval.minutes.end(),
                                   [minute](const Range& r) { return minute >= r.first && minute < r.last; });
  return in_time && any(interval.weekdays, face.weekday) && any(interval.months, face.month) &&
         any(interval.years, static_cast<int>(face.year)) &&
         any_day(interval.days_of_month, face.day, calendar::days_in_month(face.year, face.month));
}

}  // namespace caisson::alerts
