// SPDX-License-Identifier: Apache-2.0
#include "core/base/clock.h"

#include <atomic>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace caisson {
namespace {

using std::chrono::duration_cast;
using std::chrono::nanoseconds;
using std::chrono::seconds;

class SystemClock : public Clock {
 public:
  Time now() const override { return std::chrono::time_point_cast<nanoseconds>(std::chrono::system_clock::now()); }
  Duration monotonic() const override { return std::chrono::steady_clock::now().time_since_epoch(); }
};

void append_digits(std::string& out, std::int64_t number, int width) {
  char text[24];
  char* first = text + sizeof text;
  for (; number > 0 || width > 0; --width, number /= 10) *--first = static_cast<char>('0' + number % 10);
  out.append(first, text + sizeof text);
}

// Without gmtime_r and snprintf, which take most of a microsecond: each write of an object has its time.
std::string format_with_digits(Time time, int digits) {
  const auto whole = std::chrono::floor<seconds>(time);
  const auto midnight = std::chrono::floor<std::chrono::days>(whole);
  const std::chrono::year_month_day date(midnight);
  const std::chrono::hh_mm_ss<seconds> clock(whole - midnight);
  std::string out;
  out.reserve(32);
  append_digits(out, static_cast<int>(date.year()), 4);
  out += '-';
  append_digits(out, static_cast<unsigned>(date.month()), 2);
  out += '-';
  append_digits(out, static_cast<unsigned>(date.day()), 2);
  out += 'T';
  append_digits(out, clock.hours().count(), 2);
  out += ':';
  append_digits(out, clock.minutes().count(), 2);
  out += ':';
  append_digits(out, clock.seconds().count(), 2);
  if (digits > 0) {
    std::string fraction;
    append_digits(fraction, (time - whole).count(), 9);
    out += '.';
    out.append(fraction, 0, static_cast<std::size_t>(digits));
  }
  return out += 'Z';
}

// Reads exactly `count` digits at the front of `text`.
std::optional<int> take_digits(std::string_view& text, std::size_t count) {
  if (text.size() < count) return std::nullopt;
  int value = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(count);
  return value;
}

bool take(std::string_view& text, std::string_view any_of) {
  if (text.empty() || any_of.find(text[0]) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

std::int64_t take_fraction_nanos(std::string_view& text) {
  std::int64_t nanos = 0, unit = 100'000'000;
  while (!text.empty() && text[0] >= '0' && text[0] <= '9') {
    nanos += (text[0] - '0') * unit;
    unit /= 10;
    text.remove_prefix(1);
  }
  return nanos;
}

struct Unit {
  std::string_view name;
  double nanos;
};
constexpr Unit kUnits[] = {{"ns", 1}, {"us", 1e3}, {"µs", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 6e10}, {"h", 3.6e12}};

}  // namespace

Clock& system_clock() {
  static SystemClock clock;
  return clock;
}

struct FakeClock::Impl {
  Time start;
  std::atomic<std::int64_t> passed{0};
};

FakeClock::FakeClock(Time start) : impl_(new Impl{start}) {}
FakeClock::~FakeClock() {
  delete impl_;
}
Time FakeClock::now() const {
  return impl_->start + Duration(impl_->passed.load());
}
Duration FakeClock::monotonic() const {
  return Duration(impl_->passed.load());
}
void FakeClock::advance(Duration by) {
  impl_->passed += by.count();
}

std::string format_time(Time time) {
  return format_with_digits(time, 0);
}
std::string format_time_micros(Time time) {
  return format_with_digits(time, 6);
}
std::string format_time_nanos(Time time) {
  return format_with_digits(time, 9);
}

std::optional<Time> parse_time(std::string_view text) {
  tm parts{};
  const auto year = take_digits(text, 4);
  if (!year || !take(text, "-")) return std::nullopt;
  const auto month = take_digits(text, 2);
  if (!month || !take(text, "-")) return std::nullopt;
  const auto day = take_digits(text, 2);
  if (!day || !take(text, "Tt ")) return std::nullopt;
  const auto hour = take_digits(text, 2);
  if (!hour || !take(text, ":")) return std::nullopt;
  const auto minute = take_digits(text, 2);
  if (!minute || !take(text, ":")) return std::nullopt;
  const auto second = take_digits(text, 2);
  if (!second || *month < 1 || *month > 12 || *day < 1 || *day > 31 || *hour > 23 || *minute > 59 || *second > 60)
    return std::nullopt;
  const std::int64_t nanos = take(text, ".") ? take_fraction_nanos(text) : 0;
  int offset_minutes = 0;
  if (!take(text, "Zz")) {
    const bool west = !text.empty() && text[0] == '-';
    if (!take(text, "+-")) return std::nullopt;
    const auto offset_hour = take_digits(text, 2);
    take(text, ":");
    const auto offset_minute = take_digits(text, 2);
    if (!offset_hour || !offset_minute) return std::nullopt;
    offset_minutes = (*offset_hour * 60 + *offset_minute) * (west ? -1 : 1);
  }
  if (!text.empty()) return std::nullopt;
  parts.tm_year = *year - 1900, parts.tm_mon = *month - 1, parts.tm_mday = *day;
  parts.tm_hour = *hour, parts.tm_min = *minute, parts.tm_sec = *second;
  return Time(seconds(timegm(&parts) - offset_minutes * 60) + nanoseconds(nanos));
}

Result<Duration> parse_duration(std::string_view text) {
  const auto refuse = [&] {
    return Error{ErrorCode::bad_request,
                 "invalid duration '" + std::string(text) + "': write a number and a unit, as in 1h30m, 90s, 250ms"};
  };
  std::string_view rest = text;
  const bool negative = !rest.empty() && rest[0] == '-';
  take(rest, "+-");
  if (rest == "0") return Duration(0);
  double total = 0;
  if (rest.empty()) return refuse();
  while (!rest.empty()) {
    double number = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number, std::chars_format::fixed);
    if (error != std::errc() || rest[0] == '-') return refuse();
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    const Unit* found = nullptr;
    for (const Unit& unit : kUnits) {
      if (rest.starts_with(unit.name) && (!found || unit.name.size() > found->name.size())) found = &unit;
    }
    if (!found) return refuse();
    rest.remove_prefix(found->name.size());
    total += number * found->nanos;
  }
  if (total > 9.2e18) return refuse();
  return Duration(static_cast<std::int64_t>(std::llround(negative ? -total : total)));
}

std::string format_duration(Duration duration) {
  std::int64_t nanos = duration.count();
  if (nanos == 0) return "0s";
  std::string out = nanos < 0 ? "-" : "";
  nanos = std::abs(nanos);
  const auto fraction = [](double value, std::string_view unit) {
    char text[32];
    const auto [end, error] = std::to_chars(text, text + sizeof text, value, std::chars_format::fixed);
    return std::string(text, end) + std::string(unit);
  };
  if (nanos < 1'000) return out + std::to_string(nanos) + "ns";
  if (nanos < 1'000'000) return out + fraction(static_cast<double>(nanos) / 1e3, "µs");
  if (nanos < 1'000'000'000) return out + fraction(static_cast<double>(nanos) / 1e6, "ms");
  const std::int64_t whole_minutes = nanos / 60'000'000'000;
  if (whole_minutes >= 60) out += std::to_string(whole_minutes / 60) + "h";
  if (whole_minutes > 0) out += std::to_string(whole_minutes % 60) + "m";
  return out + fraction(static_cast<double>(nanos % 60'000'000'000) / 1e9, "s");
}

// As apimachinery's duration.HumanDuration: two units while the larger one is small, then one.
std::string format_age(Duration age) {
  const std::int64_t s = duration_cast<seconds>(age).count();
  const auto two = [](std::int64_t large, std::string_view a, std::int64_t small, std::string_view b) {
    return std::to_string(large) + std::string(a) + (small ? std::to_string(small) + std::string(b) : "");
  };
  if (s < -1) return "<invalid>";
  if (s < 0) return "0s";
  if (s < 60 * 2) return std::to_string(s) + "s";
  const std::int64_t m = s / 60;
  if (m < 10) return two(m, "m", s % 60, "s");
  if (m < 60 * 3) return std::to_string(m) + "m";
  const std::int64_t h = m / 60;
  if (h < 8) return two(h, "h", m % 60, "m");
  if (h < 48) return std::to_string(h) + "h";
  const std::int64_t d = h / 24;
  if (h < 24 * 8) return two(d, "d", h % 24, "h");
  if (h < 24 * 365 * 2) return std::to_string(d) + "d";
  const std::int64_t y = d / 365;
  if (h < 24 * 365 * 8) return two(y, "y", d % 365, "d");
  return std::to_string(y) + "y";
}

}  // namespace caisson
