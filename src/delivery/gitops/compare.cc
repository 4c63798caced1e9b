// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/compare.h"

#include <algorithm>

#include "cluster/schema/defaults.h"
#include "core/document/json.h"
#include "delivery/gitops/gitops.h"

namespace caisson::gitops {
namespace {

using schema::Field;
using schema::FieldType;
using schema::ListType;

constexpr std::size_t kPathsMax = 20;

bool blank(const Value& value) {
  return value.is_null() || ((value.is_map() || value.is_list()) && value.empty()) ||
         (value.is_string() && value.as_string().empty()) || (value.is_bool() && !value.as_bool()) ||
         (value.is_int() && value.as_int() == 0);
}

bool same_key(const Value& a, const Value& b, const std::vector<std::string>& keys) {
  return std::all_of(keys.begin(), keys.end(), [&](const std::string& key) { return a[key] == b[key]; });
}

class Walk {
 public:
  explicit Walk(Drift& out) : out_(out) {}

  // Everything that `desired` says must stand in `live`.
  void contains(const Field* field, const Value& desired, const Value& live, const std::string& path) {
    if (desired.shares_with(live) || full()) return;
    if (desired.is_map() && live.is_map()) {
      for (const auto& [name, child] : desired.entries()) {
        const Value* there = live.find(name);
        if (there)
          contains(field ? field->field(name) : nullptr, child, *there, join(path, name));
        else if (!blank(child))
          add(join(path, name));
      }
      return;
    }
    if (desired.is_list() && live.is_list()) return lists(field, desired, live, path);
    if (desired == live || (blank(desired) && blank(live))) return;
    if (desired.scalar_text() == live.scalar_text() && !desired.is_map() && !desired.is_list() && !live.is_map() &&
        !live.is_list())
      return;
    add(path);
  }

  // What `owned` (FieldsV1 of our manager) lists must still be desired, if it is live.
  void owned(const Value& owned, const Value& desired, const Value& live, const std::string& path) {
    for (const auto& [key, deeper] : owned.entries()) {
      if (full()) return;
      if (key.starts_with("f:")) {
        const std::string_view name = key.substr(2);
        const Value* there = live.find(name);
        if (!there) continue;
        const Value* wanted = desired.find(name);
        if (wanted)
          this->owned(deeper, *wanted, *there, join(path, name));
        else if (owned_in_parts(*there, deeper))
          this->owned(deeper, document::kNull, *there, join(path, name));
        else if (!blank(*there))
          add(join(path, name));
      } else if (key.starts_with("k:")) {
        auto by = json::parse(key.substr(2));
        if (!by.ok()) continue;
        const Value* wanted = item(desired, *by);
        const Value* there = item(live, *by);
        if (!there) continue;
        if (wanted)
          this->owned(deeper, *wanted, *there, path + "[" + std::string(key.substr(2)) + "]");
        else
          add(path + "[" + std::string(key.substr(2)) + "]");
      } else if (key.starts_with("v:")) {
        auto value = json::parse(key.substr(2));
        if (!value.ok()) continue;
        const auto has = [&](const Value& list) {
          return std::any_of(list.items().begin(), list.items().end(), [&](const Value& one) { return one == *value; });
        };
        if (has(live) && !has(desired)) add(path);
      }
    }
  }

 private:
  bool full() const { return out_.paths.size() >= kPathsMax; }
  void add(const std::string& path) {
    if (!full()) out_.paths.push_back(path);
  }
  static std::string join(const std::string& path, std::string_view name) {
    return path.empty() ? std::string(name) : path + "." + std::string(name);
  }

  // A struct or map of which we owned parts may live on with what others put into it: only the owned leaves count.
  static bool owned_in_parts(const Value& live, const Value& owned) {
    return live.is_map() && !owned.empty() && !owned.contains(".");
  }

  static const Value* item(const Value& list, const Value& by) {
    for (const Value& one : list.items()) {
      bool same = true;
      for (const auto& [name, value] : by.entries())
        same = same && (one[name] == value || (one[name].is_null() && name == "protocol"));
      if (same) return &one;
    }
    return nullptr;
  }

  void lists(const Field* field, const Value& desired, const Value& live, const std::string& path) {
    const Field* element = field ? field->element : nullptr;
    if (field && field->list_type == ListType::map && !field->list_keys.empty()) {
      for (std::size_t i = 0; i < desired.size(); ++i) {
        const Value* there = nullptr;
        for (const Value& one : live.items()) {
          if (same_key(desired[i], one, field->list_keys)) there = &one;
        }
        const std::string at = path + "[" + std::to_string(i) + "]";
        if (there)
          contains(element, desired[i], *there, at);
        else
          add(at);
      }
      return;
    }
    if (field && field->list_type == ListType::set) {
      for (const Value& one : desired.items()) {
        if (std::none_of(live.items().begin(), live.items().end(), [&](const Value& other) { return other == one; }))
          add(path);
      }
      return;
    }
    if (desired.size() != live.size()) return add(path);
    for (std::size_t i = 0; i < desired.size(); ++i)
      contains(element, desired[i], live[i], path + "[" + std::to_string(i) + "]");
  }

