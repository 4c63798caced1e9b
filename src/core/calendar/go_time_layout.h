// SPDX-License-Identifier: Apache-2.0
// The elements of a Go time layout.
#pragma once
#include <cstdint>
#include <string_view>

namespace caisson::calendar {

enum class Element : std::uint8_t {
  none,
  long_month,
  month,
  number_month,
  zero_month,
  long_weekday,
  weekday,
  day,
  blank_day,
  zero_day,
  blank_year_day,
  zero_year_day,
  hour,
  hour12,
  zero_hour12,
  minute,
  zero_minute,
  second,
  zero_second,
  long_year,
  year,
  upper_pm,
  lower_pm,
  zone_name,
  iso_seconds,
  iso_short,
  iso,
  iso_colon,
  iso_colon_seconds,
  offset_seconds,
  offset_short,
  offset,
  offset_colon,
  offset_colon_seconds,
  fraction_zeros,
  fraction_nines,
};

struct LayoutPiece {
  std::string_view before;   // plain text
  Element element;           // none: there is nothing more
  int digits = 0;            // of a fraction
  std::string_view written;  // the element as it stands in the layout
  std::string_view after;    // the rest of the layout
};
LayoutPiece next_piece(std::string_view layout);

}  // namespace caisson::calendar
