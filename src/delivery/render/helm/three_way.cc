// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/helm/three_way.h"

#include <algorithm>

namespace caisson::render::helm {
namespace {

using document::MergeSchema;

// The merge key that the items have: the first of the schema's.
std::string_view key_of(const MergeSchema* schema) {
  return schema != nullptr && !schema->merge_keys().empty() ? std::string_view(schema->merge_keys()[0])
                                                            : std::string_view();
}

const Value* item_with(const Value& list, std::string_view key, const Value& wanted) {
  for (const Value& item : list.items()) {
    if (item[key] == wanted) return &item;
  }
  return nullptr;
}

bool contains(const Value& list, const Value& wanted) {
  const auto items = list.items();
  return std::find(items.begin(), items.end(), wanted) != items.end();
}

Value merge_keyed(const Value& original, const Value& modified, const Value& live, std::string_view key,
                  const MergeSchema* schema) {
  Value out = Value::list();
  for (const Value& item : modified.items()) {
    const Value* there = item_with(live, key, item[key]);
    const Value* before = item_with(original, key, item[key]);
    out.push_back(there == nullptr ? item
                                   : three_way_merge(before == nullptr ? Value() : *before, item, *there, schema));
  }
  for (const Value& item : live.items()) {  // what the cluster has added
    if (item_with(modified, key, item[key]) == nullptr && item_with(original, key, item[key]) == nullptr)
      out.push_back(item);
  }
  return out;
}

Value merge_set(const Value& original, const Value& modified, const Value& live) {
  Value out = modified;
  for (const Value& item : live.items()) {
    if (!contains(modified, item) && !contains(original, item)) out.push_back(item);
  }
  return out;
}

Value merge_list(const Value& original, const Value& modified, const Value& live, const MergeSchema* schema) {
  if (const std::string_view key = key_of(schema); !key.empty())
    return merge_keyed(original, modified, live, key, schema->item());
  if (schema != nullptr && schema->merges_as_set()) return merge_set(original, modified, live);
  return modified;
}

}  // namespace

Value three_way_merge(const Value& original, const Value& modified, Value live, const MergeSchema* schema) {
  for (const auto& [key, value] : original.entries()) {
    if (!modified.contains(key)) live.erase(key);
  }
  for (const auto& [key, value] : modified.entries()) {
    const MergeSchema* inner = schema == nullptr ? nullptr : schema->field(key);
    const Value* there = live.find(key);
    if (value.is_null()) {
      live.erase(key);
    } else if (there != nullptr && value.is_map() && there->is_map()) {
      Value& place = live.edit(key);
      place = three_way_merge(original[key], value, std::move(place), inner);
    } else if (there != nullptr && value.is_list() && there->is_list()) {
      live.set(key, merge_list(original[key], value, *there, inner));
    } else {
      live.set(key, value);
    }
  }
  return live;
}

}  // namespace caisson::render::helm
