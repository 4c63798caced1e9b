// SPDX-License-Identifier: Apache-2.0
// Strategic merge as kustomize does it (kyaml v0.21, merge2 with lists prepended), which differs from the API server's:
// items of the patch stand before those it does not name; items of lists with several merge keys (a port and its
// protocol) that lack one of them are matched in ways of their own.
#include <algorithm>
#include <optional>

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

// What an item is known by: a text for each merge key, empty where it has none.
using ItemKey = std::vector<std::string>;

ItemKey key_of(const Value& item, const std::vector<std::string>& names) {
  ItemKey out;
  for (const std::string& name : names) out.push_back(item[name].scalar_text());
  return out;
}

// Two keys that agree somewhere, and elsewhere differ only because one lacks a part, are one: the fuller.
std::optional<ItemKey> unified(const ItemKey& a, const ItemKey& b) {
  bool agree = false;
  ItemKey out;
  for (std::size_t i = 0; i < a.size(); ++i) {
    agree = agree || a[i] == b[i];
    if (a[i] != b[i] && !a[i].empty() && !b[i].empty()) return std::nullopt;
    out.push_back(a[i].empty() ? b[i] : a[i]);
  }
  return agree ? std::optional(out) : std::nullopt;
}

// The keys of the patch's items, then those of the others, each once.
std::vector<ItemKey> keys_of(const Value& patch, const Value& before, const std::vector<std::string>& names) {
  std::vector<ItemKey> out;
  for (const Value* list : {&patch, &before}) {
    for (const Value& item : list->items()) {
      ItemKey key = key_of(item, names);
      if (std::find(out.begin(), out.end(), key) == out.end()) out.push_back(std::move(key));
    }
  }
  if (names.size() < 2) return out;
  for (ItemKey& one : out) {
    const ItemKey as_it_was = one;
    for (ItemKey& other : out) {
      if (const auto both = unified(as_it_was, other)) one = other = *both;
    }
  }
  return out;
}

// Whether the item has a member for each key, with these values; an empty one stands for any.
bool has(const Value& item, const std::vector<std::string>& names, const ItemKey& key) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    const Value* own = item.find(names[i]);
    if (own == nullptr || (!key[i].empty() && own->scalar_text() != key[i])) return false;
  }
  return true;
}

// The first item with those parts of the key that are there.
template <class Items>
std::size_t index_of(const Items& items, std::vector<std::string> names, ItemKey key) {
  for (std::size_t i = key.size(); i-- > 0;) {
    if (!key[i].empty() || key.size() == 1) continue;
    key.erase(key.begin() + static_cast<std::ptrdiff_t>(i));
    names.erase(names.begin() + static_cast<std::ptrdiff_t>(i));
  }
  std::size_t i = 0;
  while (i < items.size() && !has(items[i], names, key)) ++i;
  return i;
}

// Puts the item in place of those that have the key; behind all when there is none.
void put(std::vector<Value>& items, const Value& item, const std::vector<std::string>& names, const ItemKey& key) {
  bool found = false;
  for (Value& one : items) {
    if (!has(one, names, key)) continue;
    one = item;
    found = true;
  }
  if (!found) items.push_back(item);
}

// What was there goes behind what the patch brought, and out of it. An item that lacks a key counts for all that agree
// with it in the keys before.
void append_rest(std::vector<Value>& out, const std::vector<Value>& rest, const std::vector<std::string>& names) {
  for (const Value& item : rest) {
    std::vector<std::string> own;
    ItemKey key;
    for (const std::string& name : names) {
      if (!item.contains(name)) break;
      own.push_back(name);
      key.push_back(item[name].scalar_text());
    }
    if (own.empty()) {  // kustomize forgets what stood before an item that nothing names
      out.assign(1, item);
      continue;
    }
    if (names.size() > 1) std::erase_if(out, [&](const Value& one) { return has(one, own, key); });
    put(out, item, own, key);
  }
}

// Of several merge keys only those count that some item has.
std::vector<std::string> names_in_use(const Value& before, const Value& patch, const std::vector<std::string>& names) {
  std::vector<std::string> out;
  for (const std::string& name : names) {
    const auto has_it = [&](const Value& item) { return !item[name].scalar_text().empty(); };
    const auto old = before.items(), added = patch.items();
    if (std::any_of(old.begin(), old.end(), has_it) || std::any_of(added.begin(), added.end(), has_it))
      out.push_back(name);
  }
  return out.empty() ? names : out;
}

Result<Value> merge_keyed_lists(const Value& before, const Value& patch, const MergeSchema& schema) {
  for (const Value& item : patch.items()) {
    const std::string_view directive = TRY(directive_of(item));
    if (directive != "replace") continue;
    Value out = Value::list();
    for (const Value& kept : patch.items()) {
      if (!kept.contains(kDirective)) out.push_back(kept);
    }
    return out;
  }
  for (const Value& item : patch.items()) {
    if (!item.is_map())
      return Error{ErrorCode::invalid, "an item of a list merged by " + schema.merge_keys()[0] + " must be a map"};
  }
  const std::vector<std::string> names = names_in_use(before, patch, schema.merge_keys());
  std::vector<Value> rest(before.items().begin(), before.items().end()), out;
  if (before.empty()) {
    for (const Value& item : patch.items()) {
      const ItemKey key = key_of(item, names);
      const bool nameless = std::all_of(key.begin(), key.end(), [](const std::string& part) { return part.empty(); });
      if (nameless) rest.push_back(TRY(added(item, schema.item())));
    }
  }
  for (const ItemKey& key : keys_of(patch, before, names)) {
    const std::size_t old = index_of(rest, names, key), added_at = index_of(patch.items(), names, key);
    const Value* change = added_at < patch.size() ? &patch[added_at] : nullptr;
    Value merged = old < rest.size() ? rest[old] : Value();
    if (change != nullptr)
      merged = TRY(old < rest.size() ? merge(&rest[old], *change, schema.item()) : added(*change, schema.item()));
    if (merged.is_null() || merged.empty()) {
      std::erase_if(rest, [&](const Value& one) { return has(one, names, key); });
      continue;
    }
    if (old < rest.size()) rest[old] = merged;
    put(out, merged, names, key);
  }
  append_rest(out, rest, names);
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