  Drift& out_;
};

// Without what no repository decides.
Value comparable(Value object) {
  object.erase("status");
  Value metadata = object["metadata"];
  Value kept = Value::map();
  for (std::string_view name : {"name", "namespace", "labels", "annotations", "finalizers", "ownerReferences"}) {
    if (const Value* value = metadata.find(name)) kept.set(name, *value);
  }
  if (!kept["annotations"].is_null()) {
    Value& annotations = kept.edit("annotations");
    for (std::string_view name :
         {std::string_view("kubectl.kubernetes.io/last-applied-configuration"), kTraceparentAnnotation})
      annotations.erase(name);
  }
  object.set("metadata", std::move(kept));
  return object;
}

const Value* owned_fields(const Value& live, std::string_view manager) {
  for (const Value& entry : live["metadata"]["managedFields"].items()) {
    if (entry["manager"].as_string() == manager && entry["subresource"].as_string().empty()) return &entry["fieldsV1"];
  }
  return nullptr;
}

}  // namespace

std::string ResourceId::str() const {
  return (group.empty() ? "" : group + "/") + kind + "/" + (ns.empty() ? "" : ns + "/") + name;
}

ResourceId id_of(const Value& object) {
  const std::string_view api_version = object["apiVersion"].as_string();
  const std::size_t slash = api_version.find('/');
  return {slash == std::string_view::npos ? "" : std::string(api_version.substr(0, slash)), object["kind"].str(),
          object["metadata"]["namespace"].str(), object["metadata"]["name"].str()};
}

std::string tracking_id(std::string_view instance, const ResourceId& id) {
  return std::string(instance) + ":" + id.group + "/" + id.kind + ":" + id.ns + "/" + id.name;
}

std::string tracked_by(const Value& object, const Settings* settings) {
  if (settings && settings->tracking == Tracking::label) return object["metadata"]["labels"][settings->label_key].str();
  const std::string_view text = object["metadata"]["annotations"][kTrackingAnnotation].as_string();
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return "";
  const std::string instance(text.substr(0, colon));
  return text == tracking_id(instance, id_of(object)) ? instance : "";
}

std::string label_value(std::string_view instance) {
  return std::string(instance.substr(0, 63));
}

Result<Value> prepare(const Application& application, Value object, std::optional<bool> namespaced) {
  if (object["kind"].as_string().empty() || object["apiVersion"].as_string().empty()) {
    return Error{ErrorCode::invalid, "an object without apiVersion or kind: " + json::write(object).substr(0, 120)};
  }
  if (object["metadata"]["name"].as_string().empty() && object["metadata"]["generateName"].as_string().empty()) {
    return Error{ErrorCode::invalid, object["kind"].str() + " without metadata.name"};
  }
  if (namespaced && !*namespaced)
    object.edit("metadata").erase("namespace");
  else if (object["metadata"]["namespace"].as_string().empty() && namespaced.value_or(true) &&
           !application.destination_namespace.empty()) {
    object.edit("metadata").set("namespace", application.destination_namespace);
  }
  object.erase("status");
  const Settings& settings = *application.settings;
  if (settings.tracking != Tracking::annotation)
    object.edit({"metadata", "labels"}).set(settings.label_key, label_value(application.instance));
  if (settings.tracking != Tracking::label)
    object.edit({"metadata", "annotations"}).set(kTrackingAnnotation, tracking_id(application.instance, id_of(object)));
  return object;
}

Drift compare(const Value& desired, const Value& live, const schema::KindSchema* kind,
              const std::vector<IgnoreRule>& ignore, const std::vector<IgnoreRule>& more) {
  Drift out;
  Value want = comparable(desired), have = comparable(live);
  if (kind) {
    want = schema::with_defaults(*kind, schema::pruned(*kind, std::move(want)));
    want = schema::canonical(*kind, std::move(want));
    want.erase("status");
  }
  const ResourceId id = id_of(live);
  for (const auto* list : {&ignore, &more}) {
    if (list->empty()) continue;
    // Managers are looked up in the whole live object.
    have.edit("metadata").set("managedFields", live["metadata"]["managedFields"]);
    const auto done = gitops::ignore(*list, id, want, have);
    if (!done.ok()) out.error = done.error().message;
    have.edit("metadata").erase("managedFields");
  }
  Walk walk(out);
  walk.contains(kind ? &kind->root() : nullptr, want, have, "");
  if (const Value* fields = owned_fields(live, kFieldManager)) walk.owned(*fields, want, have, "");
  return out;
}

std::string unknown_fields(const schema::Schema& schema, const Value& object) {
  const ResourceId id = id_of(object);
  const std::string api_version = object["apiVersion"].str();
  const std::string version = api_version.substr(api_version.find('/') + 1);
  const auto kind = schema.find_object(object);
  std::vector<std::string> fields;
  if (kind) schema::pruned(*kind, object, &fields);
  if (fields.empty()) return "";
  std::string out = id.kind + " in version \"" + version + "\" cannot be handled as a " + id.kind +
                    ": strict decoding error: unknown field \"" + fields[0] + "\"";
  for (std::size_t i = 1; i < fields.size(); ++i) out += ", unknown field \"" + fields[i] + "\"";
  return out;
}

}  // namespace caisson::gitops
