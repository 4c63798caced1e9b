// SPDX-License-Identifier: Apache-2.0
#include "cluster/kube/object.h"

#include <algorithm>

namespace caisson::kube {
namespace {

OwnerReference owner_reference(const Value& value) {
  OwnerReference owner;
  owner.api_version = value["apiVersion"].str();
  owner.kind = value["kind"].str();
  owner.name = value["name"].str();
  owner.uid = value["uid"].str();
  owner.controller = value["controller"].as_bool();
  owner.block_owner_deletion = value["blockOwnerDeletion"].as_bool();
  return owner;
}

}  // namespace

ObjectKey ObjectKey::parse(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return {"", std::string(text)};
  return {std::string(text.substr(0, slash)), std::string(text.substr(slash + 1))};
}

Object Object::make(const Resource& resource, std::string_view ns, std::string_view name) {
  Value metadata = Value::map();
  metadata.set("name", name);
  if (resource.namespaced && !ns.empty()) metadata.set("namespace", ns);
  Value value = Value::map();
  value.set("apiVersion", resource.api_version());
  value.set("kind", resource.kind);
  value.set("metadata", std::move(metadata));
  return Object(std::move(value));
}

std::string Object::group() const {
  const std::string_view version = value_["apiVersion"].as_string();
  const auto slash = version.find('/');
  return slash == std::string_view::npos ? "" : std::string(version.substr(0, slash));
}

std::optional<Time> Object::created() const {
  return parse_time(metadata()["creationTimestamp"].as_string());
}

std::vector<OwnerReference> Object::owners() const {
  std::vector<OwnerReference> out;
  for (const Value& item : metadata()["ownerReferences"].items()) out.push_back(owner_reference(item));
  return out;
}

std::optional<OwnerReference> Object::controller() const {
  for (const Value& item : metadata()["ownerReferences"].items()) {
    if (item["controller"].as_bool()) return owner_reference(item);
  }
  return std::nullopt;
}

bool Object::is_controlled_by(std::string_view uid) const {
  for (const Value& item : metadata()["ownerReferences"].items()) {
    if (item["controller"].as_bool()) return item["uid"].as_string() == uid;
  }
  return false;
}

void Object::set_controller(const Object& owner) {
  Value reference = Value::map();
  reference.set("apiVersion", owner.api_version());
  reference.set("kind", owner.kind());
  reference.set("name", owner.name());
  reference.set("uid", owner.uid());
  reference.set("controller", true);
  reference.set("blockOwnerDeletion", true);
  Value& list = value_.edit({"metadata", "ownerReferences"});
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (list[i]["uid"].as_string() == owner.uid()) {
      list.edit(i) = std::move(reference);
      return;
    }
  }
  list.push_back(std::move(reference));
}

bool Object::has_finalizer(std::string_view name) const {
  for (const Value& item : metadata()["finalizers"].items()) {
    if (item.as_string() == name) return true;
  }
  return false;
}

void Object::add_finalizer(std::string_view name) {
  if (!has_finalizer(name)) value_.edit({"metadata", "finalizers"}).push_back(name);
}

void Object::remove_finalizer(std::string_view name) {
  if (!has_finalizer(name)) return;
  Value& list = value_.edit({"metadata", "finalizers"});
  for (std::size_t i = list.size(); i-- > 0;) {
    if (list[i].as_string() == name) list.erase_at(i);
  }
  if (list.empty()) value_.edit({"metadata"}).erase("finalizers");
}

const Value& condition(const Object& object, std::string_view type) {
  for (const Value& item : object.status()["conditions"].items()) {
    if (item["type"].as_string() == type) return item;
  }
  return document::kNull;
}

bool condition_is_true(const Object& object, std::string_view type) {
  return condition(object, type)["status"].as_string() == "True";
}

bool set_condition(Object& object, std::string_view type, bool is_true, std::string_view reason,
                   std::string_view message, Time now) {
  return set_condition(object, type, is_true ? std::string_view("True") : std::string_view("False"), reason, message,
                       now);
}

bool set_condition(Object& object, std::string_view type, std::string_view status, std::string_view reason,
                   std::string_view message, Time now) {
  const Value before = condition(object, type);
  const bool same_status = before["status"].as_string() == status && !before.is_null();
  if (same_status && before["reason"].as_string() == reason && before["message"].as_string() == message) return false;
  Value after = before.is_map() ? before : Value::map();
  after.set("type", type);
  after.set("status", status);
  if (!same_status || after["lastTransitionTime"].is_null()) after.set("lastTransitionTime", format_time(now));
  after.set("reason", reason);
  after.set("message", message);
  Value& list = object.edit({"status", "conditions"});
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (list[i]["type"].as_string() == type) {
      list.edit(i) = std::move(after);
      return true;
    }
  }
  list.push_back(std::move(after));
  return true;
}

}  // namespace caisson::kube
