// SPDX-License-Identifier: Apache-2.0
#include "core/expr/jmespath/unicode_case.h"

#include <cstdint>

namespace caisson::jmespath {
namespace {

// A run of capitals and how far their small letters are; step 2: capitals and small letters alternate.
struct CaseRange {
  char16_t from, to;
  std::int16_t distance;
  std::uint8_t step;
};
constexpr CaseRange kRanges[] = {
    {0x41, 0x5a, 32, 1},   {0xc0, 0xd6, 32, 1},   {0xd8, 0xde, 32, 1},  {0x100, 0x12e, 1, 2},  {0x132, 0x136, 1, 2},
    {0x139, 0x147, 1, 2},  {0x14a, 0x176, 1, 2},  {0x179, 0x17d, 1, 2}, {0x391, 0x3a1, 32, 1}, {0x3a3, 0x3ab, 32, 1},
    {0x400, 0x40f, 80, 1}, {0x410, 0x42f, 32, 1}, {0x460, 0x480, 1, 2}, {0x48a, 0x4be, 1, 2},  {0x4d0, 0x52e, 1, 2},
};

char32_t mapped(char32_t c, bool lower) {
  for (const CaseRange& range : kRanges) {
    const char32_t shift = lower ? 0 : static_cast<char32_t>(range.distance);
    if (c < range.from + shift || c > range.to + shift) continue;
    if ((c - range.from - shift) % range.step != 0) continue;
    return lower ? c + static_cast<char32_t>(range.distance) : c - static_cast<char32_t>(range.distance);
  }
  return c;
}

// Two-byte sequences are all that the table speaks of; everything else is copied.
std::string with_case(std::string_view text, bool lower) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto first = static_cast<unsigned char>(text[i]);
    if (first < 0x80) {
      out += static_cast<char>(mapped(first, lower));
    } else if ((first & 0xe0) == 0xc0 && i + 1 < text.size()) {
      const auto second = static_cast<unsigned char>(text[++i]);
      const char32_t c = mapped(static_cast<char32_t>((first & 0x1f) << 6 | (second & 0x3f)), lower);
      out += static_cast<char>(0xc0 | c >> 6);
      out += static_cast<char>(0x80 | (c & 0x3f));
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace

std::string lower_case(std::string_view text) {
  return with_case(text, true);
}
std::string upper_case(std::string_view text) {
  return with_case(text, false);
}

}  // namespace caisson::jmespath
