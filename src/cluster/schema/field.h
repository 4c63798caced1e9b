// SPDX-License-Identifier: Apache-2.0
// Field: what is known of one place in a document: its type, how lists and maps merge, its default and its bounds. A
// kind is a Field (its root); named types (PodSpec) exist once and are shared by every field that has them.
//
// Follows Kubernetes' structural schemas: x-kubernetes-list-type, -list-map-keys, -map-type, -patch-strategy,
// -patch-merge-key, -preserve-unknown-fields, -int-or-string. Invariant: never changes once its Schema or CRD is built;
// a Field lives as long as the KindSchema that reaches it (hold the shared_ptr). Threads: any.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/document/patch.h"
#include "core/document/value.h"

namespace caisson::schema {

enum class FieldType : std::uint8_t { any, boolean, integer, number, string, int_or_string, list, map, object };
// What a string (or number) stands for beyond its type; validation and canonical form follow from it.
enum class Format : std::uint8_t {
  none,
  int32,
  int64,
  float_,
  double_,
  time,
  micro_time,
  quantity,
  byte,
  duration,
  other
};
enum class ListType : std::uint8_t { atomic, set, map };

class Field;
struct Member {
  std::string_view name;  // interned
  const Field* field;
  bool required = false;    // published as required; of a custom kind, also checked
  bool non_empty = false;   // checked: absent, "", 0 items are "Required value"
  bool omits_zero = false;  // Go can't tell false, 0 and "" from an absent value, and leaves them out
};

// A named (or anonymous) object type. Members are sorted by name.
struct ObjectType {
  std::string name;  // "io.k8s.api.core.v1.PodSpec"; empty: anonymous
  std::vector<Member> members;
  bool preserve_unknown = false;   // x-kubernetes-preserve-unknown-fields
  bool embedded_resource = false;  // apiVersion, kind and metadata are checked as of an object
  bool atomic = false;             // x-kubernetes-map-type: atomic
  bool in_crd = false;             // made from a CustomResourceDefinition's schema, or checked like one
  // Whether a default or a quantity stands anywhere below: walks leave out what has none (compile.h, mark_walks).
  bool fills = true, has_quantities = true;
  // Defaults that depend on other fields (derive.cc); `out` is set when something changes. Null for most.
  void (*derive)(const Value& before, std::optional<Value>& out) = nullptr;
  const Member* find(std::string_view name) const;
};

// Bounds that few fields have.
struct Constraints {
  std::vector<Value> allowed;  // enum
  std::optional<double> minimum, maximum;
  bool exclusive_minimum = false, exclusive_maximum = false;
  std::optional<std::int64_t> length_min, length_max, items_min, items_max, properties_min, properties_max;
  std::optional<double> multiple_of;
  std::string pattern;  // RE2
  std::string check;    // a named rule: "dns-label", "label-key", "port", "path" … (checks.h)
  std::string format;   // the format's own name where Format says other
  Value source;         // of a CRD: the OpenAPI schema (allOf, anyOf, oneOf, not, x-kubernetes-validations)
};

class Field final : public document::MergeSchema {
 public:
  FieldType type = FieldType::any;
  Format format = Format::none;
  ListType list_type = ListType::atomic;
  bool atomic_map = false;  // map or object: x-kubernetes-map-type: atomic (server-side apply owns it as one)
  bool nullable = false;
  bool immutable = false;            // may not change once set
  bool set_once = false;             // may be set later, then never change
  bool patch_replaces_keys = false;  // patchStrategy retainKeys
  bool patch_merges = false;         // patchStrategy merge (of a list)
  bool has_default = false;
  const ObjectType* object = nullptr;   // of an object
  const Field* element = nullptr;       // of a list: its items; of a map: its values; null: anything
  std::vector<std::string> list_keys;   // of a list of type map: the keys for server-side apply
  std::vector<std::string> patch_keys;  // for strategic merge; empty: the list is replaced (or merged as a set)
  Value default_value;                  // when has_default
  std::unique_ptr<const Constraints> constraints;

  const Member* member(std::string_view name) const { return object ? object->find(name) : nullptr; }
  bool keeps_unknown() const { return type == FieldType::any || (object && object->preserve_unknown); }

  // document::MergeSchema
  const Field* field(std::string_view name) const override;  // of a map: its values
  const Field* item() const override { return type == FieldType::list ? element : nullptr; }
  const std::vector<std::string>& merge_keys() const override { return patch_keys; }
  bool merges_as_set() const override { return type == FieldType::list && patch_merges && patch_keys.empty(); }
  bool retains_keys() const override { return patch_replaces_keys; }
};

}  // namespace caisson::schema
