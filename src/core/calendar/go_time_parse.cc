// SPDX-License-Identifier: Apache-2.0
// Reading a time by a layout. Follows package time of Go 1.26.
#include <algorithm>

#include "core/calendar/civil.h"
#include "core/calendar/go_time.h"
#include "core/calendar/go_time_layout.h"

namespace caisson::calendar {
namespace {

bool is_digit_at(std::string_view text, std::size_t at) {
  return at < text.size() && text[at] >= '0' && text[at] <= '9';
}

// time.ParseError's quoting: only what is not printable ASCII is escaped, byte by byte.
std::string quoted(std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < ' ' || byte >= 0x80) {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 0xF];
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

class TimeParser {
 public:
  TimeParser(std::string_view layout, std::string_view text, const TimeZone::Ptr& zone)
      : layout_(layout), text_(text), rest_(text), zone_(zone) {}

  Result<GoTime> run() {
    std::string_view layout = layout_;
    while (true) {
      const LayoutPiece piece = next_piece(layout);
      if (!skip(piece.before)) return cannot_parse(rest_, piece.before);
      if (piece.element == Element::none) {
        if (!rest_.empty()) return wrong(": extra text: " + quoted(rest_));
        return assemble();
      }
      layout = piece.after;
      const std::string_view before = rest_;
      const bool read = take(piece, layout);
      if (out_of_range_) return wrong(": " + std::string(out_of_range_) + " out of range");
      if (!read) return cannot_parse(before, piece.written);
    }
  }

 private:
  Error wrong(const std::string& what) const {
    return Error{ErrorCode::invalid, "parsing time " + quoted(text_) + what};
  }
  Error cannot_parse(std::string_view value, std::string_view element) const {
    return wrong(" as " + quoted(layout_) + ": cannot parse " + quoted(value) + " as " + quoted(element));
  }

  bool skip(std::string_view prefix) {
    while (!prefix.empty()) {
      if (prefix[0] == ' ') {
        if (!rest_.empty() && rest_[0] != ' ') return false;
        prefix.remove_prefix(std::min(prefix.find_first_not_of(' '), prefix.size()));
        rest_.remove_prefix(std::min(rest_.find_first_not_of(' '), rest_.size()));
        continue;
      }
      if (rest_.empty() || rest_[0] != prefix[0]) return false;
      prefix.remove_prefix(1);
      rest_.remove_prefix(1);
    }
    return true;
  }

  // One digit or two; exactly two when `fixed`.
  bool take_number(int& out, bool fixed) {
    if (!is_digit_at(rest_, 0)) return false;
    if (!is_digit_at(rest_, 1)) {
      if (fixed) return false;
      out = rest_[0] - '0';
      rest_.remove_prefix(1);
      return true;
    }
    out = (rest_[0] - '0') * 10 + (rest_[1] - '0');
    rest_.remove_prefix(2);
    return true;
  }

  bool take_digits(int& out, std::size_t count) {
    out = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (!is_digit_at(rest_, i)) return false;
      out = out * 10 + (rest_[i] - '0');
    }
    rest_.remove_prefix(count);
    return true;
  }

  template <class Name>
  bool take_name(Name name, int count, std::size_t size_max, int& out) {
    for (int i = 0; i < count; ++i) {
      const std::string_view known = std::string_view(name(i)).substr(0, size_max);
      const bool same =
          rest_.size() >= known.size() && std::equal(known.begin(), known.end(), rest_.begin(),
                                                     [](char a, char b) { return (a | 0x20) == (b | 0x20); });
      if (!same) continue;
      rest_.remove_prefix(known.size());
      out = i;
      return true;
    }
    return false;
  }

  bool take_month_name(std::size_t size_max) {
    int index = 0;
    if (!take_name([](int i) { return month_name(i + 1); }, 12, size_max, index)) return false;
    month_ = index + 1;
    return true;
  }
  bool take_weekday_name(std::size_t size_max) {
    int ignored = 0;
    return take_name(weekday_name, 7, size_max, ignored);
  }

  bool in_range(int value, int low, int high, const char* what) {
    if (value < low || value > high) out_of_range_ = what;
    return true;
  }

  bool take_half(std::string_view am, std::string_view pm) {
    const std::string_view half = rest_.substr(0, 2);
    if (half != am && half != pm) return false;
    (half == pm ? is_pm_ : is_am_) = true;
    rest_.remove_prefix(2);
    return true;
  }

  // ".123": a point and `digits` digits.
  bool take_fraction(std::size_t digits) {
    if (rest_.size() < digits + 1 || (rest_[0] != '.' && rest_[0] != ',')) return false;
    nanos_ = 0;
    for (std::size_t i = 1; i <= std::max<std::size_t>(digits, 9); ++i) {
      if (i <= digits && !is_digit_at(rest_, i)) return false;
      if (i <= 9) nanos_ = nanos_ * 10 + (i <= digits ? rest_[i] - '0' : 0);
    }
    rest_.remove_prefix(digits + 1);
    return true;
  }

