// SPDX-License-Identifier: Apache-2.0
#include "core/document/yaml/key_order.h"

#include <vector>

#include "core/document/utf8.h"

namespace caisson::yaml {
namespace {

bool is_digit(std::uint32_t c) {
  return c >= '0' && c <= '9';
}

// Unicode's letters, near enough for keys: symbols and punctuation beyond ASCII stand in few blocks.
bool is_letter(std::uint32_t c) {
  if (c < 0x80) return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  if (c < 0xC0) return c == 0xAA || c == 0xB5 || c == 0xBA;
  const bool symbol = c == 0xD7 || c == 0xF7 || (c >= 0x2000 && c < 0x2C00) || (c >= 0x3000 && c < 0x3005) ||
                      (c >= 0x3008 && c < 0x3031) || (c >= 0xE000 && c < 0xF900) || (c >= 0xFE00 && c < 0xFE70) ||
                      (c >= 0xFF00 && c < 0xFF21) || (c >= 0x1F000 && c < 0x20000);
  return !symbol;
}

bool is_ascii(char c) {
  return static_cast<unsigned char>(c) < 0x80;
}

std::vector<std::uint32_t> characters(std::string_view text) {
  std::vector<std::uint32_t> out;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t width = utf8::sequence_length(text, i);
    out.push_back(width == 0 ? 0xFFFD : utf8::decode(text, i));
    i += width == 0 ? 1 : width;
  }
  return out;
}

// The number that the digits from `at` on make, after `start`; as in Go it wraps around.
template <class Text>
std::int64_t number_at(const Text& text, std::size_t& at, std::uint64_t start) {
  std::uint64_t number = start;
  for (; at < text.size() && is_digit(static_cast<std::uint32_t>(text[at])); ++at)
    number = number * 10 + static_cast<std::uint64_t>(text[at] - '0');
  return static_cast<std::int64_t>(number);
}

// Of two texts whose characters at `i` are the first that differ.
template <class Text>
bool before_at(const Text& a, const Text& b, std::size_t i) {
  const auto first = static_cast<std::uint32_t>(a[i]), second = static_cast<std::uint32_t>(b[i]);
  const bool letter_a = is_letter(first), letter_b = is_letter(second);
  if (letter_a && letter_b) return first < second;
  if (letter_a || letter_b) return letter_b;
  std::uint64_t start = 0;
  if (first == '0' || second == '0') {
    for (std::size_t j = i; j > 0 && is_digit(static_cast<std::uint32_t>(a[j - 1])) && start == 0; --j)
      start = a[j - 1] != '0' ? 1 : 0;
  }
  std::size_t end_a = i, end_b = i;
  const std::int64_t number_a = number_at(a, end_a, start), number_b = number_at(b, end_b, start);
  if (number_a != number_b) return number_a < number_b;
  if (end_a != end_b) return end_a < end_b;
  return first < second;
}

template <class Text>
std::size_t first_difference(const Text& a, const Text& b) {
  std::size_t i = 0;
  while (i < a.size() && i < b.size() && a[i] == b[i]) ++i;
  return i;
}

}  // namespace

bool key_before(std::string_view first, std::string_view second) {
  const std::size_t i = first_difference(first, second);
  const bool both = i < first.size() && i < second.size();
  // What decides stands in ASCII nearly always; then bytes are characters.
  if (both && is_ascii(first[i]) && is_ascii(second[i])) return before_at(first, second, i);
  if (!both && (i == 0 || is_ascii(first[i - 1]))) return first.size() < second.size();
  const auto a = characters(first), b = characters(second);
  const std::size_t at = first_difference(a, b);
  return at < a.size() && at < b.size() ? before_at(a, b, at) : a.size() < b.size();
}

}  // namespace caisson::yaml
