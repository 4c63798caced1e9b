// SPDX-License-Identifier: Apache-2.0
// time_intervals of Alertmanager: when routes are muted or active. Pure functions; any thread.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::calendar {
class TimeZone;
}

namespace caisson::alerts {

struct Range {
  int first = 0, last = 0;  // both count
};

// An empty list matches everything. Days of the month may count from its end (-1 is the last).
struct TimeInterval {
  std::vector<Range> minutes;  // of the day; the end does not count
  std::vector<Range> weekdays, days_of_month, months, years;
  std::shared_ptr<const calendar::TimeZone> zone;  // null: UTC
};

// One entry of time_intervals[].time_intervals. Errors: bad_request.
Result<TimeInterval> parse_time_interval(const Value& from);
bool contains(const TimeInterval& interval, Time time);

}  // namespace caisson::alerts
