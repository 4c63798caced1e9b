// SPDX-License-Identifier: Apache-2.0
// Timestamps and durations: conversions, text forms, parts of dates in time zones.
#include <charconv>
#include <cmath>

#include "core/calendar/civil.h"
#include "core/expr/cel/environment.h"
#include "core/expr/cel/value_data.h"
#include "core/expr/cel/zone.h"

namespace caisson::cel {
namespace {

using Arguments = std::span<const Value>;
constexpr std::int64_t kTimeMin = -62135596800, kTimeMax = 253402300799;
constexpr std::int64_t kDay = 86400;

std::optional<int> digits(std::string_view text, std::size_t at, std::size_t count) {
  int out = 0;
  if (at + count > text.size()) return std::nullopt;
  for (std::size_t i = at; i < at + count; ++i) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    out = out * 10 + (text[i] - '0');
  }
  return out;
}

// "Z", "+01:00"
std::optional<std::int64_t> parse_offset(std::string_view text) {
  if (text == "Z" || text == "z") return 0;
  if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':') return std::nullopt;
  const auto hours = digits(text, 1, 2), minutes = digits(text, 4, 2);
  if (!hours || !minutes || *hours > 24 || *minutes > 59) return std::nullopt;
  const std::int64_t offset = *hours * 3600 + *minutes * 60;
  return text[0] == '-' ? -offset : offset;
}

void append_padded(std::string& out, std::int64_t value, std::size_t width) {
  const std::string text = std::to_string(value);
  if (text.size() < width) out.append(width - text.size(), '0');
  out += text;
}

std::string nanos_fraction(std::int64_t nanos) {
  if (nanos == 0) return "";
  std::string text = std::to_string(nanos + 1'000'000'000).substr(1);
  while (text.back() == '0') text.pop_back();
  return "." + text;
}

// A number with a unit after it: "1.5h". Moves `at` past it; nothing when malformed.
std::optional<__int128> duration_part(std::string_view text, std::size_t& at) {
  static constexpr std::pair<std::string_view, std::int64_t> kUnits[] = {
      {"ns", 1},         {"us", 1000},         {"µs", 1000},          {"μs", 1000},
      {"ms", 1'000'000}, {"s", 1'000'000'000}, {"m", 60'000'000'000}, {"h", 3'600'000'000'000}};
  __int128 whole = 0, fraction = 0, scale = 1;
  bool any = false;
  for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, any = true) {
    if (whole > INT64_MAX) return std::nullopt;
    whole = whole * 10 + (text[at] - '0');
  }
  if (at < text.size() && text[at] == '.') {
    for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, any = true) {
      if (scale >= 1'000'000'000'000'000) continue;
      fraction = fraction * 10 + (text[at] - '0');
      scale *= 10;
    }
  }
  if (!any) return std::nullopt;
  for (const auto& [unit, nanos] : kUnits) {
    if (!text.substr(at).starts_with(unit)) continue;
    // "m" must not take the "ms" away; longer units stand first.
    at += unit.size();
    return whole * nanos + fraction * nanos / scale;
  }
  return std::nullopt;
}

Result<Value> string_to_time(Arguments a) {
  if (auto time = parse_timestamp(a[0].as_string())) return Value(*time);
  return bad("type conversion error from 'string' to 'google.protobuf.Timestamp'");
}
Result<Value> int_to_time(Arguments a) {
  const Timestamp out{a[0].as_int(), 0};
  if (!in_range(out)) return bad("timestamp overflow");
  return Value(out);
}
Result<Value> same(Arguments a) {
  return a[0];
}
Result<Value> string_to_duration(Arguments a) {
  if (auto duration = parse_go_duration(a[0].as_string())) return Value(*duration);
  return bad("type conversion error from 'string' to 'google.protobuf.Duration'");
}
Result<Value> int_to_duration(Arguments a) {
  return Value(Duration(a[0].as_int()));
}

struct Parts {
  calendar::CivilDay date;
  std::int64_t days, seconds_of_day;
  std::int32_t nanos;
};

