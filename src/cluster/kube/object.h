// SPDX-License-Identifier: Apache-2.0
// Object: an API object, which is a Value plus quick ways to its metadata. Copying it is a count. Follows
// metav1.ObjectMeta.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/schema/resource.h"
#include "core/base/clock.h"
#include "core/base/trace.h"
#include "core/document/value.h"

namespace caisson::kube {

using schema::Resource;

// What a reconciler gets: which object, not what happened to it.
struct ObjectKey {
  std::string ns;  // empty for cluster-scoped kinds
  std::string name;
  std::string str() const { return ns.empty() ? name : ns + "/" + name; }
  static ObjectKey parse(std::string_view text);  // the inverse of str
  auto operator<=>(const ObjectKey&) const = default;
};

struct OwnerReference {
  std::string api_version, kind, name, uid;
  bool controller = false, block_owner_deletion = false;
};

class Object {
 public:
  Object() = default;
  explicit Object(Value value) : value_(std::move(value)) {}
  // A new one of `resource`, with apiVersion, kind and metadata set.
  static Object make(const Resource& resource, std::string_view ns, std::string_view name);

  const Value& value() const { return value_; }
  Value& edit() { return value_; }
  Value& edit(std::initializer_list<std::string_view> path) { return value_.edit(path); }
  const Value& operator[](std::string_view key) const { return value_[key]; }
  const Value& get(std::initializer_list<std::string_view> path) const { return value_.get(path); }

  std::string api_version() const { return value_["apiVersion"].str(); }
  std::string group() const;
  std::string kind() const { return value_["kind"].str(); }
  const Value& metadata() const { return value_["metadata"]; }
  std::string name() const { return metadata()["name"].str(); }
  std::string ns() const { return metadata()["namespace"].str(); }
  ObjectKey key() const { return {ns(), name()}; }
  std::string uid() const { return metadata()["uid"].str(); }
  std::string resource_version() const { return metadata()["resourceVersion"].str(); }
  std::int64_t generation() const { return metadata()["generation"].as_int(); }
  bool deleting() const { return !metadata()["deletionTimestamp"].is_null(); }
  std::optional<Time> created() const;
  std::string_view label(std::string_view key) const { return metadata()["labels"][key].as_string(); }
  std::string_view annotation(std::string_view key) const { return metadata()["annotations"][key].as_string(); }
  void set_label(std::string_view key, std::string_view value) { value_.edit({"metadata", "labels"}).set(key, value); }
  void set_annotation(std::string_view key, std::string_view value) {
    value_.edit({"metadata", "annotations"}).set(key, value);
  }
  const Value& spec() const { return value_["spec"]; }
  const Value& status() const { return value_["status"]; }
  TraceContext trace() const { return TraceContext::parse(annotation(kTraceparentAnnotation)); }

  std::vector<OwnerReference> owners() const;
  std::optional<OwnerReference> controller() const;  // the owner with controller: true
  bool is_controlled_by(std::string_view uid) const;
  void set_controller(const Object& owner);  // adds the reference, controller and blockOwnerDeletion true
  bool has_finalizer(std::string_view name) const;
  void add_finalizer(std::string_view name);
  void remove_finalizer(std::string_view name);

  bool operator==(const Object&) const = default;

 private:
  Value value_;
};

// status.conditions as metav1.Condition has them; lastTransitionTime moves only when the status value changes.
const Value& condition(const Object& object, std::string_view type);  // null when absent
bool condition_is_true(const Object& object, std::string_view type);
// Gives whether something changed. `object`'s status is edited.
bool set_condition(Object& object, std::string_view type, bool is_true, std::string_view reason,
                   std::string_view message, Time now);
bool set_condition(Object& object, std::string_view type, std::string_view status, std::string_view reason,
                   std::string_view message, Time now);
// A literal is a text: without this it would be taken for a bool.
inline bool set_condition(Object& object, std::string_view type, const char* status, std::string_view reason,
                          std::string_view message, Time now) {
  return set_condition(object, type, std::string_view(status), reason, message, now);
}

}  // namespace caisson::kube
