// SPDX-License-Identifier: Apache-2.0
#include "security/policy/images.h"

#include <functional>
#include <string>

#include "core/base/text.h"
#include "core/expr/jmespath/image_name.h"

namespace caisson::policy {
namespace {

Value image_value(std::string_view text, std::string_view pointer) {
  const auto image = jmespath::parse_image_name(text);
  if (!image.ok()) return {};
  Value out = Value::map();
  if (!pointer.empty()) out.set("jsonPointer", pointer);
  if (!image->registry.empty()) out.set("registry", image->registry);
  out.set("name", image->name).set("path", image->path);
  if (!image->tag.empty()) out.set("tag", image->tag);
  if (!image->digest.empty()) out.set("digest", image->digest);
  return out.set("reference", image->str()).set("referenceWithTag", image->with_tag());
}

// `pointer`: where the image is written (RFC 6901).
void add(Value& out, std::string_view list, std::string_view key, std::string_view text, std::string_view pointer) {
  const Value image = image_value(text, pointer);
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

// The same path in an object to edit; `call` says whether it is done.
bool walk_edit(Value& at, std::vector<std::string_view> path, const std::string& index,
               const std::function<bool(Value&, const std::string&)>& call) {
  if (path.empty()) return call(at, index);
  const std::string_view head = path.front();
  path.erase(path.begin());
  if (head != "*") return at.contains(head) && walk_edit(at.edit(head), path, index, call);
  for (std::size_t i = 0; at.is_list() && i < at.size(); ++i)
    if (walk_edit(at.edit(i), path, index + (index.empty() ? "" : "/") + std::to_string(i), call)) return true;
  if (at.is_map())
    for (const auto& entry : Value(at).entries())
      if (walk_edit(at.edit(entry.key), path, std::string(entry.key), call)) return true;
  return false;
}

struct Extractor {
  std::string name;
  std::vector<std::string_view> path;
  // Members of what the path leads to; without `value` the path's last part is the image itself.
  std::string_view value, key;

  explicit Extractor(const Value& given)
      : name(given["name"].as_string().empty() ? "custom" : given["name"].str()),
        value(given["value"].as_string()),
        key(given["key"].as_string()) {
    for (const std::string_view part : split(given["path"].as_string(), '/'))
      if (!part.empty()) path.push_back(part);
    if (value.empty() && !path.empty()) {
      value = path.back();
      path.pop_back();
    }
  }
  std::string key_of(const Value& found, const std::string& index) const {
    return key.empty() ? (index.empty() ? "custom" : index) : found[key].str();
  }
  // Of the image that was found by `index`, which says what the stars met.
  std::string pointer(const std::string& index) const {
    const auto met = split(std::string_view(index), '/');
    std::size_t stars = 0;
    std::string out;
    for (const std::string_view part : path) {
      const bool is_star = part == "*" && stars < met.size();
      out += "/" + std::string(is_star ? met[stars++] : part);
    }
    return out + "/" + std::string(value);
  }
};

void extract(Value& out, const Value& object, const Value& given) {
  const Extractor extractor(given);
  walk(object, extractor.path, "", [&](const Value& found, const std::string& index) {
    const Value& image = found[extractor.value];
    if (image.is_string())
      add(out, extractor.name, extractor.key_of(found, index), image.as_string(), extractor.pointer(index));
  });
}

std::vector<std::string_view> pod_path(std::string_view kind) {
  if (kind == "Pod") return {"spec"};
  if (kind == "CronJob") return {"spec", "jobTemplate", "spec", "template", "spec"};
  return {"spec", "template", "spec"};
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

bool replace_image(Value& object, const Value& extractors, std::string_view list, std::string_view key,
                   const std::string& text) {
  const Value own = extractors[object["kind"].as_string()];
  for (const Value& given : own.items()) {
    const Extractor extractor(given);
    if (extractor.name != list) continue;
    if (walk_edit(object, extractor.path, "", [&](Value& found, const std::string& index) {
          if (!found[extractor.value].is_string() || extractor.key_of(found, index) != key) return false;
          found.set(extractor.value, text);
          return true;
        }))
      return true;
  }
  if (own.is_list()) return false;
  auto path = pod_path(object["kind"].as_string());
  path.push_back(list);
  path.push_back("*");
  return walk_edit(object, path, "", [&](Value& container, const std::string&) {
    if (container["name"].as_string() != key) return false;
    container.set("image", text);
    return true;
  });
}

Value images_of(const Value& object, const Value& extractors) {
  Value out;
  const Value& own = extractors[object["kind"].as_string()];
  if (own.is_list()) {
    for (const Value& extractor : own.items()) extract(out, object, extractor);
    return out;
  }
  const PodParts pod = pod_parts(object);
  std::string spec;
  for (const std::string_view part : pod_path(object["kind"].as_string())) spec += "/" + std::string(part);
  for (const char* list : {"initContainers", "containers", "ephemeralContainers"}) {
    const auto containers = pod.spec[list].items();
    for (std::size_t i = 0; i < containers.size(); ++i)
      if (const std::string_view image = containers[i]["image"].as_string(); !image.empty())
        add(out, list, containers[i]["name"].as_string(), image,
            spec + "/" + list + "/" + std::to_string(i) + "/image");
  }
  return out;
}

}  // namespace caisson::policy
