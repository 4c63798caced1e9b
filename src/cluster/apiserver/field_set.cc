// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/field_set.h"

#include <algorithm>
#include <array>
#include <map>

#include "core/document/json.h"
#include "core/document/make_map.h"

namespace caisson::apiserver {
namespace {

using schema::Field;
using schema::FieldType;
using schema::ListType;

// "k:{\"name\":\"web\"}" as people read it: [name="web"].
std::string readable(std::string_view element) {
  const std::string_view rest = element.substr(std::min<std::size_t>(2, element.size()));
  if (element.starts_with("f:")) return "." + std::string(rest);
  if (element.starts_with("v:")) return "[=" + std::string(rest) + "]";
  if (element.starts_with("i:")) return "[" + std::string(rest) + "]";
  const auto keys = json::parse(rest);
  if (!keys.ok()) return "[" + std::string(rest) + "]";
  std::string text;
  for (const auto& [key, value] : keys->entries())
    text += (text.empty() ? "" : ",") + std::string(key) + "=" + json::write(value);
  return "[" + text + "]";
}

void add_paths(const FieldSet& set, const std::string& path, std::vector<std::string>& out) {
  if (set.member) out.push_back(path);
  for (const auto& [element, child] : set.children) add_paths(child, path + readable(element), out);
}

// Where `element` stands, or would.
template <class Children>
auto place_of(Children& children, std::string_view element) {
  return std::lower_bound(children.begin(), children.end(), element,
                          [](const FieldSet::Child& child, std::string_view wanted) { return child.element < wanted; });
}

template <class Children>
auto child_of(Children& children, std::string_view element) -> decltype(&children.front().fields) {
  const auto it = place_of(children, element);
  return it == children.end() || it->element != element ? nullptr : &it->fields;
}

}  // namespace

bool FieldSet::operator==(const FieldSet& other) const {
  return member == other.member && children == other.children;
}

const FieldSet* FieldSet::find(std::string_view element) const {
  return child_of(children, element);
}
FieldSet* FieldSet::find(std::string_view element) {
  return child_of(children, element);
}

FieldSet& FieldSet::at(std::string_view element) {
  const auto it = place_of(children, element);
  if (it != children.end() && it->element == element) return it->fields;
  return children.insert(it, Child{element, {}})->fields;
}

void FieldSet::erase(std::string_view element) {
  const auto it = place_of(children, element);
  if (it != children.end() && it->element == element) children.erase(it);
}

void FieldSet::unite(FieldSet other) {
  member = member || other.member;
  if (children.empty()) {
    children = std::move(other.children);
    return;
  }
  for (Child& child : other.children) at(child.element).unite(std::move(child.fields));
}

void FieldSet::subtract(const FieldSet& other) {
  if (other.member) member = false;
  for (const Child& child : other.children) {
    const auto it = place_of(children, child.element);
    if (it == children.end() || it->element != child.element) continue;
    it->fields.subtract(child.fields);
    if (it->fields.empty()) children.erase(it);
  }
}

FieldSet FieldSet::intersection(const FieldSet& other) const {
  FieldSet result;
  result.member = member && other.member;
  for (const Child& child : children) {
    const FieldSet* theirs = other.find(child.element);
    if (!theirs) continue;
    FieldSet common = child.fields.intersection(*theirs);
    if (!common.empty()) result.children.push_back({child.element, std::move(common)});
  }
  return result;
}

std::vector<std::string> FieldSet::paths() const {
  std::vector<std::string> out;
  add_paths(*this, "", out);
  return out;
}

FieldSet FieldSet::from_value(const Value& fields) {
  FieldSet set;
  set.children.reserve(fields.size());
  for (const auto& [element, below] : fields.entries()) {
    if (element == ".") {
      set.member = true;
      continue;
    }
    FieldSet child = from_value(below);
    if (below.empty()) child.member = true;
    // As this program writes them they are in order; what a client wrote may not be.
    if (set.children.empty() || set.children.back().element < element)
      set.children.push_back({element, std::move(child)});
    else
      set.at(element) = std::move(child);
  }
  return set;
}

Value FieldSet::to_value() const {
  std::vector<document::MapEntry> fields;
  fields.reserve(children.size() + 1);
  if (member && !children.empty()) fields.push_back({document::intern("."), Value::map()});
  for (const Child& child : children) fields.push_back({child.element, child.fields.to_value()});
  return document::map_of(std::move(fields));
}

std::string_view field_element(std::string_view key) {
  // Keys are known by their address, and the same few are asked for all the time.
  struct Known {
    const char* key = nullptr;
    std::string_view element;
  };
  thread_local std::array<Known, 256> cache{};
  Known& known = cache[(reinterpret_cast<std::uintptr_t>(key.data()) >> 3) % cache.size()];
  if (known.key != key.data() || known.element.substr(std::min<std::size_t>(2, known.element.size())) != key)
    known = {key.data(), document::intern("f:" + std::string(key))};
  return known.element;
}

Shape shape_of(const Field* field, const Value& value) {
  if (value.is_map()) return field && field->atomic_map ? Shape::leaf : Shape::map;
  if (!value.is_list() || !field || field->type != FieldType::list) return Shape::leaf;
  if (field->list_type == ListType::map && !field->list_keys.empty()) return Shape::list_map;
  return field->list_type == ListType::set ? Shape::list_set : Shape::leaf;
}

const Field* field_below(const Field* field, std::string_view key) {
  if (!field) return nullptr;
  if (const schema::Member* member = field->member(key)) return member->field;
  return field->type == FieldType::map ? field->element : nullptr;
}

bool is_named_field(const Field* field, std::string_view key) {
  return field && field->member(key) != nullptr;
}

std::string_view item_element(const Field* list, Shape shape, const Value& item) {
  if (shape == Shape::list_set) return document::intern("v:" + json::write(item));
  std::vector<std::string> names = list->list_keys;
  std::sort(names.begin(), names.end());
  std::string keys = "k:";
  for (const std::string& name : names) {
    const Value* value = item.find(name);
    if (!value || value->is_null()) {
      const schema::Member* member = list->element ? list->element->member(name) : nullptr;
      if (!member || !member->field->has_default) continue;
      value = &member->field->default_value;
    }
    keys += keys.size() == 2 ? "{" : ",";
    json::append_string(keys, name);
    keys += ':';
    json::append(keys, *value);
  }
  return document::intern(keys.size() == 2 ? std::string() : keys + "}");
}

void collect(const Field* field, const Value& value, FieldSet& set) {
  const Shape shape = shape_of(field, value);
  if (shape == Shape::map) {
    for (const auto& [key, child] : value.entries()) {
      const Field* below = field_below(field, key);
      FieldSet& place = set.at(field_element(key));
      if (child.is_null() || (child.is_map() && child.empty()) || !is_named_field(field, key) ||
          shape_of(below, child) == Shape::leaf)
        place.member = true;
      if (shape_of(below, child) != Shape::leaf) collect(below, child, place);
      if (place.empty()) set.erase(field_element(key));
    }
  } else if (shape != Shape::leaf) {
    for (const Value& item : value.items()) {
      FieldSet& place = set.at(item_element(field, shape, item));
      place.member = true;
      if (shape == Shape::list_map) collect(field->element, item, place);
    }
  }
}

namespace {

// Most of what it walks over is equal: the text of a path and its places in the sets are made for what differs.
class Comparer {
 public:
  Comparison result;

