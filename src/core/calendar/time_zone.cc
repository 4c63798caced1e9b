// SPDX-License-Identifier: Apache-2.0
#include "core/calendar/time_zone.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <mutex>

#include "core/base/file.h"
#include "core/calendar/civil.h"

namespace caisson::calendar {
namespace {

constexpr std::size_t kFileBytesMax = 1u << 20;
constexpr std::size_t kNameBytesMax = 64;
constexpr std::size_t kZonesMax = 1'000;  // the database has some 600
constexpr std::int64_t kDay = 86'400;

TimeZone::Ptr read(std::string name, const std::string& path) {
  const auto data = read_file(path, kFileBytesMax);
  return data.ok() ? TimeZone::parse(std::move(name), *data) : nullptr;
}

std::int64_t big_endian(std::string_view data, std::size_t at, std::size_t size) {
  std::uint64_t out = 0;
  for (std::size_t i = 0; i < size; ++i) out = out << 8 | static_cast<unsigned char>(data[at + i]);
  if (size == 4) return static_cast<std::int32_t>(out);
  return static_cast<std::int64_t>(out);
}

// The counts of a TZif header, and where its parts begin.
struct Header {
  std::size_t is_utc = 0, is_standard = 0, leaps = 0, times = 0, types = 0, characters = 0;