  std::size_t count_digits(std::size_t from) const {
    std::size_t count = 0;
    while (is_digit_at(rest_, from + count)) ++count;
    return count;
  }

  bool take_second(const LayoutPiece& piece, std::string_view layout_after) {
    if (!take_number(second_, piece.element == Element::zero_second)) return false;
    if (second_ >= 60) return in_range(second_, 0, 59, "second");
    // A fraction may follow that the layout does not name.
    if (rest_.size() < 2 || (rest_[0] != '.' && rest_[0] != ',') || !is_digit_at(rest_, 1)) return true;
    const Element following = next_piece(layout_after).element;
    if (following == Element::fraction_zeros || following == Element::fraction_nines) return true;
    return take_fraction(count_digits(1));
  }

  bool take_offset(bool minutes, bool seconds, bool colons) {
    if (rest_.empty()) return false;
    const char sign = rest_[0];
    std::string_view before = rest_;
    rest_.remove_prefix(1);
    int hour = 0, minute = 0, second = 0;
    const auto take_part = [&](int& out) {
      if (colons) {
        if (rest_.empty() || rest_[0] != ':') return false;
        rest_.remove_prefix(1);
      }
      return take_digits(out, 2);
    };
    const bool read = take_digits(hour, 2) && (!minutes || take_part(minute)) && (!seconds || take_part(second));
    if (!read) {
      rest_ = before;
      return false;
    }
    if (hour > 24) out_of_range_ = "time zone offset hour";
    if (minute > 60) out_of_range_ = "time zone offset minute";
    if (second > 60) out_of_range_ = "time zone offset second";
    offset_ = (hour * 60 + minute) * 60 + second;
    has_offset_ = true;
    if (sign == '-') offset_ = -offset_;
    return sign == '-' || sign == '+';
  }

  bool take_iso(bool minutes, bool seconds, bool colons) {
    if (!rest_.starts_with('Z')) return take_offset(minutes, seconds, colons);
    rest_.remove_prefix(1);
    is_utc_ = true;
    return true;
  }

  // "+3", "-11" behind "GMT" or alone; 0 when there is none.
  static std::size_t signed_offset_size(std::string_view text) {
    if (text.size() < 2 || (text[0] != '+' && text[0] != '-')) return 0;
    std::size_t size = 1;
    int hours = 0;
    while (is_digit_at(text, size)) hours = std::min(hours * 10 + (text[size++] - '0'), 1000);
    return size == 1 || hours > 23 ? 0 : size;
  }

  bool take_zone_name() {
    if (rest_.starts_with("UTC")) {
      is_utc_ = true;
      rest_.remove_prefix(3);
      return true;
    }
    if (rest_.size() < 3) return false;
    std::size_t size = 0;
    std::size_t upper = 0;
    while (upper < 6 && upper < rest_.size() && rest_[upper] >= 'A' && rest_[upper] <= 'Z') ++upper;
    if (rest_.starts_with("ChST") || rest_.starts_with("MeST")) {
      size = 4;
    } else if (rest_.starts_with("GMT")) {
      size = 3 + signed_offset_size(rest_.substr(3));
    } else if (rest_[0] == '+' || rest_[0] == '-') {
      size = signed_offset_size(rest_);
    } else if (upper == 3 || (upper == 5 && rest_[4] == 'T') ||
               (upper == 4 && (rest_[3] == 'T' || rest_.starts_with("WITA")))) {
      size = upper;
    }
    if (size == 0) return false;
    zone_name_ = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return true;
  }

