// SPDX-License-Identifier: Apache-2.0
// A pattern read once: its anchors, the order in which its keys are asked, what its scalars say. Internal to this room.
#pragma once
#include <string_view>
#include <vector>

#include "core/document/value.h"
#include "security/policy/anchor.h"
#include "security/policy/scalar_pattern.h"

namespace caisson::policy {

constexpr int kPatternDepthMax = 200;

struct PatternEntry;

struct PatternTree {
  Value source;
  ValueKind kind;                           // of `source`
  ScalarPattern scalar;                     // of what is neither map nor list
  std::vector<PatternEntry> anchors, rest;  // of a map, each in the order in which they are asked: anchors decide first
  std::vector<PatternTree> items;           // of a list
  // Wildcards in the keys of its labels or annotations: what they stand for depends on the resource.
  bool has_wildcard_keys = false;
};

struct PatternEntry {
  Anchor anchor;          // its key is interned, as that of a map
  std::string_view text;  // the key as it is written
  PatternTree pattern;
  bool wants_any;  // "*": whatever is there
};

// Nothing below `kPatternDepthMax` is read: no match goes there.
PatternTree read_pattern(const Value& source, int depth = 1);
// The same without wildcards in those keys: where the resource has a key that one fits, that key stands for it.
Value with_keys_of_resource(const Value& pattern, const Value& resource);

}  // namespace caisson::policy