  static bool read(std::string_view data, std::size_t at, Header& out) {
    if (at + 44 > data.size() || data.substr(at, 4) != "TZif") return false;
    std::size_t* const fields[] = {&out.is_utc, &out.is_standard, &out.leaps, &out.times, &out.types, &out.characters};
    for (std::size_t i = 0; i < 6; ++i)
      *fields[i] = static_cast<std::size_t>(big_endian(data, at + 20 + i * 4, 4)) & 0xFFFFFF;
    return true;
  }
  std::size_t body_size(std::size_t time_size) const {
    return times * (time_size + 1) + types * 6 + characters + leaps * (time_size + 4) + is_standard + is_utc;
  }
};

bool take_number(std::string_view& text, int& out) {
  std::size_t i = 0;
  out = 0;
  for (; i < text.size() && i < 6 && text[i] >= '0' && text[i] <= '9'; ++i) out = out * 10 + (text[i] - '0');
  text.remove_prefix(i);
  return i > 0;
}

bool take(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

TimeZone::Ptr TimeZone::utc() {
  return std::make_shared<const TimeZone>();
}

TimeZone::Ptr TimeZone::fixed(std::string name, int seconds) {
  auto zone = std::make_shared<TimeZone>();
  zone->name_ = name;
  zone->offsets_ = {{seconds, std::move(name)}};
  return zone;
}

TimeZone::Ptr TimeZone::local() {
  const char* variable = std::getenv("TZ");
  Ptr zone;
  if (!variable) {
    zone = read("Local", "/etc/localtime");
  } else if (std::string_view name = variable; !name.empty()) {
    if (name.starts_with(':')) name.remove_prefix(1);
    zone = name.starts_with('/') ? read("Local", std::string(name)) : load(name);
  }
  return zone ? zone : utc();
}

TimeZone::Ptr TimeZone::load(std::string_view name) {
  if (name.empty() || name == "UTC") return utc();
  if (name == "Local") return local();
  const bool is_plain = name.size() <= kNameBytesMax && name[0] != '/' && name.find("..") == std::string_view::npos &&
                        name.find('\\') == std::string_view::npos && name.find('\0') == std::string_view::npos;
  if (!is_plain) return nullptr;
  static std::mutex mutex;
  static std::map<std::string, Ptr, std::less<>> known;
  const std::lock_guard lock(mutex);
  if (const auto found = known.find(name); found != known.end()) return found->second;
  Ptr zone = read(std::string(name), "/usr/share/zoneinfo/" + std::string(name));
  if (zone && known.size() < kZonesMax) known.emplace(name, zone);
  return zone;
}

TimeZone::Ptr TimeZone::parse(std::string name, std::string_view tzif) {
  auto zone = std::make_shared<TimeZone>();
  zone->name_ = std::move(name);
  return zone->parse_file(tzif) ? zone : nullptr;
}

bool TimeZone::parse_file(std::string_view data) {
  Header header;
  if (!Header::read(data, 0, header)) return false;
  std::size_t at = 44, time_size = 4;
  if (data[4] >= '2') {  // the same again, with times of 64 bits
    at += header.body_size(4);
    if (!Header::read(data, at, header)) return false;
    at += 44;
    time_size = 8;
  }
  if (at + header.body_size(time_size) > data.size() || header.types == 0) return false;
  const std::size_t indices = at + header.times * time_size, types = indices + header.times;
  const std::string_view names = data.substr(types + header.types * 6, header.characters);
  offsets_.clear();
  for (std::size_t i = 0; i < header.types; ++i) {
    const auto name_at = static_cast<std::size_t>(static_cast<unsigned char>(data[types + i * 6 + 5]));
    if (name_at >= names.size()) return false;
    const std::string_view name = names.substr(name_at);
    offsets_.push_back(
        {static_cast<int>(big_endian(data, types + i * 6, 4)), std::string(name.substr(0, name.find('\0')))});
  }
  for (std::size_t i = 0; i < header.times; ++i) {
    const auto offset = static_cast<std::size_t>(static_cast<unsigned char>(data[indices + i]));
    if (offset >= offsets_.size()) return false;
    transitions_.push_back({big_endian(data, at + i * time_size, time_size), offset});
  }
  std::string_view rule = data.substr(at + header.body_size(time_size));
  if (!rule.starts_with('\n')) return true;
  rule.remove_prefix(1);
  rule = rule.substr(0, rule.find('\n'));
  has_rule_ = !rule.empty() && parse_rule(rule);
  return has_rule_ || rule.empty();
}

bool TimeZone::parse_rule_name(std::string_view& text, std::string& name) {
  const bool quoted = take(text, '<');
  const std::size_t end = quoted ? text.find('>') : std::min(text.find_first_of("+-0123456789,"), text.size());
  if (end == std::string_view::npos || end < 3) return false;
  name = std::string(text.substr(0, end));
  text.remove_prefix(end + quoted);
  return true;
}

// [+-]h[:m[:s]], west of UTC.
bool TimeZone::parse_rule_offset(std::string_view& text, int& seconds) {
  const bool negative = take(text, '-');
  if (!negative) take(text, '+');
  int hours = 0, minutes = 0, rest = 0;
  if (!take_number(text, hours)) return false;
  if (take(text, ':') && !take_number(text, minutes)) return false;
  if (take(text, ':') && !take_number(text, rest)) return false;
  seconds = hours * 3600 + minutes * 60 + rest;
  if (negative) seconds = -seconds;
  return true;
}

bool TimeZone::parse_rule_day(std::string_view& text, RuleDay& day) {
  if (take(text, 'M')) {
    if (!take_number(text, day.month) || !take(text, '.') || !take_number(text, day.week) || !take(text, '.') ||
        !take_number(text, day.weekday) || day.month < 1 || day.month > 12 || day.week < 1 || day.week > 5 ||
        day.weekday > 6) {
      return false;
    }
  } else {
    day.kind = take(text, 'J') ? 'J' : 'n';
    if (!take_number(text, day.day)) return false;
  }
  return !take(text, '/') || parse_rule_offset(text, day.seconds);
}

bool TimeZone::parse_rule(std::string_view text) {
  int west = 0;
  if (!parse_rule_name(text, rule_.standard.name) || !parse_rule_offset(text, west)) return false;
  rule_.standard.seconds = -west;
  if (text.empty()) return true;
  if (!parse_rule_name(text, rule_.summer.name)) return false;
  rule_.summer.seconds = rule_.standard.seconds + 3600;
  if (!text.empty() && text[0] != ',') {
    if (!parse_rule_offset(text, west)) return false;
    rule_.summer.seconds = -west;
  }
  rule_.has_summer =
      take(text, ',') && parse_rule_day(text, rule_.starts) && take(text, ',') && parse_rule_day(text, rule_.ends);
  return rule_.has_summer;
}

// On the zone's clocks, from 1970.
std::int64_t TimeZone::seconds_of(const RuleDay& day, std::int64_t year) {
  std::int64_t days = days_from_civil(year, 1, 1);
  if (day.kind == 'J') {
    days += day.day - 1 + (is_leap(year) && day.day >= 60 ? 1 : 0);
  } else if (day.kind == 'n') {
    days += day.day;
  } else {
    const std::int64_t first = days_from_civil(year, day.month, 1);
    int of_month = (day.weekday - weekday_of(first) + 7) % 7 + (day.week - 1) * 7;
    while (of_month >= days_in_month(year, day.month)) of_month -= 7;
    days = first + of_month;
  }
  return days * kDay + day.seconds;
}

const Offset& TimeZone::at(std::int64_t unix_seconds) const {
  const bool is_after = transitions_.empty() || unix_seconds >= transitions_.back().at;
  if (has_rule_ && is_after) {
    if (!rule_.has_summer) return rule_.standard;
    const std::int64_t local = unix_seconds + rule_.standard.seconds;
    const std::int64_t year = civil_from_days((local >= 0 ? local : local - kDay + 1) / kDay).year;
    const std::int64_t starts = seconds_of(rule_.starts, year) - rule_.standard.seconds;
    const std::int64_t ends = seconds_of(rule_.ends, year) - rule_.summer.seconds;
    const bool is_summer =
        starts < ends ? unix_seconds >= starts && unix_seconds < ends : unix_seconds >= starts || unix_seconds < ends;
    return is_summer ? rule_.summer : rule_.standard;
  }
  const auto above = std::upper_bound(transitions_.begin(), transitions_.end(), unix_seconds,
                                      [](std::int64_t at, const Transition& transition) { return at < transition.at; });
  return above == transitions_.begin() ? offsets_.front() : offsets_[std::prev(above)->offset];
}

std::chrono::seconds TimeZone::offset_at(Time time) const {
  return std::chrono::seconds(at(std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count()).seconds);
}

std::int64_t TimeZone::from_local(std::int64_t local_seconds) const {
  // What goes at UTC's reading of these clocks is nearly right; near a change the other side is tried.
  const int guess = at(local_seconds).seconds;
  const std::int64_t instant = local_seconds - guess;
  const int there = at(instant).seconds;
  return there == guess ? instant : local_seconds - there;
}

bool TimeZone::find_abbreviation(std::string_view name, std::int64_t local_seconds, int& seconds) const {
  const Offset& around = at(local_seconds);
  if (around.name == name) return seconds = around.seconds, true;
  for (const Offset& offset : offsets_) {
    if (offset.name != name) continue;
    if (at(local_seconds - offset.seconds).name == name) return seconds = offset.seconds, true;
  }
  for (const Offset& offset : offsets_) {
    if (offset.name == name) return seconds = offset.seconds, true;
  }
  return false;
}

}  // namespace caisson::calendar
