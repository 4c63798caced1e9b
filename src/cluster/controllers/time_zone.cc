// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/time_zone.h"

#include <algorithm>

#include "core/base/file.h"
#include "core/base/text.h"

namespace caisson::controllers {
namespace {

using std::chrono::days;
using std::chrono::sys_days;

constexpr std::size_t kHeaderBytes = 44, kFileBytesMax = 1u << 20;
constexpr std::string_view kFolders[] = {"/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/etc/zoneinfo"};

// Big-endian numbers, with every access checked: the file comes from outside.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  bool skip(std::size_t count) {
    if (count > bytes_.size() - at_) return false;
    at_ += count;
    return true;
  }
  std::optional<std::int64_t> number(std::size_t size) {
    if (size > bytes_.size() - at_) return std::nullopt;
    std::uint64_t out = 0;
    for (std::size_t i = 0; i < size; ++i) out = out << 8 | static_cast<unsigned char>(bytes_[at_++]);
    if (size == 4) return static_cast<std::int32_t>(out);
    return static_cast<std::int64_t>(out);
  }
  std::string_view rest() const { return bytes_.substr(at_); }

 private:
  std::string_view bytes_;
  std::size_t at_ = 0;
};

struct Counts {
  std::size_t is_ut = 0, is_standard = 0, leaps = 0, transitions = 0, types = 0, chars = 0;
  std::size_t bytes(std::size_t time_size) const {
    return transitions * (time_size + 1) + types * 6 + chars + leaps * (time_size + 4) + is_standard + is_ut;
  }
};

Error broken() {
  return {ErrorCode::bad_request, "the time zone's file is no TZif file"};
}

Result<Counts> read_header(Reader& in, char& version) {
  if (!in.rest().starts_with("TZif") || in.rest().size() < kHeaderBytes) return broken();
  version = in.rest()[4];
  in.skip(20);
  Counts out;
  for (std::size_t* count : {&out.is_ut, &out.is_standard, &out.leaps, &out.transitions, &out.types, &out.chars}) {
    const auto number = in.number(4);
    if (!number || *number < 0 || *number > 100'000) return broken();
    *count = static_cast<std::size_t>(*number);
  }
  return out;
}

// --- the POSIX rule: "CET-1CEST,M3.5.0,M10.5.0/3"

bool take_name(std::string_view& text) {
  std::size_t end = 0;
  if (text.starts_with('<')) {
    end = text.find('>');
    if (end == std::string_view::npos) return false;
    ++end;
  } else {
    while (end < text.size() && ((text[end] >= 'a' && text[end] <= 'z') || (text[end] >= 'A' && text[end] <= 'Z')))
      ++end;
  }
  if (end < 3) return false;
  text.remove_prefix(end);
  return true;
}

std::optional<std::int64_t> take_number(std::string_view& text) {
  std::size_t end = 0;
  while (end < text.size() && text[end] >= '0' && text[end] <= '9' && end < 5) ++end;
  const auto out = parse_int(text.substr(0, end));
  if (end == 0 || !out) return std::nullopt;
  text.remove_prefix(end);
  return out;
}

// "[+-]hh[:mm[:ss]]" in seconds.
std::optional<std::int64_t> take_time(std::string_view& text) {
  std::int64_t sign = 1, out = 0, unit = 3600;
  if (text.starts_with('-') || text.starts_with('+')) {
    sign = text[0] == '-' ? -1 : 1;
    text.remove_prefix(1);
  }
  for (;; text.remove_prefix(1)) {
    const auto number = take_number(text);
    if (!number) return std::nullopt;
    out += *number * unit;
    unit /= 60;
    if (unit == 0 || !text.starts_with(':')) return sign * out;
  }
}

}  // namespace

std::optional<TimeZone::Tail> TimeZone::parse_tail(std::string_view text) {
  Tail out;
  if (!take_name(text)) return std::nullopt;
  const auto standard = take_time(text);
  if (!standard) return std::nullopt;
  out.standard = -*standard;  // POSIX counts west
  if (text.empty()) return out;
  if (!take_name(text)) return std::nullopt;
  out.has_daylight = true;
  out.daylight = out.standard + 3600;
  if (!text.empty() && text[0] != ',') {
    const auto daylight = take_time(text);
    if (!daylight) return std::nullopt;
    out.daylight = -*daylight;
  }
  for (Rule* rule : {&out.begin, &out.end}) {
    if (!text.starts_with(',')) return std::nullopt;
    text.remove_prefix(1);
    const char letter = text.empty() ? 0 : text[0];
    if (letter == 'M' || letter == 'J') text.remove_prefix(1);
    rule->kind = letter == 'M'   ? Rule::Kind::month_week_day
                 : letter == 'J' ? Rule::Kind::julian_without_leap_day
                                 : Rule::Kind::day_of_year;
    std::int64_t numbers[3] = {0, 0, 0};
    const std::size_t count = letter == 'M' ? 3 : 1;
    for (std::size_t i = 0; i < count; ++i) {
      if (i > 0 && !text.starts_with('.')) return std::nullopt;
      if (i > 0) text.remove_prefix(1);
      const auto number = take_number(text);
      if (!number) return std::nullopt;
      numbers[i] = *number;
    }
    if (letter == 'M' && (numbers[0] < 1 || numbers[0] > 12 || numbers[1] < 1 || numbers[1] > 5 || numbers[2] > 6))
      return std::nullopt;
    rule->month = static_cast<int>(numbers[0]);
    rule->week = static_cast<int>(numbers[1]);
    rule->day = static_cast<int>(letter == 'M' ? numbers[2] : numbers[0]);
    if (!text.starts_with('/')) continue;
    text.remove_prefix(1);
    const auto second = take_time(text);
    if (!second) return std::nullopt;
    rule->second = *second;
  }
  if (!text.empty()) return std::nullopt;
  return out;
}

