// SPDX-License-Identifier: Apache-2.0
#include "core/expr/cel/zone.h"

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/base/file.h"
#include "core/base/text.h"

namespace caisson::cel {
namespace {

constexpr std::size_t kZoneNameBytesMax = 64;
constexpr std::size_t kZonesMax = 1000;
constexpr std::int64_t kDay = 86400;

// "M3.2.0/2": the second Sunday of March, at 2 o'clock.
struct Change {
  int month = 0, week = 0, weekday = 0;
  std::int64_t at = 2 * 3600;
};

// The footer's rule: "CST6CDT,M3.2.0,M11.1.0".
struct Rule {
  std::int64_t standard = 0, summer = 0;
  std::optional<Change> begin, end;
};

struct Zone {
  std::vector<std::int64_t> times;
  std::vector<std::int64_t> offsets;  // in force from `times[i]` on
  std::int64_t first_offset = 0;
  std::optional<Rule> rule;  // after the last time
};

class RuleParser {
 public:
  explicit RuleParser(std::string_view text) : text_(text) {}
  std::optional<Rule> run() {
    Rule rule;
    if (!name() || !offset(rule.standard)) return std::nullopt;
    rule.standard = -rule.standard;
    if (at_ == text_.size()) return rule;
    if (!name()) return std::nullopt;
    rule.summer = rule.standard + 3600;
    if (at_ < text_.size() && text_[at_] != ',') {
      if (!offset(rule.summer)) return std::nullopt;
      rule.summer = -rule.summer;
    }
    rule.begin = change();
    rule.end = change();
    return rule.begin && rule.end ? std::optional(rule) : std::nullopt;
  }