  bool take(const LayoutPiece& piece, std::string_view layout_after) {
    switch (piece.element) {
      case Element::year:
        if (!take_digits(year_, 2)) return false;
        year_ += year_ >= 69 ? 1900 : 2000;
        return true;
      case Element::long_year:
        return take_digits(year_, 4);
      case Element::month:
        return take_month_name(3);
      case Element::long_month:
        return take_month_name(std::string_view::npos);
      case Element::number_month:
      case Element::zero_month:
        return take_number(month_, piece.element == Element::zero_month) && in_range(month_, 1, 12, "month");
      case Element::weekday:
        return take_weekday_name(3);
      case Element::long_weekday:
        return take_weekday_name(std::string_view::npos);
      case Element::blank_day:
        if (rest_.starts_with(' ')) rest_.remove_prefix(1);
        return take_number(day_, false);
      case Element::day:
        return take_number(day_, false);
      case Element::zero_day:
        return take_number(day_, true);
      case Element::blank_year_day:
      case Element::zero_year_day:
        return take_year_day(piece.element == Element::zero_year_day);
      case Element::hour:
        return take_number(hour_, false) && in_range(hour_, 0, 23, "hour");
      case Element::hour12:
      case Element::zero_hour12:
        return take_number(hour_, piece.element == Element::zero_hour12) && in_range(hour_, 0, 12, "hour");
      case Element::minute:
      case Element::zero_minute:
        return take_number(minute_, piece.element == Element::zero_minute) && in_range(minute_, 0, 59, "minute");
      case Element::second:
      case Element::zero_second:
        return take_second(piece, layout_after);
      case Element::upper_pm:
        return take_half("AM", "PM");
      case Element::lower_pm:
        return take_half("am", "pm");
      case Element::zone_name:
        return take_zone_name();
      case Element::iso_seconds:
        return take_iso(true, true, false);
      case Element::iso_short:
        return take_iso(false, false, false);
      case Element::iso:
        return take_iso(true, false, false);
      case Element::iso_colon:
        return take_iso(true, false, true);
      case Element::iso_colon_seconds:
        return take_iso(true, true, true);
      case Element::offset_seconds:
        return take_offset(true, true, false);
      case Element::offset_short:
        return take_offset(false, false, false);
      case Element::offset:
        return take_offset(true, false, false);
      case Element::offset_colon:
        return take_offset(true, false, true);
      case Element::offset_colon_seconds:
        return take_offset(true, true, true);
      case Element::fraction_zeros:
        return take_fraction(static_cast<std::size_t>(piece.digits));
      case Element::fraction_nines:
        if (rest_.size() < 2 || (rest_[0] != '.' && rest_[0] != ',') || !is_digit_at(rest_, 1)) return true;
        return take_fraction(count_digits(1));
      case Element::none:
        break;
    }
    return false;
  }

  bool take_year_day(bool fixed) {
    for (int i = 0; i < 2 && !fixed && rest_.starts_with(' '); ++i) rest_.remove_prefix(1);
    std::size_t count = std::min<std::size_t>(count_digits(0), 3);
    if (count == 0 || (fixed && count < 3)) return false;
    return take_digits(year_day_, count);
  }

  Result<void> settle_day() {
    if (year_day_ < 0) {
      if (month_ < 0) month_ = 1;
      if (day_ < 0) day_ = 1;
    } else {
      if (year_day_ < 1 || year_day_ > (is_leap(year_) ? 366 : 365)) return wrong(": day-of-year out of range");
      const CivilDay civil = civil_from_days(days_from_civil(year_, 1, 1) + year_day_ - 1);
      if (month_ >= 0 && month_ != civil.month) return wrong(": day-of-year does not match month");
      if (day_ >= 0 && day_ != civil.day) return wrong(": day-of-year does not match day");
      month_ = civil.month;
      day_ = civil.day;
    }
    if (day_ < 1 || day_ > days_in_month(year_, month_)) return wrong(": day out of range");
    return {};
  }

  Result<GoTime> assemble() {
    if (is_pm_ && hour_ < 12) hour_ += 12;
    if (is_am_ && hour_ == 12) hour_ = 0;
    TRY(settle_day());
    const std::int64_t local = days_from_civil(year_, month_, day_) * 86'400 + hour_ * 3600 + minute_ * 60 + second_;
    if (is_utc_) return GoTime{local, nanos_, TimeZone::utc()};
    if (has_offset_) {
      const Offset there = zone_->at(local - offset_);
      const bool is_ours = there.seconds == offset_ && (zone_name_.empty() || there.name == zone_name_);
      return GoTime{local - offset_, nanos_, is_ours ? zone_ : TimeZone::fixed(std::string(zone_name_), offset_)};
    }
    if (!zone_name_.empty()) {
      int seconds = 0;
      if (zone_->find_abbreviation(zone_name_, local, seconds)) return GoTime{local - seconds, nanos_, zone_};
      int hours = 0;
      if (zone_name_.size() > 3 && zone_name_.starts_with("GMT")) {
        for (const char c : zone_name_.substr(4)) hours = hours * 10 + (c - '0');
        if (zone_name_[3] == '-') hours = -hours;
      }
      return GoTime{local, nanos_, TimeZone::fixed(std::string(zone_name_), hours * 3600)};
    }
    return GoTime{zone_->from_local(local), nanos_, zone_};
  }

  const std::string_view layout_, text_;
  std::string_view rest_;
  const TimeZone::Ptr& zone_;
  const char* out_of_range_ = nullptr;
  int year_ = 0, month_ = -1, day_ = -1, year_day_ = -1, hour_ = 0, minute_ = 0, second_ = 0, nanos_ = 0, offset_ = 0;
  bool is_am_ = false, is_pm_ = false, is_utc_ = false, has_offset_ = false;
  std::string_view zone_name_;
};

}  // namespace

Result<GoTime> parse_go_time(std::string_view layout, std::string_view text, const TimeZone::Ptr& zone) {
  return TimeParser(layout, text, zone).run();
}

}  // namespace caisson::calendar
