// SPDX-License-Identifier: Apache-2.0
#include "core/expr/go_template/unicode.h"

#include <algorithm>
#include <span>

#include "core/document/utf8.h"

namespace caisson::go_template {
namespace {

struct Range {
  std::uint32_t first, last;
};
struct Mapping {
  std::uint32_t first, last, step;
  std::int32_t delta;
};
#include "core/expr/go_template/unicode_tables.inc"

bool holds(std::span<const Range> ranges, std::uint32_t code) {
  const auto above = std::upper_bound(ranges.begin(), ranges.end(), code,
                                      [](std::uint32_t wanted, const Range& range) { return wanted < range.first; });
  return above != ranges.begin() && code <= std::prev(above)->last;
}

std::uint32_t mapped(std::span<const Mapping> mappings, std::uint32_t code) {
  const auto above = std::upper_bound(mappings.begin(), mappings.end(), code,
                                      [](std::uint32_t wanted, const Mapping& run) { return wanted < run.first; });
  if (above == mappings.begin()) return code;
  const Mapping& run = *std::prev(above);
  const bool is_in_run = code <= run.last && (code - run.first) % run.step == 0;
  return is_in_run ? code + static_cast<std::uint32_t>(run.delta) : code;
}

template <class Map>
std::string map_text(std::string_view text, Map map) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Rune rune = decode_rune(text);
    append_rune(out, map(rune.code));
    text.remove_prefix(rune.size);
  }
  return out;
}

constexpr char kHex[] = "0123456789abcdef";

void append_escape(std::string& out, std::uint32_t code) {
  const auto digits = [&](int count) {
    for (int shift = (count - 1) * 4; shift >= 0; shift -= 4) out += kHex[code >> shift & 0xF];
  };
  switch (code) {
    case '\a':
      out += "\\a";
      return;
    case '\b':
      out += "\\b";
      return;
    case '\f':
      out += "\\f";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    case '\v':
      out += "\\v";
      return;
    default:
      break;
  }
  if (code < ' ' || code == 0x7F) {
    out += "\\x";
    digits(2);
  } else if (code < 0x10000) {
    out += "\\u";
    digits(4);
  } else {
    out += "\\U";
    digits(8);
  }
}

void append_quoted_rune(std::string& out, std::uint32_t code, char mark, Quote how) {
  if (code == static_cast<unsigned char>(mark) || code == '\\') {
    out += '\\';
    out += static_cast<char>(code);
  } else if (how == Quote::ascii ? code < 0x80 && is_printable(code) : is_printable(code)) {
    append_rune(out, code);
  } else {
    append_escape(out, code);
  }
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Reads `count` digits of `base` from the front of `text`; false when they are not there.
bool take_digits(std::string_view& text, std::size_t count, int base, std::uint32_t& out) {
  if (text.size() < count) return false;
  out = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const int digit = hex_digit(text[i]);
    if (digit < 0 || digit >= base) return false;
    out = out * static_cast<std::uint32_t>(base) + static_cast<std::uint32_t>(digit);
  }
  text.remove_prefix(count);
  return true;
}

// What follows a backslash, within quotes `mark`.
bool take_escape(std::string_view& text, char mark, std::string& out) {
  if (text.empty()) return false;
  const char c = text.front();
  text.remove_prefix(1);
  std::uint32_t code = 0;
  switch (c) {
    case 'a':
      out += '\a';
      return true;
    case 'b':
      out += '\b';
      return true;
    case 'f':
      out += '\f';
      return true;
    case 'n':
      out += '\n';
      return true;
    case 'r':
      out += '\r';
      return true;
    case 't':
      out += '\t';
      return true;
    case 'v':
      out += '\v';
      return true;
    case '\\':
      out += '\\';
      return true;
    case '\'':
    case '"':
      if (c != mark) return false;
      out += c;
      return true;
    case 'x':
      if (!take_digits(text, 2, 16, code)) return false;
      if (mark == '\'') {
        append_rune(out, code);
      } else {
        out += static_cast<char>(code);
      }
      return true;
    case 'u':
    case 'U':
      if (!take_digits(text, c == 'u' ? 4 : 8, 16, code)) return false;
      if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return false;
      append_rune(out, code);
      return true;
    default:
      break;
  }
  if (c < '0' || c > '7') return false;
  std::uint32_t rest = 0;
  if (!take_digits(text, 2, 8, rest)) return false;
  code = static_cast<std::uint32_t>(c - '0') * 64 + rest;
  if (code > 255) return false;
  if (mark == '\'') {
    append_rune(out, code);
  } else {
    out += static_cast<char>(code);
  }
  return true;
}

}  // namespace

Rune decode_rune(std::string_view text) {
  const auto first = static_cast<unsigned char>(text.front());
  if (first < 0x80) return {first, 1};
  const std::size_t size = utf8::sequence_length(text, 0);
  return size == 0 ? Rune{kReplacement, 1} : Rune{utf8::decode(text, 0), size};
}

Rune decode_last_rune(std::string_view text) {
  for (std::size_t back = 1; back <= 4 && back <= text.size(); ++back) {
    const std::size_t at = text.size() - back;
    if ((static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) continue;
    const Rune rune = decode_rune(text.substr(at));
    return rune.size == back ? rune : Rune{kReplacement, 1};
  }
  return {kReplacement, 1};
}

void append_rune(std::string& out, std::uint32_t code) {
  if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) code = kReplacement;
  utf8::append(out, code);
}

std::size_t count_runes(std::string_view text) {
  std::size_t count = 0;
  for (; !text.empty(); ++count) text.remove_prefix(decode_rune(text).size);
  return count;
}

