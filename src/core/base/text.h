// SPDX-License-Identifier: Apache-2.0
// Small string helpers that several rooms need. Pure functions; any thread.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace caisson {

std::string_view trim(std::string_view text);                                // ASCII white space at both ends
std::vector<std::string_view> split(std::string_view text, char separator);  // "a,,b" gives three; "" gives one empty
std::string join(const std::vector<std::string>& parts, std::string_view separator);
std::string to_lower(std::string_view text);  // ASCII only
std::string replace_all(std::string text, std::string_view from, std::string_view to);
bool equals_ignoring_case(std::string_view a, std::string_view b);  // ASCII only
std::optional<std::int64_t> parse_int(std::string_view text);       // whole text, base 10, sign allowed

// Columns a terminal needs for UTF-8 text: East Asian wide characters (Hangul among them) take two, combining ones
// none.
std::size_t display_width(std::string_view utf8);
// Cuts at a character's border so that the result takes at most `columns`; ends with "…" when something was cut.
std::string fit_width(std::string_view utf8, std::size_t columns);
bool is_valid_utf8(std::string_view text);

}  // namespace caisson
