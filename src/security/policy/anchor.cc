// SPDX-License-Identifier: Apache-2.0
#include "security/policy/anchor.h"

#include "core/base/text.h"

namespace caisson::policy {

Anchor parse_anchor(std::string_view key) {
  const std::string_view text = trim(key);
  if (text.size() < 3 || text.back() != ')') return {AnchorKind::none, key};
  if (text[0] == '(') return {AnchorKind::condition, text.substr(1, text.size() - 2)};
  if (text.size() < 4 || text[1] != '(') return {AnchorKind::none, key};
  const std::string_view inner = text.substr(2, text.size() - 3);
  switch (text[0]) {
    case '<':
      return {AnchorKind::global, inner};
    case 'X':
      return {AnchorKind::negation, inner};
    case '+':
      return {AnchorKind::add_if_not_present, inner};
    case '=':
      return {AnchorKind::equality, inner};
    case '^':
      return {AnchorKind::existence, inner};
    default:
      return {AnchorKind::none, key};
  }
}

std::string_view anchor_sign(AnchorKind kind) {
  switch (kind) {
    case AnchorKind::global:
      return "<";
    case AnchorKind::negation:
      return "X";
    case AnchorKind::add_if_not_present:
      return "+";
    case AnchorKind::equality:
      return "=";
    case AnchorKind::existence:
      return "^";
    default:
      return "";
  }
}

}  // namespace caisson::policy
