// SPDX-License-Identifier: Apache-2.0
// Kubernetes' strategic merge patch. Source of the behaviour: apimachinery 1.33, pkg/util/strategicpatch/patch.go, and
// sig-api-machinery's strategic-merge-patch.md.
#include <algorithm>
#include <string>

#include "core/document/json.h"
#include "core/document/patch.h"

namespace caisson::document {
namespace {

constexpr std::string_view kDirective = "$patch";
constexpr std::string_view kRetainKeys = "$retainKeys";
constexpr std::string_view kSetElementOrder = "$setElementOrder/";
constexpr std::string_view kDeleteFromPrimitiveList = "$deleteFromPrimitiveList/";

Error bad(const std::string& path, const std::string& why) {
  return Error{ErrorCode::bad_request, (path.empty() ? "strategic merge patch" : path) + ": " + why};
}
std::string below(const std::string& path, std::string_view name) {
  return path.empty() ? std::string(name) : path + "." + std::string(name);
}

bool is_directive(std::string_view key) {
  return key == kDirective || key == kRetainKeys || key.starts_with(kSetElementOrder) ||
         key.starts_with(kDeleteFromPrimitiveList);
}

bool same_item(const Value& a, const Value& b, const std::vector<std::string>& keys) {
  return std::all_of(keys.begin(), keys.end(), [&](const std::string& key) { return a[key] == b[key]; });
}

// Of several keys ("containerPort,protocol") an item is known by those that the patch's item has; the first must be
// there.
std::vector<std::string> keys_of(const Value& item, const std::vector<std::string>& keys) {
  std::vector<std::string> present;
  for (const std::string& key : keys) {
    if (item.contains(key)) present.push_back(key);
  }
  return present;
}

Result<Value> merge_map(Value document, const Value& patch, const MergeSchema* schema, const std::string& path);

// What a patch is without its directives: for a place where there was nothing before.
Result<Value> plain(const Value& patch, const MergeSchema* schema, const std::string& path) {
  if (patch.is_map()) return merge_map(Value::map(), patch, schema, path);
  return patch;
}

struct ListMerge {
  const MergeSchema* item_schema;
  const std::vector<std::string>& keys;
  const std::string& path;

  Result<Value> run(Value document, const Value& patch) const {
    // A {$patch: replace} item makes the rest of the patch the whole list.
    for (const Value& item : patch.items()) {
      if (item[kDirective].as_string() == "replace") return replaced(patch);
    }
    const Value original = document;
    for (std::size_t i = 0; i < patch.size(); ++i) {
      const Value& item = patch[i];
      const std::string at = path + "[" + std::to_string(i) + "]";
      if (!item.is_map()) return bad(at, "must be a map, for the list is merged by " + keys[0]);
      const std::vector<std::string> known_by = keys_of(item, keys);
      if (known_by.empty()) return bad(at, "has no merge key " + keys[0] + ": " + json::write(item));
      const std::string_view directive = item[kDirective].as_string();
      if (directive == "delete") {
        erase_all(document, item, known_by);
      } else if (directive.empty() || directive == "merge") {
        TRY(merge_item(document, item, known_by, at));
      } else {
        return bad(at, "unknown directive $patch: " + std::string(directive));
      }
    }
    return in_order(original, document, patch);
  }

 private:
  // What the patch names comes in the patch's order, the rest in the document's; the rest goes first only where it
  // stood before (normalizeElementOrder of apimachinery's strategicpatch).
  Value in_order(const Value& original, const Value& merged, const Value& patch) const {
    const auto index_of = [](const Value& list, const Value& item, const std::vector<std::string>& known_by) {
      std::size_t i = 0;
      while (i < list.size() && !same_item(list[i], item, known_by)) ++i;
      return i;
    };
    std::vector<Value> named, rest, out;
    std::vector<bool> taken(merged.size());
    for (const Value& item : patch.items()) {
      const std::size_t at = index_of(merged, item, keys_of(item, keys));
      if (at == merged.size() || taken[at]) continue;
      taken[at] = true;
      named.push_back(merged[at]);
    }
    for (std::size_t i = 0; i < merged.size(); ++i)
      if (!taken[i]) rest.push_back(merged[i]);
    std::size_t r = 0;
    for (const Value& item : named) {
      const std::size_t stood = index_of(original, item, keys_of(item, keys));
      while (r < rest.size() && stood < original.size() && index_of(original, rest[r], keys_of(rest[r], keys)) < stood)
        out.push_back(rest[r++]);
      out.push_back(item);
    }
    out.insert(out.end(), rest.begin() + static_cast<std::ptrdiff_t>(r), rest.end());
    return Value(std::move(out));
  }

  Result<Value> replaced(const Value& patch) const {
    Value out = Value::list();
    for (const Value& item : patch.items()) {
      if (item.contains(kDirective)) continue;
      out.push_back(TRY(plain(item, item_schema, path)));
    }
    return out;
  }

  static void erase_all(Value& document, const Value& item, const std::vector<std::string>& known_by) {
    for (std::size_t i = document.size(); i > 0; --i) {
      if (same_item(document[i - 1], item, known_by)) document.erase_at(i - 1);
    }
  }

