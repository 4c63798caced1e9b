// SPDX-License-Identifier: Apache-2.0
// `images`: new names, tags and digests for the images of containers, wherever a list of containers stands.
#include <re2/re2.h>

#include <algorithm>

#include "delivery/render/kustomize/stages.h"

namespace caisson::render::kustomize_impl {
namespace {

struct ImageName {
  std::string name, tag, digest;
};

// The port of a registry ("host:5000/name") is no tag.
ImageName split_image(const std::string& image) {
  const std::size_t slash = image.find('/');
  const std::size_t from = slash == std::string::npos || slash == 0 ? 0 : slash;
  const std::size_t at = image.find('@', from), colon = image.find(':', from);
  if (at != std::string::npos && (colon == std::string::npos || at < colon))
    return {image.substr(0, at), "", image.substr(at + 1)};
  if (at != std::string::npos)
    return {image.substr(0, colon), image.substr(colon + 1, at - colon - 1), image.substr(at + 1)};
  if (colon != std::string::npos) return {image.substr(0, colon), image.substr(colon + 1), ""};
  return {image, "", ""};
}

class ImageChange {
 public:
  explicit ImageChange(const Value& change)
      : change_(change),
        pattern_("^" + change["name"].str() + "(:[a-zA-Z0-9_.{}-]*)?(@sha256:[a-zA-Z0-9_.{}-]*)?$", RE2::Quiet) {}
  bool ok() const { return pattern_.ok(); }
  bool concerns(std::string_view image) const {
    return RE2::PartialMatch(re2::StringPiece(image.data(), image.size()), pattern_);
  }

  void apply(Value& place) const {
    const std::string image = place.scalar_text();
    if (!concerns(image)) return;
    ImageName parts = split_image(image);
    const std::string tag = change_["newTag"].str(), digest = change_["digest"].str(),
                      suffix = change_["tagSuffix"].str();
    if (!change_["newName"].as_string().empty()) parts.name = change_["newName"].str();
    if (!tag.empty() || !digest.empty()) {
      parts.tag = tag;
      parts.digest = digest;
    } else if (!suffix.empty()) {
      parts.tag += suffix;
      parts.digest.clear();
    }
    std::string made = parts.name;
    if (!parts.tag.empty()) made += ":" + parts.tag;
    if (!parts.digest.empty()) made += "@" + parts.digest;
    if (made != image) place = Value(made);
  }

 private:
  const Value& change_;
  RE2 pattern_;
};

bool is_list_of_containers(std::string_view key, const Value& member) {
  return (key == "containers" || key == "initContainers") && member.is_list();
}

// Whether `walk` would find an image that changes: most objects have none, and to change one is to copy it.
bool has_image(const Value& node, const ImageChange& change) {
  const auto items = node.items();
  if (std::any_of(items.begin(), items.end(), [&](const Value& item) { return has_image(item, change); })) return true;
  for (const auto& [key, member] : node.entries()) {
    if (!member.is_map() && !member.is_list()) continue;
    if (has_image(member, change)) return true;
    if (!is_list_of_containers(key, member)) continue;
    const auto containers = member.items();
    if (std::any_of(containers.begin(), containers.end(), [&](const Value& container) {
          return container["image"].is_string() && change.concerns(container["image"].as_string());
        }))
      return true;
  }
  return false;
}

// Every list called containers or initContainers, at any depth.
void walk(Value& node, const ImageChange& change) {
  if (node.is_list()) {
    for (std::size_t i = 0; i < node.size(); ++i) walk(node.edit(i), change);
    return;
  }
  if (!node.is_map()) return;
  std::vector<std::string> keys;
  for (const auto& [key, value] : node.entries()) {
    if (value.is_map() || value.is_list()) keys.emplace_back(key);
  }
  for (const std::string& key : keys) {
    Value& member = node.edit(key);
    walk(member, change);
    if (!is_list_of_containers(key, member)) continue;
    for (std::size_t i = 0; i < member.size(); ++i) {
      if (member[i]["image"].is_string()) change.apply(member.edit(i).edit("image"));
    }
  }
}

}  // namespace

Result<void> set_image(const Value& image, const FieldSpecs& specs, ResourceMap& resources) {
  const ImageChange change(image);
  if (!change.ok()) return {};  // a name that is no regular expression matches no image, as in kustomize
  PlacesByKind by_kind(specs);
  for (Resource& resource : resources.all_same_names()) {
    const bool looked_through = resource.object["kind"].as_string() != "CustomResourceDefinition";
    if (looked_through && has_image(resource.object, change)) walk(resource.object, change);
    for (const Place& place : by_kind.of(resource.object)) {
      auto done = visit_place(resource.object, place, Create::nothing, [&](Value& value) -> Result<void> {
        if (value.is_map() || value.is_list()) return Error{ErrorCode::invalid, place.spec->path + " is not a scalar"};
        change.apply(value);
        return {};
      });
      if (!done.ok()) return std::move(done).error().in(resource.id().str());
    }
  }
  return {};
}

}  // namespace caisson::render::kustomize_impl
