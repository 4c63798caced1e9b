// SPDX-License-Identifier: Apache-2.0
#include "core/document/yaml/key_order.h"

#include "core/document/utf8.h"

namespace caisson::yaml {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
// Characters beyond ASCII count as letters: keys beyond ASCII are rare, and their order among themselves is by code either way.
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || static_cast<unsigned char>(c) >= 0x80; }

}  // namespace

bool key_before(std::string_view a, std::string_view b) {
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) {
    if (a[i] == b[i]) continue;
    const bool letter_a = is_letter(a[i]), letter_b = is_letter(b[i]);
    const auto byte_before = static_cast<unsigned char>(a[i]) < static_cast<unsigned char>(b[i]);
    if (letter_a && letter_b) return byte_before;
    if (letter_a || letter_b) return letter_b;
    std::int64_t number_a = 0, number_b = 0;
    if (a[i] == '0' || b[i] == '0') {
      for (std::size_t j = i; j > 0 && is_digit(a[j - 1]); --j) {
        if (a[j - 1] == '0') continue;
        number_a = number_b = 1;
        break;
      }
    }
    std::size_t end_a = i, end_b = i;
    for (; end_a < a.size() && end_a < i + 17 && is_digit(a[end_a]); ++end_a) number_a = number_a * 10 + (a[end_a] - '0');
    for (; end_b < b.size() && end_b < i + 17 && is_digit(b[end_b]); ++end_b) number_b = number_b * 10 + (b[end_b] - '0');
    if (number_a != number_b) return number_a < number_b;
    if (end_a != end_b) return end_a < end_b;
    return byte_before;
  }
  return a.size() < b.size();
}

}  // namespace caisson::yaml
