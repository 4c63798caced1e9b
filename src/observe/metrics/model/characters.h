// SPDX-License-Identifier: Apache-2.0
// Classes of characters that PromQL, LogQL and names of labels share: ASCII alone, whatever the locale.
#pragma once

namespace caisson::metrics {

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
constexpr bool is_letter(char c) {  // of a name: '_' is one
  return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
constexpr bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

}  // namespace caisson::metrics
