// SPDX-License-Identifier: Apache-2.0
#include "security/policy/strategic.h"

#include <algorithm>
#include <functional>

#include "security/policy/anchor.h"
#include "security/policy/pattern.h"

namespace caisson::policy {
namespace {

constexpr int kDepthMax = 200;

enum class Verdict { fine, condition_failed, global_failed, too_deep };

bool has_anchors(const Value& patch, const std::function<bool(const Anchor&)>& wanted) {
  if (patch.is_string()) return parse_anchor(patch.as_string()).is_condition();
  for (const auto& entry : patch.entries())
    if (wanted(parse_anchor(entry.key)) || has_anchors(entry.value, wanted)) return true;
  return std::any_of(patch.items().begin(), patch.items().end(),
                     [&](const Value& item) { return has_anchors(item, wanted); });
}
bool decides(const Anchor& anchor) {
  return anchor.is_condition() || anchor.kind == AnchorKind::add_if_not_present;
}
bool is_global(const Anchor& anchor) {
  return anchor.kind == AnchorKind::global;
}

// +(key): gone where the object has the key, plain where it has not. Gives how many there were.
int settle_additions(Value& patch, const Value& resource) {
  if (!patch.is_map()) return 0;
  int count = 0;
  Value out = Value::map();
  for (const auto& entry : patch.entries()) {
    const Anchor anchor = parse_anchor(entry.key);
    if (anchor.kind != AnchorKind::add_if_not_present) {
      out.set(entry.key, entry.value);
      continue;
    }
    ++count;
    if (!resource.contains(anchor.key)) out.set(anchor.key, entry.value);
  }
  if (count > 0) patch = std::move(out);
  return count;
}

Value comparable(const Value& value) {
  return value.is_map() || value.is_list() ? value : Value(value.scalar_text());
}

bool conditions_hold(Value& patch, const Value& resource, AnchorKind kind) {
  const Value before = patch;
  for (const auto& entry : before.entries()) {
    const Anchor anchor = parse_anchor(entry.key);
    if (anchor.kind != kind) continue;
    const Value* found = resource.find(anchor.key);
    if (found == nullptr) return false;
    Value inner = entry.value;
    if (settle_additions(inner, *found) > 0) {
      patch.set(entry.key, inner);
      continue;
    }
    if (!match_pattern(comparable(*found), comparable(inner)).passed()) return false;
  }
  return true;
}

bool strip(Value& node, bool scalar_goes);

// Takes conditions out of a map; true when nothing is left that patches.
bool strip_map(Value& node) {
  Value out = Value::map();
  for (const auto& entry : node.entries()) {
    const Anchor anchor = parse_anchor(entry.key);
    Value value = entry.value;
    if (anchor.is_condition() && strip(value, true)) continue;
    if (!anchor.is_condition() && strip(value, false)) continue;
    out.set(anchor.is_condition() ? anchor.key : entry.key, std::move(value));
  }
  node = std::move(out);
  return node.empty();
}

bool strip_list(Value& node) {
  const bool was_empty = node.empty();
  Value out = Value::list();
  for (const Value& item : node.items()) {
    Value value = item;
    if (has_anchors(value, decides) || strip(value, false)) continue;
    out.push_back(std::move(value));
  }
  node = std::move(out);
  return node.empty() && !was_empty;
}

bool strip(Value& node, bool scalar_goes) {
  if (node.is_map()) return strip_map(node);
  if (node.is_list()) return strip_list(node);
  return scalar_goes;
}

Verdict resolve(Value& patch, const Value& resource, int depth);

// An item with anchors stands for every item of the object that fits it: it is repeated for each, by name.
Verdict resolve_items(Value& patch, const Value& resource, int depth) {
  const Value given = patch;
  for (const Value& item : given.items()) {
    if (!has_anchors(item, decides)) continue;
    const bool global = has_anchors(item, is_global);
    bool any_fits = false, global_failed = false;
    const std::size_t count = resource.is_list() ? resource.size() : 1;
    for (std::size_t i = 0; i < count; ++i) {
      Value copy = item;
      const Value& element = resource.is_list() ? resource[i] : document::kNull;
      const Verdict verdict = resolve(copy, element, depth + 1);
      if (verdict == Verdict::too_deep) return verdict;
      global_failed = global_failed || verdict == Verdict::global_failed;
      if (verdict != Verdict::fine) continue;
      any_fits = true;
      const Value& name = element["name"];
      if (global || name.is_null() || strip(copy, true)) continue;
      copy.set("name", name);
      patch.push_back(std::move(copy));
    }
    if (global_failed && !(global && any_fits)) return Verdict::global_failed;
  }
  return Verdict::fine;
}

Verdict resolve(Value& patch, const Value& resource, int depth) {
  if (depth > kDepthMax) return Verdict::too_deep;
  if (patch.is_list())
    return !patch.empty() && patch[0].is_map() ? resolve_items(patch, resource, depth) : Verdict::fine;
  if (!patch.is_map()) return Verdict::fine;
  settle_additions(patch, resource);
  if (!conditions_hold(patch, resource, AnchorKind::global)) return Verdict::global_failed;
  if (!conditions_hold(patch, resource, AnchorKind::condition)) return Verdict::condition_failed;
  const Value before = patch;
  for (const auto& entry : before.entries()) {
    if (decides(parse_anchor(entry.key))) continue;
    Value inner = entry.value;
    const Verdict verdict = resolve(inner, resource[entry.key], depth + 1);
    if (verdict != Verdict::fine) return verdict;
    patch.set(entry.key, std::move(inner));
  }
  return Verdict::fine;
}

// --- the merge

Value merge(const Value& before, const Value& patch, const document::MergeSchema* schema);

Value merge_keyed(const Value& before, const Value& patch, const document::MergeSchema& schema) {
  const std::string& key = schema.merge_keys().front();
  std::vector<Value> rest(before.items().begin(), before.items().end()), out;
  for (const Value& item : patch.items()) {
    const auto known = std::find_if(rest.begin(), rest.end(), [&](const Value& old) {
      return old.contains(key) && item.contains(key) && old[key].scalar_text() == item[key].scalar_text();
    });
    const bool goes = item["$patch"].as_string() == "delete";
    if (!goes) out.push_back(merge(known == rest.end() ? Value::map() : *known, item, schema.item()));
    if (known != rest.end()) rest.erase(known);
  }
  out.insert(out.end(), rest.begin(), rest.end());
  return Value(std::move(out));
}

Value merge_sets(const Value& before, const Value& patch) {
  Value out = patch;
  for (const Value& item : before.items())
    if (std::find(out.items().begin(), out.items().end(), item) == out.items().end()) out.push_back(item);
  return out;
}

Value merge_maps(const Value& before, const Value& patch, const document::MergeSchema* schema) {
  Value out = before.is_map() && patch["$patch"].as_string() != "replace" ? before : Value::map();
  for (const auto& entry : patch.entries()) {
    if (entry.key == "$patch") continue;
    if (entry.value.is_null() || entry.value["$patch"].as_string() == "delete") {
      out.erase(entry.key);
      continue;
    }
    const document::MergeSchema* field = schema != nullptr ? schema->field(entry.key) : nullptr;
    out.set(entry.key, merge(before.is_map() ? out[entry.key] : document::kNull, entry.value, field));
  }
  return out;
}

Value merge(const Value& before, const Value& patch, const document::MergeSchema* schema) {
  if (patch.is_map()) return merge_maps(before, patch, schema);
  if (!patch.is_list() || schema == nullptr) return patch;
  if (!schema->merge_keys().empty()) return merge_keyed(before, patch, *schema);
  return schema->merges_as_set() ? merge_sets(before, patch) : patch;
}

}  // namespace

Result<Value> resolve_anchors(const Value& patch, const Value& resource) {
  Value out = patch;
  const Verdict verdict = resolve(out, resource, 0);
  if (verdict == Verdict::too_deep) return Error{ErrorCode::bad_request, "the patch is nested too deeply"};
  if (verdict != Verdict::fine) return Value::map();
  strip_map(out);
  return out;
}

Value merge_patch(const Value& object, const Value& patch, const document::MergeSchema* schema) {
  return merge(object, patch, schema);
}

}  // namespace caisson::policy
