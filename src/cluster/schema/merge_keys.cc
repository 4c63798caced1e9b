// SPDX-License-Identifier: Apache-2.0
#include "cluster/schema/merge_keys.h"

#include <algorithm>

#include "cluster/schema/merge_table.h"

namespace caisson::schema {

const MergeNode* find_merge_root(std::string_view group, std::string_view version, std::string_view kind) {
  for (const MergeKind& known : merge_kinds()) {
    if (known.kind == kind && known.group == group && known.version == version) return &merge_nodes()[known.node];
  }
  return nullptr;
}

const MergeNode& merge_node(std::uint16_t index) {
  return merge_nodes()[index];
}

const MergeNode* find_member(const MergeNode& map, std::string_view name) {
  const auto found =
      std::lower_bound(map.members.begin(), map.members.end(), name,
                       [](const MergeMember& member, std::string_view text) { return member.name < text; });
  return found != map.members.end() && found->name == name ? &merge_nodes()[found->node] : nullptr;
}

}  // namespace caisson::schema
