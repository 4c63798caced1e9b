// SPDX-License-Identifier: Apache-2.0
// How lists of the built-in kinds merge, as a constant table made at build time (cmake/embed_merge_keys.cc): who only
// merges need not compile the kind files. Only what leads to a list with keys is in it. Any thread.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>

namespace caisson::schema {

struct MergeMember {
  std::string_view name;
  std::uint16_t node;
};

// A map (with members) or a list (with an item).
struct MergeNode {
  std::string_view keys;                 // of a list of maps: what its items are merged by, "containerPort,protocol"
  bool as_set = false;                   // a list of scalars that is merged as a set
  std::uint16_t item = 0;                // 0: nothing is known of the items
  std::span<const MergeMember> members;  // sorted by name
};

// The root of a kind; nullptr: nothing of it merges by keys, or it is not built in.
const MergeNode* find_merge_root(std::string_view group, std::string_view version, std::string_view kind);
const MergeNode& merge_node(std::uint16_t index);
const MergeNode* find_member(const MergeNode& map, std::string_view name);  // nullptr: nothing is known

}  // namespace caisson::schema
