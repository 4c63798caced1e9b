// SPDX-License-Identifier: Apache-2.0
// Characters as Go's packages unicode, unicode/utf8 and strconv see them. Tables of the Unicode version that Go 1.26
// carries (generate_unicode.go). Pure functions; any thread.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace caisson::go_template {

inline constexpr std::uint32_t kReplacement = 0xFFFD;

struct Rune {
  std::uint32_t code;
  std::size_t size;  // bytes
};
// The first character of `text`; what is malformed is U+FFFD of one byte. REQUIRES: !text.empty()
Rune decode_rune(std::string_view text);
Rune decode_last_rune(std::string_view text);
void append_rune(std::string& out, std::uint32_t code);  // U+FFFD for what is no character
std::size_t count_runes(std::string_view text);
std::vector<std::uint32_t> runes(std::string_view text);
std::string from_runes(const std::vector<std::uint32_t>& codes);

bool is_letter(std::uint32_t code);
bool is_digit(std::uint32_t code);
bool is_upper(std::uint32_t code);
bool is_lower(std::uint32_t code);
bool is_number(std::uint32_t code);  // digits, and "½", "Ⅷ", …
bool is_punctuation(std::uint32_t code);
bool is_printable(std::uint32_t code);  // strconv.IsPrint
bool is_space(std::uint32_t code);      // unicode.IsSpace
std::uint32_t to_upper(std::uint32_t code);
std::uint32_t to_lower(std::uint32_t code);
std::uint32_t to_title(std::uint32_t code);
std::string upper_text(std::string_view text);
std::string lower_text(std::string_view text);
std::string_view trim_space(std::string_view text);  // strings.TrimSpace

enum class Quote { text, ascii };  // strconv.Quote, strconv.QuoteToASCII
std::string quote(std::string_view text, Quote how = Quote::text);
std::string quote_rune(std::uint32_t code, Quote how = Quote::text);  // strconv.QuoteRune
bool can_backquote(std::string_view text);
// strconv.Unquote of a whole literal with its quotes ("…", `…`, '…'). False: "invalid syntax".
bool unquote(std::string_view literal, std::string& out);
// "U+002D '-'" as %#U writes it.
std::string describe_rune(std::uint32_t code);

}  // namespace caisson::go_template
