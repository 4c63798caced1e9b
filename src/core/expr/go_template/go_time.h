// SPDX-License-Identifier: Apache-2.0
// Times as Go's package time has them: layouts ("2006-01-02T15:04:05Z07:00") for writing and reading, and the object
// that templates see. Any thread.
#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/expr/go_template/datum.h"
#include "core/expr/go_template/time_zone.h"

namespace caisson::go_template {

struct GoTime {
  std::int64_t seconds = 0;  // from 1970
  int nanos = 0;
  std::shared_ptr<const TimeZone> zone = TimeZone::utc();

  static GoTime from(Time time, std::shared_ptr<const TimeZone> zone);
  static GoTime zero();  // January 1, year 1
  GoTime in(std::shared_ptr<const TimeZone> other) const;
  GoTime add(Duration by) const;
  Duration since(const GoTime& earlier) const;  // no more and no less than a Duration can hold
};

struct ClockFace {  // what a calendar and a clock of the zone show
  std::int64_t year;
  int month, day, hour, minute, second, weekday, year_day;
  Offset offset;
};
ClockFace face_of(const GoTime& time);

std::string format_time(const GoTime& time, std::string_view layout);
// time.ParseInLocation. Errors: invalid, in Go's words (`parsing time "x" as "2006": cannot parse "x" as "2006"`).
Result<GoTime> parse_time(std::string_view layout, std::string_view text, const std::shared_ptr<const TimeZone>& zone);

std::string_view month_name(int month);      // 1: "January"
std::string_view weekday_name(int weekday);  // 0: "Sunday"
Datum time_datum(GoTime time);
const GoTime* time_of(const Datum& datum);  // nullptr when it is none

}  // namespace caisson::go_template
