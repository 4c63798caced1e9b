// SPDX-License-Identifier: Apache-2.0
#include "core/expr/jmespath/go_time.h"

#include <array>
#include <cstdio>
#include <cstdlib>

#include "core/base/text.h"

namespace caisson::jmespath {
namespace {

constexpr std::array<std::string_view, 12> kMonths = {"January",   "February", "March",    "April",
                                                      "May",       "June",     "July",     "August",
                                                      "September", "October",  "November", "December"};
constexpr std::array<std::string_view, 7> kDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                   "Thursday", "Friday", "Saturday"};

enum class Part {
  literal,
  long_month,
  month_name,
  month,
  zero_month,
  long_day,
  day_name,
  day,
  under_day,
  zero_day,
  hour,
  hour12,
  zero_hour12,
  minute,
  zero_minute,
  second,
  zero_second,
  long_year,
  year,
  pm,
  zone_name,
  iso_zone,
  iso_zone_colon,
  zone,
  zone_colon,
  zone_hour,
  year_day
};
// Longer texts stand before those that they begin with.
struct Word {
  std::string_view text;
  Part part;
};
constexpr Word kWords[] = {
    {"January", Part::long_month},
    {"Jan", Part::month_name},
    {"Monday", Part::long_day},
    {"Mon", Part::day_name},
    {"MST", Part::zone_name},
    {"2006", Part::long_year},
    {"002", Part::year_day},
    {"01", Part::zero_month},
    {"02", Part::zero_day},
    {"03", Part::zero_hour12},
    {"04", Part::zero_minute},
    {"05", Part::zero_second},
    {"06", Part::year},
    {"15", Part::hour},
    {"_2", Part::under_day},
    {"PM", Part::pm},
    {"pm", Part::pm},
    {"Z07:00", Part::iso_zone_colon},
    {"Z0700", Part::iso_zone},
    {"-07:00", Part::zone_colon},
    {"-0700", Part::zone},
    {"-07", Part::zone_hour},
    {"1", Part::month},
    {"2", Part::day},
    {"3", Part::hour12},
    {"4", Part::minute},
    {"5", Part::second},
};

struct Reading {
  CivilTime civil;
  long nanos = 0;
  int offset = 0;
  bool pm = false, has_pm = false;
  int year_day = -1;
};

std::optional<int> digits(std::string_view& text, std::size_t least, std::size_t most) {
  std::size_t length = 0;
  int number = 0;
  while (length < most && length < text.size() && text[length] >= '0' && text[length] <= '9')
    number = number * 10 + (text[length++] - '0');
  if (length < least) return {};
  text.remove_prefix(length);
  return number;
}

template <std::size_t N>
std::optional<int> name_of(std::string_view& text, const std::array<std::string_view, N>& names, bool whole) {
  for (std::size_t i = 0; i < N; ++i) {
    const std::string_view name = whole ? names[i] : names[i].substr(0, 3);
    if (!equals_ignoring_case(text.substr(0, name.size()), name)) continue;
    text.remove_prefix(name.size());
    return static_cast<int>(i);
  }
  return {};
}

bool read_zone(std::string_view& text, Part part, int& offset) {
  const bool z_allowed = part == Part::iso_zone || part == Part::iso_zone_colon;
  if (z_allowed && text.starts_with("Z")) {
    text.remove_prefix(1);
    offset = 0;
    return true;
  }
  if (text.empty() || (text[0] != '+' && text[0] != '-')) return false;
  const int sign = text[0] == '-' ? -1 : 1;
  text.remove_prefix(1);
  const auto hours = digits(text, 2, 2);
  if (!hours) return false;
  int minutes = 0;
  if (part != Part::zone_hour) {
    if (part == Part::zone_colon || part == Part::iso_zone_colon) {
      if (!text.starts_with(":")) return false;
      text.remove_prefix(1);
    }
    const auto given = digits(text, 2, 2);
    if (!given) return false;
    minutes = *given;
  }
  if (*hours > 24 || minutes > 59) return false;
  offset = sign * (*hours * 3600 + minutes * 60);
  return true;
}

bool set(int& field, const std::optional<int>& value) {
  if (value) field = *value;
  return value.has_value();
}

// A fraction behind the seconds is taken even where the layout has none.
bool read_fraction(std::string_view& text, long& nanos) {
  if (text.size() < 2 || (text[0] != '.' && text[0] != ',') || text[1] < '0' || text[1] > '9') return true;
  long scale = 100'000'000;
  text.remove_prefix(1);
  for (; !text.empty() && text[0] >= '0' && text[0] <= '9'; text.remove_prefix(1), scale /= 10)
    nanos += (text[0] - '0') * scale;
  return true;
}

bool read_part(Part part, std::string_view& text, Reading& out) {
  CivilTime& c = out.civil;
  switch (part) {
    case Part::long_month:
    case Part::month_name: {
      const auto month = name_of(text, kMonths, part == Part::long_month);
      if (month) c.month = *month + 1;
      return month.has_value();
    }
    case Part::long_day:
    case Part::day_name:
      return name_of(text, kDays, part == Part::long_day).has_value();
    case Part::month:
      return set(c.month, digits(text, 1, 2));
    case Part::zero_month:
      return set(c.month, digits(text, 2, 2));
    case Part::under_day:
      if (text.starts_with(" ")) text.remove_prefix(1);
      return set(c.day, digits(text, 1, 2));
    case Part::day:
      return set(c.day, digits(text, 1, 2));
    case Part::zero_day:
      return set(c.day, digits(text, 2, 2));
    case Part::year_day:
      return set(out.year_day, digits(text, 3, 3));
    case Part::hour:
      return set(c.hour, digits(text, 2, 2));
    case Part::hour12:
      return set(c.hour, digits(text, 1, 2));
    case Part::zero_hour12:
      return set(c.hour, digits(text, 2, 2));
    case Part::minute:
      return set(c.minute, digits(text, 1, 2));
    case Part::zero_minute:
      return set(c.minute, digits(text, 2, 2));
    case Part::second:
      return set(c.second, digits(text, 1, 2)) && read_fraction(text, out.nanos);
    case Part::zero_second:
      return set(c.second, digits(text, 2, 2)) && read_fraction(text, out.nanos);
    case Part::long_year:
      return set(c.year, digits(text, 4, 4));
    case Part::year: {
      const auto year = digits(text, 2, 2);
      if (year) c.year = *year + (*year >= 69 ? 1900 : 2000);
      return year.has_value();
    }
    case Part::pm:
      out.has_pm = true;
      out.pm = text.starts_with("PM") || text.starts_with("pm");
      if (!out.pm && !text.starts_with("AM") && !text.starts_with("am")) return false;
      text.remove_prefix(2);
      return true;
    case Part::zone_name: {
      std::size_t length = 0;
      while (length < text.size() && text[length] >= 'A' && text[length] <= 'Z') ++length;
      if (length < 3) return false;
      text.remove_prefix(length);  // names tell no offset: UTC, as Go does with names that it does not know
      return true;
    }
    default:
      return read_zone(text, part, out.offset);
  }
}

bool is_plausible(const Reading& r) {
  const CivilTime& c = r.civil;
  const std::chrono::year_month_day date{std::chrono::year(c.year), std::chrono::month(static_cast<unsigned>(c.month)),
                                         std::chrono::day(static_cast<unsigned>(c.day))};
  return date.ok() && c.hour < 24 && c.minute < 60 && c.second < 60;
}

Error unreadable(std::string_view layout, std::string_view text) {
  return {ErrorCode::bad_request,
          "parsing time \"" + std::string(text) + "\" as \"" + std::string(layout) + "\" failed"};
}

}  // namespace