 private:
  bool take(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool name() {
    const std::size_t begin = at_;
    if (take('<')) {
      while (at_ < text_.size() && text_[at_] != '>') ++at_;
      return take('>');
    }
    while (at_ < text_.size() && ((text_[at_] | 32) >= 'a' && (text_[at_] | 32) <= 'z')) ++at_;
    return at_ > begin;
  }
  std::optional<int> number() {
    int out = 0;
    const std::size_t begin = at_;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9' && out < 100000)
      out = out * 10 + (text_[at_++] - '0');
    return at_ > begin ? std::optional(out) : std::nullopt;
  }
  bool offset(std::int64_t& out) {
    const int sign = take('-') ? -1 : 1;
    take('+');
    std::int64_t unit = 3600;
    out = 0;
    do {
      const auto part = number();
      if (!part) return false;
      out += *part * unit;
      unit /= 60;
    } while (unit > 0 && take(':'));
    out *= sign;
    return true;
  }
  std::optional<Change> change() {
    Change out;
    if (!take(',') || !take('M')) return std::nullopt;
    for (int* part : {&out.month, &out.week, &out.weekday}) {
      const auto value = number();
      if (!value) return std::nullopt;
      *part = *value;
      take('.');
    }
    if (take('/') && !offset(out.at)) return std::nullopt;
    return out.month >= 1 && out.month <= 12 ? std::optional(out) : std::nullopt;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

class TzifReader {
 public:
  explicit TzifReader(std::string_view data) : data_(data) {}
  std::optional<Zone> run() {
    const auto first = header();
    if (!first || first->version < '2') return std::nullopt;
    at_ += first->bytes(4);
    const auto second = header();
    if (!second || at_ + second->bytes(8) > data_.size()) return std::nullopt;
    Zone zone;
    for (std::uint64_t i = 0; i < second->times; ++i) zone.times.push_back(number(8));
    std::vector<std::size_t> kinds;
    for (std::uint64_t i = 0; i < second->times; ++i) kinds.push_back(static_cast<std::size_t>(number(1) & 0xff));
    std::vector<std::int64_t> offsets;
    for (std::uint64_t i = 0; i < second->types; ++i) {
      offsets.push_back(number(4));
      at_ += 2;
    }
    for (const std::size_t kind : kinds) {
      if (kind >= offsets.size()) return std::nullopt;
      zone.offsets.push_back(offsets[kind]);
    }
    if (!offsets.empty()) zone.first_offset = offsets[0];
    at_ += second->characters + second->leaps * 12 + second->standards + second->universals;
    if (at_ < data_.size()) zone.rule = RuleParser(trim(data_.substr(at_))).run();
    return zone;
  }

 private:
  struct Header {
    char version;
    std::uint64_t universals, standards, leaps, times, types, characters;
    std::uint64_t bytes(std::uint64_t time_size) const {
      return times * time_size + times + types * 6 + characters + leaps * (time_size + 4) + standards + universals;
    }
  };
  std::int64_t number(int size) {
    std::uint64_t out = 0;
    for (int i = 0; i < size; ++i) out = out << 8 | static_cast<unsigned char>(data_[at_++]);
    return size == 4 ? static_cast<std::int32_t>(out) : static_cast<std::int64_t>(out);
  }
  std::optional<Header> header() {
    if (at_ + 44 > data_.size() || data_.substr(at_, 4) != "TZif") return std::nullopt;
    Header out{data_[at_ + 4], 0, 0, 0, 0, 0, 0};
    at_ += 20;
    for (std::uint64_t* count :
         {&out.universals, &out.standards, &out.leaps, &out.times, &out.types, &out.characters}) {
      *count = static_cast<std::uint32_t>(number(4));
      if (*count > 100'000) return std::nullopt;
    }
    return out;
  }

  std::string_view data_;
  std::size_t at_ = 0;
};

std::int64_t change_time(const Change& change, std::int64_t year, std::int64_t offset) {
  const std::int64_t first = days_from_civil(year, change.month, 1);
  const int first_weekday = static_cast<int>(((first + 4) % 7 + 7) % 7);
  std::int64_t day = first + (change.weekday - first_weekday + 7) % 7 + (change.week - 1) * 7;
  const std::int64_t next_month =
      change.month == 12 ? days_from_civil(year + 1, 1, 1) : days_from_civil(year, change.month + 1, 1);
  while (day >= next_month) day -= 7;
  return day * kDay + change.at - offset;
}

std::int64_t offset_at(const Zone& zone, std::int64_t seconds) {
  if (zone.times.empty() || seconds < zone.times.front())
    return zone.times.empty() && zone.rule ? zone.rule->standard : zone.first_offset;
  if (seconds < zone.times.back() || !zone.rule) {
    const auto after = std::upper_bound(zone.times.begin(), zone.times.end(), seconds);
    return zone.offsets[static_cast<std::size_t>(after - zone.times.begin()) - 1];
  }
  const Rule& rule = *zone.rule;
  if (!rule.begin) return rule.standard;
  const std::int64_t days = seconds >= 0 ? seconds / kDay : (seconds - kDay + 1) / kDay;
  const std::int64_t year = civil_from_days(days).year;
  const std::int64_t begin = change_time(*rule.begin, year, rule.standard);
  const std::int64_t end = change_time(*rule.end, year, rule.summer);
  const bool summer = begin < end ? seconds >= begin && seconds < end : seconds >= begin || seconds < end;
  return summer ? rule.summer : rule.standard;
}

Error unknown_zone(std::string_view zone) {
  return {ErrorCode::bad_request, "unknown time zone " + std::string(zone)};
}

Result<std::shared_ptr<const Zone>> load(std::string_view name) {
  static std::mutex mutex;
  static std::map<std::string, std::shared_ptr<const Zone>, std::less<>> zones;
  const std::lock_guard lock(mutex);
  if (const auto found = zones.find(name); found != zones.end()) return found->second;
  const bool plain = name.size() <= kZoneNameBytesMax && !name.empty() && name[0] != '/' &&
                     name.find("..") == std::string_view::npos && name.find('\0') == std::string_view::npos;
  if (!plain) return unknown_zone(name);
  const auto data = read_file("/usr/share/zoneinfo/" + std::string(name));
  if (!data.ok()) return unknown_zone(name);
  auto zone = TzifReader(*data).run();
  if (!zone) return unknown_zone(name);
  auto shared = std::make_shared<const Zone>(*std::move(zone));
  if (zones.size() < kZonesMax) zones.emplace(name, shared);
  return shared;
}

}  // namespace

std::int64_t days_from_civil(std::int64_t year, int month, int day) {
  year -= month <= 2;
  const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
  const std::int64_t of_era = year - era * 400;
  const std::int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

Civil civil_from_days(std::int64_t days) {
  days += 719468;
  const std::int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  const std::int64_t of_era = days - era * 146097;
  const std::int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  const std::int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
  const std::int64_t shifted = (5 * of_year + 2) / 153;
  const int month = static_cast<int>(shifted < 10 ? shifted + 3 : shifted - 9);
  return {year + era * 400 + (month <= 2), month, static_cast<int>(of_year - (153 * shifted + 2) / 5 + 1)};
}

Result<std::int64_t> zone_offset(std::string_view zone, std::int64_t unix_seconds) {
  if (zone.empty() || zone == "UTC") return std::int64_t{0};
  const std::size_t colon = zone.find(':');
  if (colon == std::string_view::npos) {
    const auto loaded = TRY(load(zone));
    return offset_at(*loaded, unix_seconds);
  }
  const auto hours = parse_int(zone.substr(0, colon)), minutes = parse_int(zone.substr(colon + 1));
  if (!hours || !minutes || std::abs(*hours) > 24 || *minutes < 0 || *minutes > 59) return unknown_zone(zone);
  const bool negative = zone.starts_with('-');
  return *hours * 3600 + (negative ? -*minutes : *minutes) * 60;
}

}  // namespace caisson::cel
