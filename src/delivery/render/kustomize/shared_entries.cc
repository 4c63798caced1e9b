// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "delivery/render/kustomize/stages.h"

namespace caisson::render::kustomize_impl {
namespace {

const Value* entry_at(const Value& object, const MapPath& map, const std::string& key) {
  const Value* at = &object;
  for (const std::string& part : map) {
    at = at->find(part);
    if (at == nullptr) return nullptr;
  }
  return at->find(key);
}

void set_entry_at(Value& object, const MapPath& map, const std::string& key, const Value& value) {
  Value* at = &object;
  for (const std::string& part : map) at = &at->edit(part);
  at->set(key, value);
}

}  // namespace

void follow_shared_entries(Resource& resource, const Value& before) {
  for (SharedEntry& entry : resource.shared) {
    std::erase_if(entry.maps, [&](const auto& map) { return entry_at(resource.object, map, entry.key) == nullptr; });
    Value changed;
    for (const auto& map : entry.maps) {  // the last one that changed counts
      const Value* was = entry_at(before, map, entry.key);
      const Value* is = entry_at(resource.object, map, entry.key);
      if (was == nullptr || !(*was == *is)) changed = *is;
    }
    if (changed.is_null()) continue;
    for (const auto& map : entry.maps) set_entry_at(resource.object, map, entry.key, changed);
  }
  std::erase_if(resource.shared, [](const SharedEntry& entry) { return entry.maps.size() < 2; });
}

std::vector<MapPath> maps_that_share(const std::vector<Place>& places) {
  std::vector<MapPath> maps;
  for (const Place& place : places) {
    // Entries in the items of lists are left out: a later change moves items.
    if (place.spec->path.find("[]") == std::string::npos) maps.push_back(place.path);
  }
  std::sort(maps.begin(), maps.end());
  maps.erase(std::unique(maps.begin(), maps.end()), maps.end());
  return maps;
}

std::vector<SharedEntry> entries_to_share(const Value& object, const Value& pairs, const std::vector<MapPath>& maps) {
  std::vector<SharedEntry> out;
  if (maps.size() < 2) return out;
  for (const auto& [key, value] : pairs.entries()) {
    SharedEntry entry{std::string(key), {}};
    for (const MapPath& map : maps) {
      if (entry_at(object, map, entry.key) == nullptr) entry.maps.push_back(map);
    }
    if (entry.maps.size() > 1) out.push_back(std::move(entry));
  }
  return out;
}

void share_new_entries(Resource& resource, std::vector<SharedEntry> added) {
  for (SharedEntry& entry : added) {
    std::erase_if(entry.maps, [&](const auto& map) { return entry_at(resource.object, map, entry.key) == nullptr; });
    if (entry.maps.size() > 1) resource.shared.push_back(std::move(entry));
  }
}

}  // namespace caisson::render::kustomize_impl