  void walk(const Field* field, const Value* before, const Value* after) {
    const bool was = before != nullptr, is = after != nullptr;  // a null is there, with nothing in it
    if (before && before->is_null()) before = nullptr;
    if (after && after->is_null()) after = nullptr;
    if (!before && !after) {
      if (is && !was) insert(added_);
      if (was && !is) insert(removed_);
      return;
    }
    if (before && after && before->shares_with(*after)) return;
    const bool both_empty = (!before || before->empty()) && (!after || after->empty());
    const Shape of_before = before ? shape_of(field, *before) : Shape::leaf,
                of_after = after ? shape_of(field, *after) : Shape::leaf;
    const Shape shape = after ? of_after : of_before;
    if (both_empty || shape == Shape::leaf || (before && after && of_before != of_after)) return leaf(before, after);
    if (shape == Shape::map)
      walk_map(field, before, after);
    else
      walk_list(field, shape, before, after);
    if (!was)
      insert(added_);
    else if (!is)
      insert(removed_);
  }

 private:
  using Trail = std::vector<FieldSet*>;  // the places in one set of the first steps of path_, from its root on

  // A child that comes moves its siblings, none of which a trail holds: it holds the way to here alone.
  void insert(Trail& trail) {
    for (std::size_t i = trail.size() - 1; i < path_.size(); ++i) trail.push_back(&trail.back()->at(path_[i]));
    trail.back()->member = true;
  }
  void leaf(const Value* before, const Value* after) {
    if (!before)
      insert(added_);
    else if (!after)
      insert(removed_);
    else if (!(*before == *after))
      insert(modified_);
  }
  void descend(std::string_view element, const Field* field, const Value* before, const Value* after) {
    path_.push_back(element);
    walk(field, before, after);
    for (Trail* trail : {&added_, &removed_, &modified_})
      if (trail->size() > path_.size()) trail->pop_back();
    path_.pop_back();
  }
  void walk_map(const Field* field, const Value* before, const Value* after) {
    if (before)
      for (const auto& [key, value] : before->entries())
        descend(field_element(key), field_below(field, key), &value, after ? after->find(key) : nullptr);
    if (!after) return;
    for (const auto& [key, value] : after->entries())
      if (!before || !before->contains(key)) descend(field_element(key), field_below(field, key), nullptr, &value);
  }
  void walk_list(const Field* field, Shape shape, const Value* before, const Value* after) {
    std::map<std::string_view, std::pair<const Value*, const Value*>> items;
    if (before)
      for (const Value& item : before->items()) items[item_element(field, shape, item)].first = &item;
    if (after)
      for (const Value& item : after->items()) items[item_element(field, shape, item)].second = &item;
    for (const auto& [element, pair] : items)
      descend(element, shape == Shape::list_map ? field->element : nullptr, pair.first, pair.second);
  }

