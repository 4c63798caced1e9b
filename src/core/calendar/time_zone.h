// SPDX-License-Identifier: Apache-2.0
// Time zones of the host's IANA database (TZif, RFC 9636, with the POSIX rule at its end for times after the last
// transition). Immutable; any thread.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"

namespace caisson::calendar {

struct Offset {
  int seconds = 0;  // east of UTC
  std::string name = "UTC";
};

class TimeZone {
 public:
  using Ptr = std::shared_ptr<const TimeZone>;
  static Ptr utc();
  static Ptr local();  // $TZ, else /etc/localtime, else UTC
  static Ptr fixed(std::string name, int seconds);
  // "Europe/Berlin", "UTC", "Local"; read once. nullptr when it is unknown or its file broken.
  static Ptr load(std::string_view name);
  // From the bytes of a file. nullptr when they are no time zone.
  static Ptr parse(std::string name, std::string_view tzif);

  const std::string& name() const { return name_; }
  const Offset& at(std::int64_t unix_seconds) const;
  std::chrono::seconds offset_at(Time time) const;  // local time less UTC
  // The instant at which the zone's clocks show this; of two, as Go's time.Date.
  std::int64_t from_local(std::int64_t local_seconds) const;
  // The offset that goes by this abbreviation around then; false when none does.
  bool find_abbreviation(std::string_view name, std::int64_t local_seconds, int& seconds) const;

 private:
  struct Transition {
    std::int64_t at;
    std::size_t offset;
  };
  bool parse_file(std::string_view data);
  bool parse_rule(std::string_view rule);

  std::string name_ = "UTC";
  std::vector<Offset> offsets_{Offset{}};
  std::vector<Transition> transitions_;
  // The rule for what comes after the last transition (POSIX TZ), as offsets and days.
  struct RuleDay {
    int month = 0, week = 0, weekday = 0, day = 0, seconds = 7200;
    char kind = 'M';  // 'M' month.week.weekday, 'J' day without 29 February, 'n' day with it
  };
  struct Rule {
    Offset standard, summer;
    RuleDay starts, ends;
    bool has_summer = false;
  };
  static std::int64_t seconds_of(const RuleDay& day, std::int64_t year);
  static bool parse_rule_offset(std::string_view& text, int& seconds);
  static bool parse_rule_name(std::string_view& text, std::string& name);
  static bool parse_rule_day(std::string_view& text, RuleDay& day);
  bool has_rule_ = false;
  Rule rule_;
};

}  // namespace caisson::calendar
