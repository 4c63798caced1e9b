// SPDX-License-Identifier: Apache-2.0
// Times with their offset, in Go's layouts ("Mon Jan _2 15:04:05 MST 2006"). Follows Go's time.Parse. Any thread.
#pragma once
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/result.h"

namespace caisson::jmespath {

struct ZonedTime {
  Time time;
  int offset_seconds = 0;
};

struct CivilTime {
  int year = 1, month = 1, day = 1, hour = 0, minute = 0, second = 0, weekday = 0;  // weekday: 0 is Sunday
};
CivilTime civil(const ZonedTime& time);

inline constexpr std::string_view kRfc3339 = "2006-01-02T15:04:05Z07:00";

// Errors: bad_request.
Result<ZonedTime> parse_go_time(std::string_view layout, std::string_view text);
std::string format_rfc3339(const ZonedTime& time);  // whole seconds, "Z" or "+02:00"

}  // namespace caisson::jmespath
