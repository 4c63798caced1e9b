// SPDX-License-Identifier: Apache-2.0
// Cron schedules as robfig/cron v3 reads them (what CronJob uses): five fields, names, ranges, steps, @hourly and its
// like, @every. Fields speak of UTC, or of the clock of a time zone: then a time that a change of clocks leaves out is
// left out, and one that comes twice comes twice. Pure; any thread.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/calendar/time_zone.h"

namespace caisson::controllers {

class CronSchedule {
 public:
  static Result<CronSchedule> parse(std::string_view text);  // bad_request, naming the field
  // The first time after `after`; nothing within five years (31 February).
  std::optional<Time> next(Time after, const calendar::TimeZone* zone = nullptr) const;

 private:
  bool day_fits(std::chrono::sys_days day) const;
  std::optional<Time> next_in(Time after, const calendar::TimeZone& zone) const;
  std::uint64_t minutes_ = 0, hours_ = 0, days_ = 0, months_ = 0, weekdays_ = 0;
  bool any_day_ = false, any_weekday_ = false;
  Duration every_{};
};

}  // namespace caisson::controllers
