// SPDX-License-Identifier: Apache-2.0
#include "core/calendar/go_time_layout.h"

namespace caisson::calendar {
namespace {

struct Known {
  std::string_view text;
  Element element;
};
// Of two that fit at one place, the first one counts.
constexpr Known kKnown[] = {
    {"January", Element::long_month},
    {"Jan", Element::month},
    {"Monday", Element::long_weekday},
    {"Mon", Element::weekday},
    {"MST", Element::zone_name},
    {"01", Element::zero_month},
    {"02", Element::zero_day},
    {"03", Element::zero_hour12},
    {"04", Element::zero_minute},
    {"05", Element::zero_second},
    {"06", Element::year},
    {"002", Element::zero_year_day},
    {"15", Element::hour},
    {"1", Element::number_month},
    {"2006", Element::long_year},
    {"2", Element::day},
    {"__2", Element::blank_year_day},
    {"_2", Element::blank_day},
    {"3", Element::hour12},
    {"4", Element::minute},
    {"5", Element::second},
    {"PM", Element::upper_pm},
    {"pm", Element::lower_pm},
    {"-070000", Element::offset_seconds},
    {"-07:00:00", Element::offset_colon_seconds},
    {"-0700", Element::offset},
    {"-07:00", Element::offset_colon},
    {"-07", Element::offset_short},
    {"Z070000", Element::iso_seconds},
    {"Z07:00:00", Element::iso_colon_seconds},
    {"Z0700", Element::iso},
    {"Z07:00", Element::iso_colon},
    {"Z07", Element::iso_short},
};

bool is_digit(std::string_view text, std::size_t at) {
  return at < text.size() && text[at] >= '0' && text[at] <= '9';
}

// ".000" or ",999", with no digit behind.
std::size_t fraction_size(std::string_view text) {
  if (text.size() < 2 || (text[0] != '.' && text[0] != ',') || (text[1] != '0' && text[1] != '9')) return 0;
  std::size_t end = 1;
  while (end < text.size() && text[end] == text[1]) ++end;
  return is_digit(text, end) ? 0 : end;
}

}  // namespace

LayoutPiece next_piece(std::string_view layout) {
  for (std::size_t at = 0; at < layout.size(); ++at) {
    const std::string_view here = layout.substr(at);
    if (const std::size_t size = fraction_size(here)) {
      const Element element = here[1] == '0' ? Element::fraction_zeros : Element::fraction_nines;
      return {layout.substr(0, at), element, static_cast<int>(size) - 1, here.substr(0, size), here.substr(size)};
    }
    for (const Known& known : kKnown) {
      if (!here.starts_with(known.text)) continue;
      const std::string_view after = here.substr(known.text.size());
      const bool in_word = !after.empty() && after[0] >= 'a' && after[0] <= 'z';
      if ((known.element == Element::month || known.element == Element::weekday) && in_word) continue;
      // "_2006" is a year behind an underscore.
      if (known.element == Element::blank_day && here.starts_with("_2006")) {
        return {layout.substr(0, at + 1), Element::long_year, 0, here.substr(1, 4), here.substr(5)};
      }
      return {layout.substr(0, at), known.element, 0, known.text, after};
    }
  }
  return {layout, Element::none, 0, {}, {}};
}

}  // namespace caisson::calendar
