// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/cron.h"

#include <string>
#include <vector>

#include "core/base/text.h"

namespace caisson::controllers {
namespace {

struct FieldKind {
  std::string_view name;
  int least, most;
  std::vector<std::string_view> names;  // of `least` and so on
};
const FieldKind& field_kind(std::size_t index) {
  static const FieldKind kinds[] = {
      {"minute", 0, 59, {}},
      {"hour", 0, 23, {}},
      {"day of month", 1, 31, {}},
      {"month", 1, 12, {"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
      {"day of week", 0, 6, {"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
  };
  return kinds[index];
}

Error wrong(const FieldKind& kind, std::string_view text) {
  return {ErrorCode::bad_request, "schedule: " + std::string(kind.name) + " \"" + std::string(text) +
                                      "\" is not from " + std::to_string(kind.least) + " to " +
                                      std::to_string(kind.most)};
}

Result<int> parse_value(const FieldKind& kind, std::string_view text) {
  const std::string lower = to_lower(text);
  for (std::size_t i = 0; i < kind.names.size(); ++i) {
    if (kind.names[i] == lower) return kind.least + static_cast<int>(i);
  }
  const auto number = parse_int(text);
  if (!number || *number < kind.least || *number > kind.most) return wrong(kind, text);
  return static_cast<int>(*number);
}

// "*", "*/5", "1-5", "1-30/2", "7", "7/2" (from 7 on).
Result<std::uint64_t> parse_part(const FieldKind& kind, std::string_view text) {
  const auto slash = text.find('/');
  const std::string_view range = text.substr(0, slash);
  int first = kind.least, last = kind.most, step = 1;
  if (slash != std::string_view::npos) {
    const auto number = parse_int(text.substr(slash + 1));
    if (!number || *number <= 0)
      return Error{ErrorCode::bad_request, "schedule: step in \"" + std::string(text) + "\" must be a positive number"};
    step = static_cast<int>(std::min<std::int64_t>(*number, 100));
  }
  if (range != "*" && range != "?") {
    const auto dash = range.find('-');
    first = TRY(parse_value(kind, range.substr(0, dash)));
    if (dash != std::string_view::npos)
      last = TRY(parse_value(kind, range.substr(dash + 1)));
    else if (slash == std::string_view::npos)
      last = first;
    if (first > last) return wrong(kind, range);
  }
  std::uint64_t bits = 0;
  for (int value = first; value <= last; value += step) bits |= std::uint64_t{1} << value;
  return bits;
}

Result<std::uint64_t> parse_field(const FieldKind& kind, std::string_view text) {
  std::uint64_t bits = 0;
  for (const std::string_view part : split(text, ',')) bits |= TRY(parse_part(kind, part));
  return bits;
}

bool has(std::uint64_t bits, unsigned value) {
  return (bits >> value & 1) != 0;
}

}  // namespace

Result<CronSchedule> CronSchedule::parse(std::string_view text) {
  struct Named {
    std::string_view name, fields;
  };
  for (const Named& named :
       {Named{"@yearly", "0 0 1 1 *"}, Named{"@annually", "0 0 1 1 *"}, Named{"@monthly", "0 0 1 * *"},
        Named{"@weekly", "0 0 * * 0"}, Named{"@daily", "0 0 * * *"}, Named{"@midnight", "0 0 * * *"},
        Named{"@hourly", "0 * * * *"}}) {
    if (named.name == text) return parse(named.fields);
  }
  CronSchedule out;
  if (text.starts_with("@every ")) {
    out.every_ = TRY(parse_duration(trim(text.substr(7))));
    if (out.every_ < std::chrono::seconds(1))
      return Error{ErrorCode::bad_request, "schedule: @every needs at least one second"};
    return out;
  }
  std::vector<std::string_view> fields;
  for (const std::string_view field : split(text, ' ')) {
    if (!field.empty()) fields.push_back(field);
  }
  if (fields.size() != 5) {
    return Error{ErrorCode::bad_request,
                 "expected exactly 5 fields, found " + std::to_string(fields.size()) + ": [" + std::string(text) + "]"};
  }
  std::uint64_t* const targets[] = {&out.minutes_, &out.hours_, &out.days_, &out.months_, &out.weekdays_};
  for (std::size_t i = 0; i < 5; ++i) *targets[i] = TRY(parse_field(field_kind(i), fields[i]));
  out.any_day_ = fields[2][0] == '*' || fields[2][0] == '?';
  out.any_weekday_ = fields[4][0] == '*' || fields[4][0] == '?';
  return out;
}

bool CronSchedule::day_fits(std::chrono::sys_days day) const {
  const std::chrono::year_month_day date(day);
  const bool date_fits = has(days_, static_cast<unsigned>(date.day()));
  const bool weekday_fits = has(weekdays_, std::chrono::weekday(day).c_encoding());
  // When both are restricted either will do: cron's old rule.
  const bool fits = any_day_ || any_weekday_ ? date_fits && weekday_fits : date_fits || weekday_fits;
  return fits && has(months_, static_cast<unsigned>(date.month()));
}

std::optional<Time> CronSchedule::next(Time after, const calendar::TimeZone* zone) const {
  using namespace std::chrono;
  if (every_ > Duration(0)) return floor<seconds>(after) + every_;
  if (zone != nullptr) return next_in(after, *zone);
  const auto first = floor<minutes>(after) + minutes(1);
  for (auto day = floor<days>(first); day < floor<days>(first) + days(5 * 366); day += days(1)) {
    if (!day_fits(day)) continue;
    for (auto at = std::max<sys_time<minutes>>(day, first); at < day + days(1); at += minutes(1)) {
      const auto minute = static_cast<unsigned>((at - day).count());
      if (has(hours_, minute / 60) && has(minutes_, minute % 60)) return Time(at);
    }
  }
  return std::nullopt;
}

// Minute by minute of real time, so that changes of clocks come out right; most of a day that does not fit is skipped.
std::optional<Time> CronSchedule::next_in(Time after, const calendar::TimeZone& zone) const {
  using namespace std::chrono;
  constexpr auto kNearMidnight = hours(3);  // a change of clocks near midnight moves it by less
  const auto first = floor<minutes>(after) + minutes(1);
  for (auto at = first; at < first + days(5 * 366);) {
    const auto local = floor<minutes>(Time(at) + zone.offset_at(at));
    const auto day = floor<days>(local);
    if (!day_fits(day)) {
      const auto left = day + days(1) - local;
      at += left > kNearMidnight ? duration_cast<minutes>(left - kNearMidnight) : minutes(1);
      continue;
    }
    const auto minute = static_cast<unsigned>((local - day).count());
    if (has(hours_, minute / 60) && has(minutes_, minute % 60)) return Time(at);
    at += minutes(1);
  }
  return std::nullopt;
}

}  // namespace caisson::controllers
