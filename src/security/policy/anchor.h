// SPDX-License-Identifier: Apache-2.0
// Anchors: what a key of a pattern or a patch says beyond its name. Pure; any thread.
#pragma once
#include <cstdint>
#include <string_view>

namespace caisson::policy {

enum class AnchorKind : std::uint8_t {
  none,
  condition,           // (key): the rest counts only where this holds
  global,              // <(key): the whole rule counts only where this holds
  negation,            // X(key): the key may not be there
  add_if_not_present,  // +(key)
  equality,            // =(key): where it is there, it must fit
  existence,           // ^(key): one item of the list must fit
};

struct Anchor {
  AnchorKind kind = AnchorKind::none;
  std::string_view key;  // without the anchor; the text itself where there is none

  bool is_condition() const { return kind == AnchorKind::condition || kind == AnchorKind::global; }
};

Anchor parse_anchor(std::string_view key);
std::string_view anchor_sign(AnchorKind kind);  // "<", "X", … and "" for a condition

}  // namespace caisson::policy
