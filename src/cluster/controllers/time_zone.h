// SPDX-License-Identifier: Apache-2.0
// Time zones by their IANA names, from the system's compiled files (TZif, RFC 9636, version 1 to 4, with the POSIX rule
// at its end for times after the last transition). Immutable after loading; any thread.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"

namespace caisson::controllers {

class TimeZone {
 public:
  // "Europe/Berlin". Errors: not_found for a name that the system does not know; bad_request for a file that is broken.
  static Result<TimeZone> load(std::string_view name);
  // From the bytes of a file. Errors: bad_request.
  static Result<TimeZone> parse(std::string_view tzif);

  std::chrono::seconds offset_at(Time time) const;  // local time less UTC

 private:
  // "M3.5.0/2", "J60", "59/3:00": when in a year something changes, by the clock that holds until then.
  struct Rule {
    enum class Kind : std::uint8_t { julian_without_leap_day, day_of_year, month_week_day } kind = Kind::day_of_year;
    int month = 0, week = 0, day = 0;
    std::int64_t second = 7200;  // of that day
  };
  struct Tail {
    std::int64_t standard = 0, daylight = 0;  // seconds east
    bool has_daylight = false;
    Rule begin, end;
  };
  static std::optional<Tail> parse_tail(std::string_view text);
  static std::int64_t start_of(const Rule& rule, int year);  // seconds since 1970, by the local clock
  std::int64_t tail_offset(std::int64_t time) const;

  std::vector<std::int64_t> transitions_;  // seconds since 1970, ascending
  std::vector<std::int64_t> offsets_;      // from each of them on
  std::int64_t first_ = 0;                 // before the first
  std::optional<Tail> tail_;
};

}  // namespace caisson::controllers
