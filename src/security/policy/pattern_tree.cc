// SPDX-License-Identifier: Apache-2.0
#include "security/policy/pattern_tree.h"

#include <algorithm>
#include <optional>
#include <string>

#include "core/document/keys.h"
#include "core/expr/jmespath/wildcard.h"

namespace caisson::policy {
namespace {

bool has_nested_anchors(const Value& pattern) {
  for (const auto& entry : pattern.entries()) {
    const AnchorKind kind = parse_anchor(entry.key).kind;
    if (kind != AnchorKind::none && kind != AnchorKind::add_if_not_present) return true;
    if (has_nested_anchors(entry.value)) return true;
  }
  return std::any_of(pattern.items().begin(), pattern.items().end(), has_nested_anchors);
}

const document::MapEntry* entry_named(const Value& pattern, std::string_view name) {
  for (const auto& entry : pattern.entries())
    if (parse_anchor(entry.key).key == name) return &entry;
  return nullptr;
}

Value with_keys_of(const Value& pattern, const Value& resource) {
  Value out = Value::map();
  for (const auto& entry : pattern.entries()) {
    if (!entry.value.is_string()) continue;
    const Anchor anchor = parse_anchor(entry.key);
    std::string key(entry.key);
    if (jmespath::has_wildcard(anchor.key)) {
      for (const auto& candidate : resource.entries()) {
        if (!candidate.value.is_string() || !jmespath::wildcard_match(anchor.key, candidate.key)) continue;
        key = anchor.kind == AnchorKind::none
                  ? std::string(candidate.key)
                  : std::string(anchor_sign(anchor.kind)) + "(" + std::string(candidate.key) + ")";
        break;
      }
    }
    out.set(key, entry.value);
  }
  return out;
}

// Whether with_keys_of makes another map of it.
bool depends_on_keys(const Value& pattern) {
  return std::any_of(pattern.entries().begin(), pattern.entries().end(), [](const auto& entry) {
    return !entry.value.is_string() || jmespath::has_wildcard(parse_anchor(entry.key).key);
  });
}

bool has_wildcard_keys(const Value& pattern) {
  const auto* metadata = entry_named(pattern, "metadata");
  if (metadata == nullptr) return false;
  for (const char* tag : {"labels", "annotations"}) {
    const auto* keys = entry_named(metadata->value, tag);
    if (keys != nullptr && keys->value.is_map() && depends_on_keys(keys->value)) return true;
  }
  return false;
}

// Anchors that decide for their map come first. Of the others, maps with anchors below, and global anchors before
// everything, so that they decide before a mismatch does.
void read_entries(const Value& source, int depth, PatternTree& tree) {
  std::vector<std::string_view> keys;
  for (const auto& entry : source.entries()) keys.push_back(entry.key);
  std::sort(keys.begin(), keys.end());
  for (const std::string_view key : keys) {
    Anchor anchor = parse_anchor(key);
    anchor.key = document::intern(anchor.key);
    const bool plain = anchor.kind == AnchorKind::none || anchor.kind == AnchorKind::add_if_not_present;
    PatternEntry entry{anchor, key, read_pattern(source[key], depth + 1), source[key].as_string() == "*"};
    if (!plain && anchor.kind != AnchorKind::global)
      tree.anchors.push_back(std::move(entry));
    else if (!plain || has_nested_anchors(source[key]))
      tree.rest.insert(tree.rest.begin(), std::move(entry));
    else
      tree.rest.push_back(std::move(entry));
  }
}

}  // namespace

PatternTree read_pattern(const Value& source, int depth) {
  PatternTree tree{source, source.kind(), ScalarPattern(source), {}, {}, {}, false};
  if (depth > kPatternDepthMax) return tree;
  for (const Value& item : source.items()) tree.items.push_back(read_pattern(item, depth + 1));
  if (!source.is_map()) return tree;
  tree.has_wildcard_keys = has_wildcard_keys(source);
  read_entries(source, depth, tree);
  return tree;
}

Value with_keys_of_resource(const Value& pattern, const Value& resource) {
  const auto* metadata_entry = entry_named(pattern, "metadata");
  if (metadata_entry == nullptr || !metadata_entry->value.is_map() || !resource["metadata"].is_map()) return pattern;
  Value metadata = metadata_entry->value;
  for (const char* tag : {"labels", "annotations"}) {
    const auto* keys = entry_named(metadata, tag);
    if (keys == nullptr || !keys->value.is_map() || !resource["metadata"][tag].is_map()) continue;
    metadata.set(keys->key, with_keys_of(keys->value, resource["metadata"][tag]));
  }
  Value out = pattern;
  out.set(metadata_entry->key, std::move(metadata));
  return out;
}

}  // namespace caisson::policy