  Result<void> merge_item(Value& document, const Value& item, const std::vector<std::string>& known_by,
                          const std::string& at) const {
    for (std::size_t i = 0; i < document.size(); ++i) {
      if (!same_item(document[i], item, known_by)) continue;
      Value& place = document.edit(i);
      place = TRY(merge_map(std::exchange(place, Value()), item, item_schema, at));
      return {};
    }
    document.push_back(TRY(plain(item, item_schema, at)));
    return {};
  }
};

// Items that `order` names come in its order; the others keep their place after the item that preceded them.
Value ordered(const Value& list, const Value& order, const std::vector<std::string>& keys) {
  const auto position = [&](const Value& item) -> std::size_t {
    for (std::size_t i = 0; i < order.size(); ++i) {
      if (keys.empty() ? order[i] == item : same_item(order[i], item, keys)) return i;
    }
    return order.size();
  };
  std::vector<Value> named, out;
  for (const Value& item : list.items()) {
    if (position(item) < order.size()) named.push_back(item);
  }
  std::stable_sort(named.begin(), named.end(),
                   [&](const Value& a, const Value& b) { return position(a) < position(b); });
  std::size_t next = 0;
  for (const Value& item : list.items()) out.push_back(position(item) < order.size() ? named[next++] : item);
  return Value(std::move(out));
}

Result<void> merge_member(Value& document, std::string_view key, const Value& patch, const MergeSchema* schema,
                          const std::string& path) {
  const Value* before = document.find(key);
  if (patch.is_null()) {
    document.erase(key);
    return {};
  }
  if (patch.is_map()) {
    // Upstream drops what says how to treat a map that isn't there.
    const std::string_view directive = patch[kDirective].as_string();
    if (before == nullptr && (directive == "replace" || directive == "delete")) return {};
    const bool merges = before != nullptr && before->is_map();
    Value& place = document.edit(key);
    Value start = merges ? std::exchange(place, Value()) : Value::map();
    place = TRY(merge_map(std::move(start), patch, schema, path));
    return {};
  }
  const bool by_key = schema != nullptr && !schema->merge_keys().empty();
  if (patch.is_list() && by_key) {
    const ListMerge merge{schema->item(), schema->merge_keys(), path};
    Value& place = document.edit(key);
    Value start = place.is_list() ? std::exchange(place, Value()) : Value::list();
    place = TRY(merge.run(std::move(start), patch));
    return {};
  }
  if (patch.is_list() && schema != nullptr && schema->merges_as_set() && before != nullptr && before->is_list()) {
    Value& place = document.edit(key);
    for (const Value& item : patch.items()) {
      const auto have = place.items();
      if (std::find(have.begin(), have.end(), item) == have.end()) place.push_back(item);
    }
    return {};
  }
  document.set(key, patch);
  return {};
}

Result<void> apply_list_directives(Value& document, const Value& patch, const MergeSchema* schema,
                                   const std::string& path) {
  for (const MapEntry& entry : patch.entries()) {
    const std::string_view directive = entry.key;
    if (!directive.starts_with(kDeleteFromPrimitiveList)) continue;
    const std::string_view key = directive.substr(kDeleteFromPrimitiveList.size());
    if (!entry.value.is_list()) return bad(below(path, directive), "must be a list");
    if (!document[key].is_list()) continue;
    Value& list = document.edit(key);
    for (std::size_t i = list.size(); i > 0; --i) {
      const auto gone = entry.value.items();
      if (std::find(gone.begin(), gone.end(), list[i - 1]) != gone.end()) list.erase_at(i - 1);
    }
  }
  for (const MapEntry& entry : patch.entries()) {
    const std::string_view directive = entry.key;
    if (!directive.starts_with(kSetElementOrder)) continue;
    const std::string_view key = directive.substr(kSetElementOrder.size());
    if (!entry.value.is_list()) return bad(below(path, directive), "must be a list");
    if (!document[key].is_list()) continue;
    const MergeSchema* field = schema != nullptr ? schema->field(key) : nullptr;
    static const std::vector<std::string> kNone;
    Value& place = document.edit(key);
    place = ordered(place, entry.value, field != nullptr ? field->merge_keys() : kNone);
  }
  return {};
}

Result<Value> merge_map(Value document, const Value& patch, const MergeSchema* schema, const std::string& path) {
  const std::string_view directive = patch[kDirective].as_string();
  if (patch.contains(kDirective) && directive != "replace" && directive != "delete" && directive != "merge") {
    return bad(path, "unknown directive $patch: " + json::write(patch[kDirective]));
  }
  if (directive == "delete") return Value::map();
  if (directive == "replace") {
    Value out = patch;
    out.erase(kDirective);
    return out;
  }
  if (const Value* retained = patch.find(kRetainKeys)) {
    if (!retained->is_list()) return bad(below(path, kRetainKeys), "must be a list of names");
    std::vector<std::string> gone;
    for (const MapEntry& entry : document.entries()) {
      const auto names = retained->items();
      if (std::find(names.begin(), names.end(), Value(std::string_view(entry.key))) == names.end())
        gone.emplace_back(entry.key);
    }
    for (const std::string& key : gone) document.erase(key);
  }
  if (!document.is_map()) document = Value::map();
  for (const MapEntry& entry : patch.entries()) {
    if (is_directive(entry.key)) continue;
    const MergeSchema* field = schema != nullptr ? schema->field(entry.key) : nullptr;
    TRY(merge_member(document, entry.key, entry.value, field, below(path, entry.key)));
  }
  TRY(apply_list_directives(document, patch, schema, path));
  return document;
}

}  // namespace

Result<Value> strategic_merge(Value document, const Value& patch, const MergeSchema* schema) {
  if (!patch.is_map()) return bad("", "must be a map");
  return merge_map(std::move(document), patch, schema, "");
}

}  // namespace caisson::document
