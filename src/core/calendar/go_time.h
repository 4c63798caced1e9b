// SPDX-License-Identifier: Apache-2.0
// Times as Go's package time has them, and its layouts ("2006-01-02T15:04:05Z07:00") for writing and reading. Any thread.
#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/calendar/time_zone.h"

namespace caisson::calendar {

inline constexpr std::string_view kRfc3339 = "2006-01-02T15:04:05Z07:00";

struct GoTime {
  std::int64_t seconds = 0;  // from 1970
  int nanos = 0;
  TimeZone::Ptr zone = TimeZone::utc();

  static GoTime from(Time time, TimeZone::Ptr zone);
  static GoTime zero();  // January 1, year 1
  GoTime in(TimeZone::Ptr other) const;
  GoTime add(Duration by) const;
  Duration since(const GoTime& earlier) const;  // no more and no less than a Duration can hold
  friend bool operator<(const GoTime& a, const GoTime& b) {  // as instants
    return a.seconds < b.seconds || (a.seconds == b.seconds && a.nanos < b.nanos);
  }
};

struct ClockFace {  // what a calendar and a clock of the zone show
  std::int64_t year;
  int month, day, hour, minute, second, weekday, year_day;
  Offset offset;
};
ClockFace face_of(const GoTime& time);

std::string format_go_time(const GoTime& time, std::string_view layout);
// time.ParseInLocation. Errors: invalid, in Go's words (`parsing time "x" as "2006": cannot parse "x" as "2006"`).
Result<GoTime> parse_go_time(std::string_view layout, std::string_view text, const TimeZone::Ptr& zone);

std::string_view month_name(int month);      // 1: "January"
std::string_view weekday_name(int weekday);  // 0: "Sunday"

}  // namespace caisson::calendar
