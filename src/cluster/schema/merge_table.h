// SPDX-License-Identifier: Apache-2.0
// The generated table behind merge_keys.h. Internal to the room.
#pragma once
#include "cluster/schema/merge_keys.h"

namespace caisson::schema {

struct MergeKind {
  std::string_view group, version, kind;
  std::uint16_t node;
};
std::span<const MergeKind> merge_kinds();
std::span<const MergeNode> merge_nodes();  // the first one is empty

}  // namespace caisson::schema
