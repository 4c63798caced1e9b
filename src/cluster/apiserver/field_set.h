// SPDX-License-Identifier: Apache-2.0
// FieldSet: which fields of an object somebody owns, as metadata.managedFields writes them (fieldsV1). A path element
// is kept as its text there: "f:spec", "k:{\"name\":\"web\"}", "v:\"a\"". Follows sigs.k8s.io/structured-merge-diff v4
// (fieldpath). Plain value.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/schema/field.h"
#include "core/document/value.h"

namespace caisson::apiserver {

struct FieldSet {
  bool member = false;  // the place itself is in the set
  std::map<std::string, FieldSet, std::less<>> children;

  bool empty() const { return !member && children.empty(); }
  const FieldSet* find(std::string_view element) const;
  void unite(FieldSet other);
  void subtract(const FieldSet& other);  // exactly the paths of `other`
  FieldSet intersection(const FieldSet& other) const;
  std::vector<std::string> paths() const;  // ".spec.containers[name=\"web\"].image", sorted
  bool operator==(const FieldSet&) const = default;

  static FieldSet from_value(const Value& fields_v1);
  Value to_value() const;
};

// How server-side apply treats a value: as one, by key, as entries of a list by their keys, or as a set of scalars.
enum class Shape { leaf, map, list_map, list_set };
Shape shape_of(const schema::Field* field, const Value& value);
const schema::Field* field_below(const schema::Field* field, std::string_view key);  // null: nothing is known of it
bool is_named_field(const schema::Field* field, std::string_view key);               // declared, not an entry of a map
// The path element of a list's item; empty when it lacks a key that has no default.
std::string item_element(const schema::Field* list, Shape shape, const Value& item);
std::string field_element(std::string_view key);

// Every field that `value` sets (an applied configuration).
void collect(const schema::Field* field, const Value& value, FieldSet& set);

struct Comparison {
  FieldSet added, removed, modified;
  bool same() const { return added.empty() && removed.empty() && modified.empty(); }
};
// From `before` to `after`; null pointers: not there.
Comparison compare(const schema::Field* field, const Value* before, const Value* after);

// `config` laid over `live`; lists of type map keep live's order, new items come at the end.
Value merge_configuration(const schema::Field* field, const Value& live, const Value& config);
// `value` without what `last` has and `owned` has not: what an applier gave up and nobody else owns.
Value without_abandoned(const schema::Field* field, Value value, const FieldSet& last, const FieldSet& owned);

}  // namespace caisson::apiserver