std::int64_t TimeZone::start_of(const Rule& rule, int year) {
  using namespace std::chrono;
  const auto jan = sys_days(std::chrono::year(year) / January / 1);
  sys_days day = jan;
  if (rule.kind == Rule::Kind::month_week_day) {
    const auto first = sys_days(std::chrono::year(year) / rule.month / 1);
    const int ahead = (rule.day - static_cast<int>(weekday(first).c_encoding()) + 7) % 7;
    day = first + days(ahead + 7 * (rule.week - 1));
    const auto last = sys_days(std::chrono::year(year) / rule.month / std::chrono::last);
    while (day > last) day -= days(7);  // week 5: the last of the month
  } else if (rule.kind == Rule::Kind::julian_without_leap_day) {
    const bool leap = std::chrono::year(year).is_leap();
    day = jan + days(rule.day - 1 + (leap && rule.day >= 60 ? 1 : 0));
  } else {
    day = jan + days(rule.day);
  }
  return duration_cast<seconds>(day.time_since_epoch()).count() + rule.second;
}

std::int64_t TimeZone::tail_offset(std::int64_t time) const {
  if (!tail_->has_daylight) return tail_->standard;
  const auto day = std::chrono::floor<days>(std::chrono::sys_seconds(std::chrono::seconds(time + tail_->standard)));
  const int year = static_cast<int>(std::chrono::year_month_day(day).year());
  const std::int64_t begin = start_of(tail_->begin, year) - tail_->standard,
                     end = start_of(tail_->end, year) - tail_->daylight;
  // South of the equator summer spans the turn of the year.
  const bool is_daylight = begin < end ? time >= begin && time < end : time >= begin || time < end;
  return is_daylight ? tail_->daylight : tail_->standard;
}

Result<TimeZone> TimeZone::parse(std::string_view tzif) {
  Reader in(tzif);
  char version = 0;
  Counts counts = TRY(read_header(in, version));
  std::size_t time_size = 4;
  if (version >= '2') {  // the first block is for old readers
    if (!in.skip(counts.bytes(4))) return broken();
    counts = TRY(read_header(in, version));
    time_size = 8;
  }
  if (counts.types == 0 || in.rest().size() < counts.bytes(time_size)) return broken();
  TimeZone out;
  for (std::size_t i = 0; i < counts.transitions; ++i) out.transitions_.push_back(*in.number(time_size));
  std::vector<std::size_t> types;
  for (std::size_t i = 0; i < counts.transitions; ++i) types.push_back(static_cast<std::size_t>(*in.number(1) & 0xff));
  std::vector<std::int64_t> offsets;
  for (std::size_t i = 0; i < counts.types; ++i) {
    offsets.push_back(*in.number(4));
    in.skip(2);
  }
  for (const std::size_t type : types) {
    if (type >= offsets.size()) return broken();
    out.offsets_.push_back(offsets[type]);
  }
  out.first_ = offsets[0];
  if (!std::is_sorted(out.transitions_.begin(), out.transitions_.end())) return broken();
  in.skip(counts.chars + counts.leaps * (time_size + 4) + counts.is_standard + counts.is_ut);
  if (std::string_view footer = in.rest(); time_size == 8 && footer.size() > 2 && footer[0] == '\n') {
    footer = footer.substr(1, footer.find('\n', 1) - 1);
    out.tail_ = parse_tail(footer);
    if (!out.tail_) return broken();
  }
  return out;
}

Result<TimeZone> TimeZone::load(std::string_view name) {
  const bool plain = !name.empty() && name.find("..") == std::string_view::npos && name[0] != '/' &&
                     name.find('\0') == std::string_view::npos && name.size() < 100;
  for (const std::string_view folder : kFolders) {
    if (!plain) break;
    const auto bytes = read_file(std::string(folder) + "/" + std::string(name), kFileBytesMax);
    if (bytes.ok()) return parse(*bytes);
  }
  return Error{ErrorCode::not_found, "unknown time zone " + std::string(name)};
}

std::chrono::seconds TimeZone::offset_at(Time time) const {
  const std::int64_t at = std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
  const auto after = std::upper_bound(transitions_.begin(), transitions_.end(), at);
  if (after == transitions_.end() && tail_) return std::chrono::seconds(tail_offset(at));
  if (after == transitions_.begin()) return std::chrono::seconds(first_);
  return std::chrono::seconds(offsets_[static_cast<std::size_t>(after - transitions_.begin()) - 1]);
}

}  // namespace caisson::controllers