Result<Parts> parts(Arguments a) {
  const Timestamp time = a[0].as_timestamp();
  std::int64_t offset = 0;
  if (a.size() > 1) offset = TRY(zone_offset(a[1].as_string(), time.seconds));
  const std::int64_t local = time.seconds + offset;
  const std::int64_t days = local >= 0 ? local / kDay : (local - kDay + 1) / kDay;
  return Parts{calendar::civil_from_days(days), days, local - days * kDay, time.nanos};
}

template <class Pick>
Result<Value> part(Arguments a, Pick pick) {
  const Parts p = TRY(parts(a));
  return Value(static_cast<std::int64_t>(pick(p)));
}

Result<Value> year(Arguments a) {
  return part(a, [](const Parts& p) { return p.date.year; });
}
Result<Value> month(Arguments a) {
  return part(a, [](const Parts& p) { return p.date.month - 1; });
}
Result<Value> day_of_year(Arguments a) {
  return part(a, [](const Parts& p) { return p.days - calendar::days_from_civil(p.date.year, 1, 1); });
}
Result<Value> day_of_month(Arguments a) {
  return part(a, [](const Parts& p) { return p.date.day - 1; });
}
Result<Value> date(Arguments a) {
  return part(a, [](const Parts& p) { return p.date.day; });
}
Result<Value> day_of_week(Arguments a) {
  return part(a, [](const Parts& p) { return ((p.days + 4) % 7 + 7) % 7; });
}
Result<Value> hours(Arguments a) {
  return part(a, [](const Parts& p) { return p.seconds_of_day / 3600; });
}
Result<Value> minutes(Arguments a) {
  return part(a, [](const Parts& p) { return p.seconds_of_day / 60 % 60; });
}
Result<Value> seconds(Arguments a) {
  return part(a, [](const Parts& p) { return p.seconds_of_day % 60; });
}
Result<Value> milliseconds(Arguments a) {
  return part(a, [](const Parts& p) { return p.nanos / 1'000'000; });
}

template <std::int64_t Unit>
Result<Value> duration_in(Arguments a) {
  return Value(static_cast<std::int64_t>(a[0].as_duration().count() / Unit));
}
Result<Value> duration_milliseconds(Arguments a) {
  return Value(static_cast<std::int64_t>(a[0].as_duration().count() / 1'000'000 % 1000));
}

constexpr Declaration kFunctions[] = {
    {"timestamp(timestamp): timestamp", same},
    {"timestamp(int): timestamp", int_to_time},
    {"timestamp(string): timestamp", string_to_time},
    {"duration(duration): duration", same},
    {"duration(int): duration", int_to_duration},
    {"duration(string): duration", string_to_duration},
    {"(timestamp).getFullYear(): int", year},
    {"(timestamp).getFullYear(string): int", year},
    {"(timestamp).getMonth(): int", month},
    {"(timestamp).getMonth(string): int", month},
    {"(timestamp).getDayOfYear(): int", day_of_year},
    {"(timestamp).getDayOfYear(string): int", day_of_year},
    {"(timestamp).getDayOfMonth(): int", day_of_month},
    {"(timestamp).getDayOfMonth(string): int", day_of_month},
    {"(timestamp).getDate(): int", date},
    {"(timestamp).getDate(string): int", date},
    {"(timestamp).getDayOfWeek(): int", day_of_week},
    {"(timestamp).getDayOfWeek(string): int", day_of_week},
    {"(timestamp).getHours(): int", hours},
    {"(timestamp).getHours(string): int", hours},
    {"(timestamp).getMinutes(): int", minutes},
    {"(timestamp).getMinutes(string): int", minutes},
    {"(timestamp).getSeconds(): int", seconds},
    {"(timestamp).getSeconds(string): int", seconds},
    {"(timestamp).getMilliseconds(): int", milliseconds},
    {"(timestamp).getMilliseconds(string): int", milliseconds},
    {"(duration).getHours(): int", duration_in<3'600'000'000'000>},
    {"(duration).getMinutes(): int", duration_in<60'000'000'000>},
    {"(duration).getSeconds(): int", duration_in<1'000'000'000>},
    {"(duration).getMilliseconds(): int", duration_milliseconds},
};

}  // namespace

bool in_range(Timestamp time) {
  return time.seconds >= kTimeMin && time.seconds <= kTimeMax;
}

std::optional<Timestamp> parse_timestamp(std::string_view text) {
  const auto year = digits(text, 0, 4), month = digits(text, 5, 2), day = digits(text, 8, 2);
  const auto hour = digits(text, 11, 2), minute = digits(text, 14, 2), second = digits(text, 17, 2);
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  if (text[4] != '-' || text[7] != '-' || (text[10] != 'T' && text[10] != 't') || text[13] != ':' || text[16] != ':')
    return std::nullopt;
  if (*month < 1 || *month > 12 || *day < 1 || *hour > 23 || *minute > 59 || *second > 59) return std::nullopt;
  if (*day > calendar::days_in_month(*year, *month)) return std::nullopt;
  std::size_t at = 19;
  std::int64_t nanos = 0;
  if (at < text.size() && text[at] == '.') {
    const std::size_t begin = ++at;
    std::int64_t unit = 100'000'000;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, unit /= 10) nanos += (text[at] - '0') * unit;
    if (at == begin) return std::nullopt;
  }
  const auto offset = parse_offset(text.substr(std::min(at, text.size())));
  if (!offset) return std::nullopt;
  const std::int64_t seconds =
      calendar::days_from_civil(*year, *month, *day) * kDay + *hour * 3600 + *minute * 60 + *second - *offset;
  const Timestamp out{seconds, static_cast<std::int32_t>(nanos)};
  return in_range(out) ? std::optional(out) : std::nullopt;
}

