// SPDX-License-Identifier: Apache-2.0
// Strategic merge as kustomize does it (kyaml merge2, lists prepended), which differs from the API server's: items of
// the patch stand before those it does not name, and keys that a patch's item lacks are left out of the comparison.
#include <algorithm>

#include "core/document/json.h"
#include "core/document/patch.h"
#include "delivery/render/kustomize/stages.h"

namespace caisson::render::kustomize_impl {
namespace {

using document::MergeSchema;

constexpr std::string_view kDirective = "$patch";

Result<std::string_view> directive_of(const Value& patch) {
  const Value* found = patch.find(kDirective);
  if (found == nullptr) return std::string_view();
  const std::string_view word = found->as_string();
  if (word == "delete" || word == "replace" || word == "merge") return word;
  return Error{ErrorCode::invalid, "unknown directive $patch: " + json::write(*found)};
}

Result<Value> merge(const Value* before, const Value& patch, const MergeSchema* schema);

// The patch's own content where nothing was before: without directives and nulls.
Result<Value> added(const Value& patch, const MergeSchema* schema) {
  if (patch.is_map()) return merge(nullptr, patch, schema);
  if (!patch.is_list() || schema == nullptr || schema->merge_keys().empty()) return patch;
  const Value none = Value::list();
  return merge(&none, patch, schema);
}

Result<Value> merge_maps(const Value* before, const Value& patch, const MergeSchema* schema) {
  const std::string_view directive = TRY(directive_of(patch));
  if (directive == "delete") return Value();
  Value out = before != nullptr && directive != "replace" ? *before : Value::map();
  for (const auto& [key, value] : patch.entries()) {
    if (key == kDirective) continue;
    const MergeSchema* field = schema != nullptr ? schema->field(key) : nullptr;
    if (value.is_null()) {
      out.erase(key);
      continue;
    }
    const Value* old = out.find(key);
    const bool same_kind = old != nullptr && ((old->is_map() && value.is_map()) || (old->is_list() && value.is_list()));
    Value merged = TRY(same_kind ? merge(old, value, field) : added(value, field));
    if (merged.is_null())
      out.erase(key);
    else
      out.set(key, std::move(merged));
  }
  return out;
}

bool same_item(const Value& item, const Value& wanted, const std::vector<std::string>& keys) {
  bool compared = false;
  for (const std::string& key : keys) {
    if (!wanted.contains(key) || !item.contains(key)) {
      // A key that only one of them has decides nothing, unless it is the first.
      if (key == keys.front()) return false;
      continue;
    }
    if (item[key].scalar_text() != wanted[key].scalar_text()) return false;
    compared = true;
  }
  return compared;
}

// Whether more than the first key occurs (a protocol beside a port). Then kustomize leaves items the patch changes at
// their places; with one key they move to the front.
bool by_several_keys(const Value& before, const Value& patch, const std::vector<std::string>& keys) {
  std::size_t present = 0;
  for (const std::string& key : keys) {
    const auto has = [&](const Value& item) { return item.contains(key); };
    const auto old = before.items(), added = patch.items();
    present += std::any_of(old.begin(), old.end(), has) || std::any_of(added.begin(), added.end(), has);
  }
  return present > 1;
}

Result<Value> merge_keyed_lists(const Value& before, const Value& patch, const MergeSchema& schema) {
  const std::vector<std::string>& keys = schema.merge_keys();
  for (const Value& item : patch.items()) {
    const std::string_view directive = TRY(directive_of(item));
    if (directive != "replace") continue;
    Value out = Value::list();
    for (const Value& kept : patch.items()) {
      if (!kept.contains(kDirective)) out.push_back(kept);
    }
    return out;
  }
  std::vector<Value> rest(before.items().begin(), before.items().end());
  const bool keeps_places = by_several_keys(before, patch, keys);
  std::vector<Value> out;
  for (const Value& item : patch.items()) {
    if (!item.is_map()) return Error{ErrorCode::invalid, "an item of a list merged by " + keys[0] + " must be a map"};
    const auto known =
        std::find_if(rest.begin(), rest.end(), [&](const Value& old) { return same_item(old, item, keys); });
    Value merged = TRY(known != rest.end() ? merge(&*known, item, schema.item()) : added(item, schema.item()));
    const bool gone = merged.is_null() || merged.empty();
    if (known != rest.end() && (gone || !keeps_places))
      rest.erase(known);
    else if (known != rest.end())
      *known = std::exchange(merged, Value());
    if (!merged.is_null() && !merged.empty()) out.push_back(std::move(merged));
  }
  out.insert(out.end(), rest.begin(), rest.end());
  return Value(std::move(out));
}

Value merge_sets(const Value& before, const Value& patch) {
  Value out = patch;
  for (const Value& item : before.items()) {
    const auto have = out.items();
    if (std::find(have.begin(), have.end(), item) == have.end()) out.push_back(item);
  }
  return out;
}

Result<Value> merge(const Value* before, const Value& patch, const MergeSchema* schema) {
  if (patch.is_map()) return merge_maps(before, patch, schema);
  if (!patch.is_list() || before == nullptr || schema == nullptr) return patch;
  if (!schema->merge_keys().empty()) return merge_keyed_lists(*before, patch, *schema);
  if (schema->merges_as_set()) return merge_sets(*before, patch);
  return patch;
}

}  // namespace

Result<Value> merge_strategic(Value object, const Value& patch, const MergeSchema* schema) {
  return merge(&object, patch, schema);
}

}  // namespace caisson::render::kustomize_impl
