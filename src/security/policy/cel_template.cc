// SPDX-License-Identifier: Apache-2.0
#include "security/policy/cel_template.h"

#include "core/base/text.h"

namespace caisson::policy {
namespace {

const Value& template_of(const Value& object, std::string_view at) {
  const Value* found = &object;
  for (const std::string_view name : split(at, '.')) found = &(*found)[name];
  return *found;
}

}  // namespace

Value pod_of_template(const Value& object, std::string_view at) {
  const Value& made_from = template_of(object, at);
  if (!made_from.is_map()) return {};
  Value metadata = made_from["metadata"].is_map() ? made_from["metadata"] : Value::map();
  for (const char* name : {"name", "namespace"})
    if (metadata[name].is_null() && !object["metadata"][name].is_null()) metadata.set(name, object["metadata"][name]);
  Value pod{{"apiVersion", "v1"}, {"kind", "Pod"}, {"metadata", std::move(metadata)}};
  if (made_from.contains("spec")) pod.set("spec", made_from["spec"]);
  return pod;
}

Value with_template(const Value& object, std::string_view at, const Value& after) {
  const Value& before = template_of(object, at);
  Value changed = before, metadata = after["metadata"];
  for (const char* name : {"name", "namespace"})
    if (before["metadata"][name].is_null() && metadata[name] == object["metadata"][name]) metadata.erase(name);
  if (!metadata.empty() || before["metadata"].is_map()) changed.set("metadata", std::move(metadata));
  if (after.contains("spec")) changed.set("spec", after["spec"]);
  Value out = object;
  Value* place = &out;
  for (const std::string_view name : split(at, '.')) place = &place->edit(name);
  *place = std::move(changed);
  return out;
}

}  // namespace caisson::policy