std::string timestamp_text(Timestamp time) {
  const std::int64_t days = time.seconds >= 0 ? time.seconds / kDay : (time.seconds - kDay + 1) / kDay;
  const std::int64_t rest = time.seconds - days * kDay;
  const calendar::CivilDay date = calendar::civil_from_days(days);
  std::string out;
  append_padded(out, date.year, 4);
  append_padded(out += "-", date.month, 2);
  append_padded(out += "-", date.day, 2);
  append_padded(out += "T", rest / 3600, 2);
  append_padded(out += ":", rest / 60 % 60, 2);
  append_padded(out += ":", rest % 60, 2);
  return out + nanos_fraction(time.nanos) + "Z";
}

std::string duration_text(Duration duration) {
  const std::int64_t nanos = duration.count();
  const std::uint64_t absolute = nanos < 0 ? 0 - static_cast<std::uint64_t>(nanos) : static_cast<std::uint64_t>(nanos);
  return (nanos < 0 ? "-" : "") + std::to_string(absolute / 1'000'000'000) +
         nanos_fraction(static_cast<std::int64_t>(absolute % 1'000'000'000)) + "s";
}

std::optional<Duration> parse_go_duration(std::string_view text) {
  std::size_t at = 0;
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) at = 1;
  if (text.substr(at) == "0") return Duration(0);
  if (at >= text.size()) return std::nullopt;
  __int128 total = 0;
  while (at < text.size()) {
    const auto part = duration_part(text, at);
    if (!part) return std::nullopt;
    total += *part;
    if (total > static_cast<__int128>(INT64_MAX) + 1) return std::nullopt;
  }
  if (negative) total = -total;
  if (total > INT64_MAX) return std::nullopt;
  return Duration(static_cast<std::int64_t>(total));
}

std::string double_text(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  char buffer[64];
  const auto scientific = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
  const std::string_view text(buffer, static_cast<std::size_t>(scientific.ptr - buffer));
  const std::size_t e = text.find('e');
  int exponent = 0;
  std::from_chars(text.data() + e + (text[e + 1] == '+' ? 2 : 1), text.data() + text.size(), exponent);
  if (exponent < -4 || exponent >= 6) return std::string(text);
  const auto fixed = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed);
  return std::string(buffer, fixed.ptr);
}

std::span<const Declaration> time_functions() {
  return kFunctions;
}

}  // namespace caisson::cel
