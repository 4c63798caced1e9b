// SPDX-License-Identifier: Apache-2.0
#include "security/policy/images.h"

#include <functional>
#include <string>

#include "core/base/text.h"
#include "core/expr/jmespath/image_name.h"

namespace caisson::policy {
namespace {

Value image_value(std::string_view text) {
  const auto image = jmespath::parse_image_name(text);
  if (!image.ok()) return {};
  Value out = Value::map();
  if (!image->registry.empty()) out.set("registry", image->registry);
  out.set("name", image->name).set("path", image->path);
  if (!image->tag.empty()) out.set("tag", image->tag);
  if (!image->digest.empty()) out.set("digest", image->digest);
  return out.set("reference", image->str()).set("referenceWithTag", image->with_tag());
}

void add(Value& out, std::string_view list, std::string_view key, std::string_view text) {
  const Value image = image_value(text);
  if (!image.is_null()) out.edit(list).set(key, image);
}

// Follows "/spec/steps/*" to what it leads to; `index` numbers what a star met.
void walk(const Value& at, std::vector<std::string_view> path, const std::string& index,
          const std::function<void(const Value&, const std::string&)>& call) {
  if (path.empty()) return call(at, index);
  const std::string_view head = path.front();
  path.erase(path.begin());
  if (head != "*") return walk(at[head], path, index, call);
  for (std::size_t i = 0; i < at.size(); ++i)
    if (at.is_list()) walk(at[i], path, index + (index.empty() ? "" : "/") + std::to_string(i), call);
  for (const auto& entry : at.entries()) walk(entry.value, path, std::string(entry.key), call);
}

void extract(Value& out, const Value& object, const Value& extractor) {
  const std::string name = extractor["name"].as_string().empty() ? "custom" : extractor["name"].str();
  std::vector<std::string_view> path;
  for (const std::string_view part : split(extractor["path"].as_string(), '/'))
    if (!part.empty()) path.push_back(part);
  // `value` and `key` name members of what the path leads to; without `value` its last part is the image itself.
  std::string_view value = extractor["value"].as_string();
  if (value.empty() && !path.empty()) {
    value = path.back();
    path.pop_back();
  }
  const std::string_view key = extractor["key"].as_string();
  walk(object, path, "", [&](const Value& found, const std::string& index) {
    const Value& image = found[value];
    if (!image.is_string()) return;
    const std::string at = key.empty() ? (index.empty() ? "custom" : index) : found[key].str();
    add(out, name, at, image.as_string());
  });
}

}  // namespace

PodParts pod_parts(const Value& object) {
  const std::string_view kind = object["kind"].as_string();
  if (kind == "Pod") return {object["metadata"], object["spec"]};
  const Value& template_ =
      kind == "CronJob" ? object.get({"spec", "jobTemplate", "spec", "template"}) : object["spec"]["template"];
  for (const char* known :
       {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job", "CronJob"})
    if (kind == known) return {template_["metadata"], template_["spec"]};
  return {};
}

Value images_of(const Value& object, const Value& extractors) {
  Value out;
  const Value& own = extractors[object["kind"].as_string()];
  if (own.is_list()) {
    for (const Value& extractor : own.items()) extract(out, object, extractor);
    return out;
  }
  const PodParts pod = pod_parts(object);
  for (const char* list : {"initContainers", "containers", "ephemeralContainers"})
    for (const Value& container : pod.spec[list].items())
      if (!container["image"].as_string().empty())
        add(out, list, container["name"].as_string(), container["image"].as_string());
  return out;
}

}  // namespace caisson::policy
