// SPDX-License-Identifier: Apache-2.0
// FieldSet: which fields of an object somebody owns, as metadata.managedFields writes them (fieldsV1). A path element
// is kept as its text there: "f:spec", "k:{\"name\":\"web\"}", "v:\"a\"". Follows sigs.k8s.io/structured-merge-diff v4
// (fieldpath). Plain value.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/schema/field.h"
#include "core/document/value.h"

namespace caisson::apiserver {

struct FieldSet {
  struct Child;
  bool member = false;          // the place itself is in the set
  std::vector<Child> children;  // sorted by element, each once

  bool empty() const { return !member && children.empty(); }
  const FieldSet* find(std::string_view element) const;  // null: nothing there
  FieldSet* find(std::string_view element);
  // What is below `element`, made (empty) when absent; valid until another child comes or goes. `element` is interned
  // (field_element, item_element, or a key of a Value).
  FieldSet& at(std::string_view element);
  void erase(std::string_view element);
  void unite(FieldSet other);
  void subtract(const FieldSet& other);  // exactly the paths of `other`
  FieldSet intersection(const FieldSet& other) const;
  std::vector<std::string> paths() const;  // ".spec.containers[name=\"web\"].image", sorted
  bool operator==(const FieldSet& other) const;

  static FieldSet from_value(const Value& fields_v1);
  Value to_value() const;
};
struct FieldSet::Child {
  std::string_view element;  // interned
  FieldSet fields;
  bool operator==(const Child&) const = default;
};

// How server-side apply treats a value: as one, by key, as entries of a list by their keys, or as a set of scalars.
enum class Shape { leaf, map, list_map, list_set };
Shape shape_of(const schema::Field* field, const Value& value);
const schema::Field* field_below(const schema::Field* field, std::string_view key);  // null: nothing is known of it
bool is_named_field(const schema::Field* field, std::string_view key);               // declared, not an entry of a map
// The path element of a list's item, interned; empty when it lacks a key that has no default.
std::string_view item_element(const schema::Field* list, Shape shape, const Value& item);
// "f:spec" of a Value's key (or another interned text), interned.
std::string_view field_element(std::string_view key);

// Every field that `value` sets (an applied configuration).
void collect(const schema::Field* field, const Value& value, FieldSet& set);

struct Comparison {
  FieldSet added, removed, modified;
  bool same() const { return added.empty() && removed.empty() && modified.empty(); }
};
// From `before` to `after`; null pointers: not there.
Comparison compare(const schema::Field* field, const Value* before, const Value* after);

// Elements that nobody owns, of the object and of its metadata.
struct Unowned {
  std::span<const std::string_view> top, metadata;
};
// What the creator of `object` owns, as to_value writes it: what `compare(&root, &nothing, &object)` has added and
// modified, without `unowned` and the places of object and metadata themselves. `nothing` has no items in its lists.
Value created_fields(const schema::Field& root, const Value& nothing, const Value& object, const Unowned& unowned);

// `config` laid over `live`; lists of type map keep live's order, new items come at the end.
Value merge_configuration(const schema::Field* field, const Value& live, const Value& config);
// `value` without what `last` has and `owned` has not: what an applier gave up and nobody else owns.
Value without_abandoned(const schema::Field* field, Value value, const FieldSet& last, const FieldSet& owned);

}  // namespace caisson::apiserver