Result<ZonedTime> parse_go_time(std::string_view layout, std::string_view text) {
  Reading reading;
  std::string_view rest = text;
  for (std::string_view left = layout; !left.empty();) {
    const Word* word = nullptr;
    for (const Word& candidate : kWords) {
      if (left.starts_with(candidate.text)) {
        word = &candidate;
        break;
      }
    }
    if (word == nullptr) {
      if (rest.empty() || rest[0] != left[0]) return unreadable(layout, text);
      rest.remove_prefix(1);
      left.remove_prefix(1);
      continue;
    }
    if (!read_part(word->part, rest, reading)) return unreadable(layout, text);
    left.remove_prefix(word->text.size());
  }
  if (reading.has_pm) reading.civil.hour = reading.civil.hour % 12 + (reading.pm ? 12 : 0);
  if (!rest.empty() || !is_plausible(reading)) return unreadable(layout, text);
  const CivilTime& c = reading.civil;
  auto days = std::chrono::sys_days(std::chrono::year(c.year) / c.month / c.day);
  if (reading.year_day > 0)
    days = std::chrono::sys_days(std::chrono::year(c.year) / 1 / 1) + std::chrono::days(reading.year_day - 1);
  if (c.year < 1700 || c.year > 2250) return unreadable(layout, text);  // beyond what nanoseconds can count
  const auto seconds = std::chrono::hours(c.hour) + std::chrono::minutes(c.minute) + std::chrono::seconds(c.second);
  return ZonedTime{
      Time(days) + seconds + std::chrono::nanoseconds(reading.nanos) - std::chrono::seconds(reading.offset),
      reading.offset};
}

CivilTime civil(const ZonedTime& zoned) {
  const auto local = std::chrono::floor<std::chrono::seconds>(zoned.time) + std::chrono::seconds(zoned.offset_seconds);
  const auto days = std::chrono::floor<std::chrono::days>(local);
  const std::chrono::year_month_day date(days);
  const std::chrono::hh_mm_ss clock(local - days);
  return {int(date.year()),
          static_cast<int>(unsigned(date.month())),
          static_cast<int>(unsigned(date.day())),
          static_cast<int>(clock.hours().count()),
          static_cast<int>(clock.minutes().count()),
          static_cast<int>(clock.seconds().count()),
          static_cast<int>(std::chrono::weekday(days).c_encoding())};
}

std::string format_rfc3339(const ZonedTime& zoned) {
  const CivilTime c = civil(zoned);
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d", c.year, c.month, c.day, c.hour, c.minute, c.second);
  std::string out = text;
  if (zoned.offset_seconds == 0) return out + "Z";
  const int minutes = std::abs(zoned.offset_seconds) / 60;
  std::snprintf(text, sizeof text, "%c%02d:%02d", zoned.offset_seconds < 0 ? '-' : '+', minutes / 60, minutes % 60);
  return out + text;
}

}  // namespace caisson::jmespath
