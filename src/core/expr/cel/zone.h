// SPDX-License-Identifier: Apache-2.0
// Time zones: "UTC", "Europe/Berlin" of the system's tz database (RFC 8536), "+09:30". Any thread.
#pragma once
#include <cstdint>
#include <string_view>

#include "core/base/result.h"

namespace caisson::cel {

// Seconds east of UTC at that time. Errors: bad_request "unknown time zone X".
Result<std::int64_t> zone_offset(std::string_view zone, std::int64_t unix_seconds);

// Days since 1970 of a date, and back.
std::int64_t days_from_civil(std::int64_t year, int month, int day);
struct Civil {
  std::int64_t year;
  int month, day;  // from 1
};
Civil civil_from_days(std::int64_t days);

}  // namespace caisson::cel
