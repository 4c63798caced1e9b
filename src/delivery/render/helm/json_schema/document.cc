// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/helm/json_schema/document.h"

#include "core/base/encoding.h"
#include "core/base/text.h"

namespace caisson::render::helm::json_schema {
namespace {

constexpr int kNestingMax = 300;

int draft_of(std::string_view url) {
  if (url.find("draft-04") != std::string_view::npos) return 4;
  if (url.find("draft-06") != std::string_view::npos) return 6;
  if (url.find("draft-07") != std::string_view::npos) return 7;
  if (url.find("2019-09") != std::string_view::npos) return 2019;
  return 2020;
}

const Value* pointed(const Value& from, const std::string& fragment) {
  const auto decoded = percent_decode(fragment);
  if (!decoded.ok()) return nullptr;
  const Value* at = &from;
  const auto parts = split(*decoded, '/');
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const std::string key = replace_all(replace_all(std::string(parts[i]), "~1", "/"), "~0", "~");
    if (at->is_list()) {
      const auto index = parse_int(key);
      if (!index || *index < 0 || static_cast<std::size_t>(*index) >= at->size()) return nullptr;
      at = &(*at)[static_cast<std::size_t>(*index)];
    } else {
      at = at->find(key);
      if (at == nullptr) return nullptr;
    }
  }
  return at;
}

std::string_view trimmed_id(std::string_view id) {
  while (id.starts_with("./")) id.remove_prefix(2);
  return id.substr(0, id.find('#'));
}

template <class Find>
const Value* search(const Value& in, Find find) {
  for (const auto& entry : in.entries()) {
    if (!entry.value.is_map() && !entry.value.is_list()) continue;
    if (const Value* found = find(entry.value)) return found;
  }
  for (const Value& item : in.items()) {
    if (!item.is_map() && !item.is_list()) continue;
    if (const Value* found = find(item)) return found;
  }
  return nullptr;
}

}  // namespace

Document::Document(const Value& root) : root_(root), draft_(draft_of(root["$schema"].as_string())) {}

At Document::below(const At& at, const Value& schema) const {
  const std::string_view id = schema[id_keyword()].as_string();
  return {&schema, !id.empty() && id[0] != '#' ? &schema : at.resource};
}

std::optional<At> Document::resolve(const At& at, const std::string& reference) const {
  const std::size_t hash = reference.find('#');
  const std::string resource_id = reference.substr(0, hash);
  const Value* resource = at.resource;
  if (!resource_id.empty()) {
    resource = find_resource(root_, resource_id, 0);
    if (resource == nullptr) return {};
  }
  const std::string fragment = hash == std::string::npos ? "" : reference.substr(hash + 1);
  const Value* target = fragment.empty() ? resource : nullptr;
  if (fragment.starts_with('/')) target = pointed(*resource, fragment);
  if (target == nullptr) target = find_anchor(*resource, fragment, 0);
  if (target == nullptr) return {};
  return At{target, resource};
}

// An id that ends as the reference does is the one that is meant: relative references need no base then.
const Value* Document::find_resource(const Value& in, std::string_view id, int depth) const {
  if (depth > kNestingMax) return nullptr;
  const std::string_view own = trimmed_id(in[id_keyword()].as_string());
  if (!own.empty() && (own == trimmed_id(id) || own.ends_with("/" + std::string(trimmed_id(id))))) return &in;
  return search(in, [&](const Value& child) { return find_resource(child, id, depth + 1); });
}

const Value* Document::find_anchor(const Value& in, const std::string& name, int depth) const {
  if (depth > kNestingMax) return nullptr;
  if (in["$anchor"].as_string() == name || in["$dynamicAnchor"].as_string() == name ||
      in[id_keyword()].as_string() == "#" + name)
    return &in;
  return search(in, [&](const Value& child) { return find_anchor(child, name, depth + 1); });
}

}  // namespace caisson::render::helm::json_schema
