// SPDX-License-Identifier: Apache-2.0
#include "core/calendar/go_time.h"

#include <algorithm>

#include "core/calendar/civil.h"
#include "core/calendar/go_time_layout.h"

namespace caisson::calendar {
namespace {

constexpr std::int64_t kDay = 86'400, kNanos = 1'000'000'000;
constexpr std::string_view kMonths[] = {"January", "February", "March",     "April",   "May",      "June",
                                        "July",    "August",   "September", "October", "November", "December"};
constexpr std::string_view kWeekdays[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};

std::string padded(std::int64_t number, std::size_t width, char fill = '0') {
  std::string digits = std::to_string(number < 0 ? -number : number);
  if (digits.size() < width) digits.insert(0, width - digits.size(), fill);
  return number < 0 ? "-" + digits : digits;
}

// "+02:00" and its kin.
std::string offset_text(int seconds, bool minutes, bool has_seconds, bool colons) {
  std::string out = seconds < 0 ? "-" : "+";
  seconds = std::abs(seconds);
  out += padded(seconds / 3600, 2);
  if (minutes) out += (colons ? ":" : "") + padded(seconds / 60 % 60, 2);
  if (has_seconds) out += (colons ? ":" : "") + padded(seconds % 60, 2);
  return out;
}

std::string fraction_text(int nanos, int digits, bool trims, char point) {
  std::string text = padded(nanos, 9).substr(0, static_cast<std::size_t>(std::min(digits, 9)));
  if (trims) {
    while (text.ends_with('0')) text.pop_back();
    if (text.empty()) return "";
  }
  return point + text;
}

std::string zone_text(const Offset& offset) {
  if (!offset.name.empty()) return offset.name;
  const int minutes = offset.seconds / 60;
  std::string out = (minutes < 0 ? "-" : "+") + padded(std::abs(minutes) / 60, 2);
  return out + padded(std::abs(minutes) % 60, 2);
}

std::string element_text(const LayoutPiece& piece, const ClockFace& face, int nanos) {
  const int hour12 = face.hour % 12 == 0 ? 12 : face.hour % 12;
  const int offset = face.offset.seconds;
  switch (piece.element) {
    case Element::long_month:
      return std::string(month_name(face.month));
    case Element::month:
      return std::string(month_name(face.month).substr(0, 3));
    case Element::number_month:
      return std::to_string(face.month);
    case Element::zero_month:
      return padded(face.month, 2);
    case Element::long_weekday:
      return std::string(weekday_name(face.weekday));
    case Element::weekday:
      return std::string(weekday_name(face.weekday).substr(0, 3));
    case Element::day:
      return std::to_string(face.day);
    case Element::blank_day:
      return padded(face.day, 2, ' ');
    case Element::zero_day:
      return padded(face.day, 2);
    case Element::blank_year_day:
      return padded(face.year_day, 3, ' ');
    case Element::zero_year_day:
      return padded(face.year_day, 3);
    case Element::hour:
      return padded(face.hour, 2);
    case Element::hour12:
      return std::to_string(hour12);
    case Element::zero_hour12:
      return padded(hour12, 2);
    case Element::minute:
      return std::to_string(face.minute);
    case Element::zero_minute:
      return padded(face.minute, 2);
    case Element::second:
      return std::to_string(face.second);
    case Element::zero_second:
      return padded(face.second, 2);
    case Element::long_year:
      return padded(face.year, 4);
    case Element::year:
      return padded((face.year < 0 ? 0 : face.year) % 100, 2);
    case Element::upper_pm:
      return face.hour >= 12 ? "PM" : "AM";
    case Element::lower_pm:
      return face.hour >= 12 ? "pm" : "am";
    case Element::zone_name:
      return zone_text(face.offset);
    case Element::iso_seconds:
      return offset == 0 ? "Z" : offset_text(offset, true, true, false);
    case Element::iso_short:
      return offset == 0 ? "Z" : offset_text(offset, false, false, false);
    case Element::iso:
      return offset == 0 ? "Z" : offset_text(offset, true, false, false);
    case Element::iso_colon:
      return offset == 0 ? "Z" : offset_text(offset, true, false, true);
    case Element::iso_colon_seconds:
      return offset == 0 ? "Z" : offset_text(offset, true, true, true);
    case Element::offset_seconds:
      return offset_text(offset, true, true, false);
    case Element::offset_short:
      return offset_text(offset, false, false, false);
    case Element::offset:
      return offset_text(offset, true, false, false);
    case Element::offset_colon:
      return offset_text(offset, true, false, true);
    case Element::offset_colon_seconds:
      return offset_text(offset, true, true, true);
    case Element::fraction_zeros:
      return fraction_text(nanos, piece.digits, false, piece.written[0]);
    case Element::fraction_nines:
      return fraction_text(nanos, piece.digits, true, piece.written[0]);
    case Element::none:
      break;
  }
  return "";
}

}  // namespace

std::string_view month_name(int month) {
  return kMonths[(month - 1 + 12) % 12];
}
std::string_view weekday_name(int weekday) {
  return kWeekdays[weekday % 7];
}

GoTime GoTime::from(Time time, TimeZone::Ptr zone) {
  const std::int64_t nanos = time.time_since_epoch().count();
  const std::int64_t of_second = (nanos % kNanos + kNanos) % kNanos;
  return {(nanos - of_second) / kNanos, static_cast<int>(of_second), std::move(zone)};
}

GoTime GoTime::zero() {
  return {days_from_civil(1, 1, 1) * kDay, 0, TimeZone::utc()};
}

GoTime GoTime::in(TimeZone::Ptr other) const {
  return {seconds, nanos, std::move(other)};
}

GoTime GoTime::add(Duration by) const {
  std::int64_t whole = by.count() / kNanos;
  std::int64_t rest = nanos + by.count() % kNanos;
  if (rest < 0) rest += kNanos, --whole;
  if (rest >= kNanos) rest -= kNanos, ++whole;
  return {seconds + whole, static_cast<int>(rest), zone};
}

Duration GoTime::since(const GoTime& earlier) const {
  const auto difference = static_cast<__int128>(seconds - earlier.seconds) * kNanos + (nanos - earlier.nanos);
  if (difference > Duration::max().count()) return Duration::max();
  if (difference < Duration::min().count()) return Duration::min();
  return Duration(static_cast<std::int64_t>(difference));
}

ClockFace face_of(const GoTime& time) {
  ClockFace face{};
  face.offset = time.zone->at(time.seconds);
  const std::int64_t local = time.seconds + face.offset.seconds;
  const std::int64_t of_day = (local % kDay + kDay) % kDay;
  const std::int64_t days = (local - of_day) / kDay;
  const CivilDay civil = civil_from_days(days);
  face.year = civil.year;
  face.month = civil.month;
  face.day = civil.day;
  face.hour = static_cast<int>(of_day / 3600);
  face.minute = static_cast<int>(of_day / 60 % 60);
  face.second = static_cast<int>(of_day % 60);
  face.weekday = weekday_of(days);
  face.year_day = static_cast<int>(days - days_from_civil(civil.year, 1, 1)) + 1;
  return face;
}

std::string format_go_time(const GoTime& time, std::string_view layout) {
  const ClockFace face = face_of(time);
  std::string out;
  while (true) {
    const LayoutPiece piece = next_piece(layout);
    out += piece.before;
    if (piece.element == Element::none) return out;
    out += element_text(piece, face, time.nanos);
    layout = piece.after;
  }
}

}  // namespace caisson::calendar