std::vector<std::uint32_t> runes(std::string_view text) {
  std::vector<std::uint32_t> out;
  while (!text.empty()) {
    const Rune rune = decode_rune(text);
    out.push_back(rune.code);
    text.remove_prefix(rune.size);
  }
  return out;
}

std::string from_runes(const std::vector<std::uint32_t>& codes) {
  std::string out;
  for (const std::uint32_t code : codes) append_rune(out, code);
  return out;
}

bool is_letter(std::uint32_t code) {
  if (code < 0x80) return (code | 0x20) >= 'a' && (code | 0x20) <= 'z';
  return holds(kLetters, code);
}
bool is_digit(std::uint32_t code) {
  return code < 0x80 ? code >= '0' && code <= '9' : holds(kDigits, code);
}
bool is_upper(std::uint32_t code) {
  return code < 0x80 ? code >= 'A' && code <= 'Z' : holds(kUpper, code);
}
bool is_lower(std::uint32_t code) {
  return code < 0x80 ? code >= 'a' && code <= 'z' : holds(kLower, code);
}
bool is_number(std::uint32_t code) {
  return code < 0x80 ? code >= '0' && code <= '9' : holds(kNumbers, code);
}
bool is_punctuation(std::uint32_t code) {
  return holds(kPunctuation, code);
}
bool is_printable(std::uint32_t code) {
  return code < 0x80 ? code >= 0x20 && code < 0x7F : holds(kPrintable, code);
}
bool is_space(std::uint32_t code) {
  if (code < 0x100) return (code >= 9 && code <= 13) || code == ' ' || code == 0x85 || code == 0xA0;
  return code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 || code == 0x2029 || code == 0x202F ||
         code == 0x205F || code == 0x3000;
}
std::uint32_t to_upper(std::uint32_t code) {
  if (code < 0x80) return code >= 'a' && code <= 'z' ? code - 32 : code;
  return mapped(kToUpper, code);
}
std::uint32_t to_lower(std::uint32_t code) {
  if (code < 0x80) return code >= 'A' && code <= 'Z' ? code + 32 : code;
  return mapped(kToLower, code);
}
std::uint32_t to_title(std::uint32_t code) {
  if (code < 0x80) return code >= 'a' && code <= 'z' ? code - 32 : code;
  return mapped(kToTitle, code);
}

std::string upper_text(std::string_view text) {
  return map_text(text, to_upper);
}
std::string lower_text(std::string_view text) {
  return map_text(text, to_lower);
}

std::string_view trim_space(std::string_view text) {
  while (!text.empty()) {
    const Rune rune = decode_rune(text);
    if (!is_space(rune.code)) break;
    text.remove_prefix(rune.size);
  }
  while (!text.empty()) {
    const Rune rune = decode_last_rune(text);
    if (!is_space(rune.code)) break;
    text.remove_suffix(rune.size);
  }
  return text;
}

std::string quote(std::string_view text, Quote how) {
  std::string out = "\"";
  out.reserve(text.size() + 2);
  while (!text.empty()) {
    const Rune rune = decode_rune(text);
    if (rune.code == kReplacement && rune.size == 1) {
      const auto byte = static_cast<unsigned char>(text.front());
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 0xF];
    } else {
      append_quoted_rune(out, rune.code, '"', how);
    }
    text.remove_prefix(rune.size);
  }
  out += '"';
  return out;
}

std::string quote_rune(std::uint32_t code, Quote how) {
  if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) code = kReplacement;
  std::string out = "'";
  append_quoted_rune(out, code, '\'', how);
  out += '\'';
  return out;
}

bool can_backquote(std::string_view text) {
  while (!text.empty()) {
    const Rune rune = decode_rune(text);
    text.remove_prefix(rune.size);
    if (rune.size > 1) {
      if (rune.code == 0xFEFF) return false;
      continue;
    }
    if (rune.code == kReplacement) return false;
    if ((rune.code < ' ' && rune.code != '\t') || rune.code == '`' || rune.code == 0x7F) return false;
  }
  return true;
}

bool unquote(std::string_view literal, std::string& out) {
  if (literal.size() < 2 || literal.front() != literal.back()) return false;
  const char mark = literal.front();
  std::string_view body = literal.substr(1, literal.size() - 2);
  out.clear();
  if (mark == '`') {
    if (body.find('`') != std::string_view::npos) return false;
    std::copy_if(body.begin(), body.end(), std::back_inserter(out), [](char c) { return c != '\r'; });
    return true;
  }
  if (mark != '"' && mark != '\'') return false;
  while (!body.empty()) {
    const char c = body.front();
    if (c == mark || c == '\n') return false;
    if (c == '\\') {
      body.remove_prefix(1);
      if (!take_escape(body, mark, out)) return false;
    } else {
      const Rune rune = decode_rune(body);
      if (mark == '\'') {
        append_rune(out, rune.code);
      } else {
        out.append(body.substr(0, rune.size));
      }
      body.remove_prefix(rune.size);
    }
    if (mark == '\'' && !body.empty()) return false;
  }
  return mark == '"' || !out.empty();
}

std::string describe_rune(std::uint32_t code) {
  std::string digits;
  for (int shift = 20; shift >= 0; shift -= 4) {
    if (!digits.empty() || code >> shift || shift < 16) digits += "0123456789ABCDEF"[code >> shift & 0xF];
  }
  std::string out = "U+" + digits;
  if (is_printable(code)) {
    out += " '";
    append_rune(out, code);
    out += '\'';
  }
  return out;
}

}  // namespace caisson::go_template