  std::vector<std::string_view> path_;  // elements, interned
  Trail added_{&result.added}, removed_{&result.removed}, modified_{&result.modified};
};

}  // namespace

Comparison compare(const Field* field, const Value* before, const Value* after) {
  Comparer comparer;
  comparer.walk(field, before, after);
  return std::move(comparer.result);
}

namespace {

bool is_one_of(std::span<const std::string_view> elements, std::string_view element) {
  return std::find(elements.begin(), elements.end(), element) != elements.end();
}

// As Comparer walks, but what it would have added or modified is written at once. `before` holds no items of lists.
std::optional<Value> created(const Field* field, const Value* before, const Value& after,
                             std::span<const std::string_view> without = {}) {
  const bool was = before != nullptr;
  const auto owned = [](bool here) { return here ? std::optional(Value::map()) : std::nullopt; };
  if (after.is_null()) return owned(!was);
  if (before && before->is_null()) before = nullptr;
  if (before && before->shares_with(after)) return std::nullopt;
  const Shape shape = shape_of(field, after);
  const bool both_empty = (!before || before->empty()) && after.empty();
  if (both_empty || shape == Shape::leaf || (before && shape_of(field, *before) != shape))
    return owned(!before || !(*before == after));
  std::vector<document::MapEntry> fields;
  fields.reserve(after.size() + 1);
  if (!was) fields.push_back({document::intern("."), Value::map()});
  for (const auto& [key, child] : after.entries()) {
    const std::string_view element = field_element(key);
    if (is_one_of(without, element)) continue;
    if (auto below = created(field_below(field, key), before ? before->find(key) : nullptr, child))
      fields.push_back({element, *std::move(below)});
  }
  for (const Value& item : after.items())
    if (auto below = created(shape == Shape::list_map ? field->element : nullptr, nullptr, item))
      fields.push_back({item_element(field, shape, item), *std::move(below)});
  if (fields.size() == (was ? 0 : 1)) return owned(!was);
  std::sort(fields.begin(), fields.end(), [](const auto& a, const auto& b) { return a.key < b.key; });
  return document::map_of(std::move(fields));
}

}  // namespace

Value created_fields(const Field& root, const Value& nothing, const Value& object, const Unowned& unowned) {
  std::vector<document::MapEntry> fields;
  for (const auto& [key, child] : object.entries()) {
    const std::string_view element = field_element(key);
    if (is_one_of(unowned.top, element)) continue;
    const bool metadata = key == "metadata";
    const Value* before = nothing.find(key);
    if (!before && metadata) before = &document::kNull;  // nobody owns the place itself
    auto below = metadata ? created(field_below(&root, key), before, child, unowned.metadata)
                          : created(field_below(&root, key), before, child);
    if (below && !(metadata && below->empty())) fields.push_back({element, *std::move(below)});
  }
  std::sort(fields.begin(), fields.end(), [](const auto& a, const auto& b) { return a.key < b.key; });
  return document::map_of(std::move(fields));
}

Value merge_configuration(const Field* field, const Value& live, const Value& config) {
  const Shape shape = shape_of(field, config);
  if (live.is_null() || shape == Shape::leaf || shape_of(field, live) != shape) return config;
  Value result = live;
  if (shape == Shape::map) {
    for (const auto& [key, value] : config.entries()) {
      const Value& under = live[key];
      result.set(key, under.is_null() ? value : merge_configuration(field_below(field, key), under, value));
    }
    return result;
  }
  std::map<std::string_view, std::size_t> places;
  for (std::size_t i = 0; i < live.size(); ++i) places.emplace(item_element(field, shape, live[i]), i);
  for (const Value& item : config.items()) {
    const auto it = places.find(item_element(field, shape, item));
    if (it == places.end())
      result.push_back(item);
    else if (shape == Shape::list_map)
      result.edit(it->second) = merge_configuration(field->element, live[it->second], item);
  }
  return result;
}

Value without_abandoned(const Field* field, Value value, const FieldSet& last, const FieldSet& owned) {
  static const FieldSet none;
  const Shape shape = shape_of(field, value);
  if (shape == Shape::leaf) return value;
  const auto gone = [&](std::string_view element, bool named) {
    const FieldSet* mine = last.find(element);
    if (!mine || !(mine->member || (named && !mine->children.empty()))) return false;
    const FieldSet* other = owned.find(element);
    return !other || !(other->member || (named && !other->children.empty()));
  };
  if (shape == Shape::map) {
    std::vector<std::string_view> keys;
    for (const auto& [key, child] : value.entries()) keys.push_back(key);
    for (const std::string_view key : keys) {
      const std::string_view element = field_element(key);
      const FieldSet* mine = last.find(element);
      if (!mine) continue;
      const FieldSet* other = owned.find(element);
      if (gone(element, is_named_field(field, key)))
        value.erase(key);
      else
        value.set(key, without_abandoned(field_below(field, key), value[key], *mine, other ? *other : none));
    }
    return value;
  }
  for (std::size_t i = value.size(); i-- > 0;) {
    const std::string_view element = item_element(field, shape, value[i]);
    const FieldSet* mine = last.find(element);
    if (!mine) continue;
    const FieldSet* other = owned.find(element);
    if (gone(element, false))
      value.erase_at(i);
    else if (shape == Shape::list_map)
      value.edit(i) = without_abandoned(field->element, value[i], *mine, other ? *other : none);
  }
  return value;
}

}  // namespace caisson::apiserver
