// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/world.h"

namespace caisson::gitops {
namespace {

constexpr std::string_view kIndex = "gitops-instance";
constexpr Duration kCatchUpMax = std::chrono::seconds(5);
constexpr Duration kRefusedFor = std::chrono::seconds(30);

std::string kind_key(const kube::Resource& resource) {
  return resource.api_version() + "/" + resource.kind;
}

std::vector<std::string> instances(const kube::Object& object, const Settings& settings) {
  const std::string instance = tracked_by(object.value(), &settings);
  return instance.empty() ? std::vector<std::string>{} : std::vector<std::string>{instance};
}

}  // namespace

World::World(kube::Runtime& runtime, std::function<void(const std::string&)> changed, Duration first_list_max)
    : runtime_(runtime),
      changed_(std::move(changed)),
      first_list_max_(first_list_max),
      tracking_(std::make_shared<const Settings>()) {}

void World::set_tracking(Tracking tracking, const std::string& label_key) {
  const std::lock_guard lock(mutex_);
  if (!watched_.empty() || (tracking_->tracking == tracking && tracking_->label_key == label_key)) return;
  auto settings = std::make_shared<Settings>();
  settings->tracking = tracking;
  settings->label_key = label_key;
  tracking_ = std::move(settings);
}

std::vector<kube::Object> World::list(const kube::Resource& resource, const std::string& ns) {
  return runtime_.informer(resource).list(ns);
}

std::vector<kube::Object> World::list_watched(const std::string& ns) {
  std::map<std::string, kube::Resource> kinds;
  {
    const std::lock_guard lock(mutex_);
    kinds = watched_;
  }
  std::vector<kube::Object> out;
  for (const auto& [name, resource] : kinds) {
    if (!resource.namespaced) continue;
    auto some = runtime_.informer(resource).list(ns);
    out.insert(out.end(), some.begin(), some.end());
  }
  return out;
}

Result<std::optional<kube::Resource>> World::resource_of(const std::string& api_version, const std::string& kind) {
  {
    const std::lock_guard lock(mutex_);
    const auto known = watched_.find(api_version + "/" + kind);
    if (known != watched_.end()) return std::optional<kube::Resource>(known->second);
  }
  auto found = client().resource_for(api_version, kind);
  if (!found.ok() && found.error().code == ErrorCode::not_found) return std::optional<kube::Resource>();
  if (!found.ok()) return std::move(found).error();
  return std::optional<kube::Resource>(std::move(found).value());
}

bool World::watch(const kube::Resource& resource) {
  bool fresh = false;
  std::shared_ptr<const Settings> tracking;
  {
    const std::lock_guard lock(mutex_);
    tracking = tracking_;
    fresh = watched_.emplace(kind_key(resource), resource).second;
  }
  kube::Informer& informer = runtime_.informer(resource);
  if (fresh) {
    informer.add_index(std::string(kIndex),
                       [tracking](const kube::Object& object) { return instances(object, *tracking); });
    informer.on_change([this, tracking](const kube::Object* before, const kube::Object* after) {
      std::set<std::string> names;
      for (const kube::Object* object : {before, after}) {
        if (!object) continue;
        for (const std::string& name : instances(*object, *tracking)) names.insert(name);
      }
      for (const std::string& name : names) changed_(name);
    });
  }
  if (informer.synced()) return true;
  if (refusal(resource)) return false;  // who waited for it each time would hold up other Applications
  if (informer.wait_synced(first_list_max_)) return true;
  kube::ListOptions one;
  one.limit = 1;
  const auto asked = runtime_.client().list(resource, one);
  if (!asked.ok() && asked.error().code == ErrorCode::forbidden) {
    const std::lock_guard lock(mutex_);
    refused_.insert_or_assign(kind_key(resource), std::pair(asked.error(), runtime_.clock().monotonic() + kRefusedFor));
  }
  return false;
}

std::optional<Error> World::refusal(const kube::Resource& resource) {
  const std::lock_guard lock(mutex_);
  const auto found = refused_.find(kind_key(resource));
  if (found == refused_.end()) return std::nullopt;
  if (runtime_.clock().monotonic() < found->second.second) return found->second.first;
  refused_.erase(found);
  return std::nullopt;
}

std::optional<kube::Object> World::overlaid(const kube::Resource& resource, const kube::ObjectKey& key,
                                            std::optional<kube::Object> cached) {
  const std::lock_guard lock(mutex_);
  auto kind = overlays_.find(kind_key(resource));
  if (kind == overlays_.end()) return cached;
  const auto found = kind->second.find(key);
  if (found == kind->second.end()) return cached;
  const std::string version = cached ? cached->resource_version() : "";
  const bool stands = runtime_.clock().monotonic() < found->second.until;
  if (stands && version == found->second.version_before) return found->second.after;
  kind->second.erase(found);  // the watch has caught up
  return cached;
}

std::optional<kube::Object> World::find(const kube::Resource& resource, const kube::ObjectKey& key) {
  return overlaid(resource, key, runtime_.informer(resource).find(key));
}

std::vector<kube::Object> World::tracked(const std::string& instance) {
  std::map<std::string, kube::Resource> kinds;
  {
    const std::lock_guard lock(mutex_);
    kinds = watched_;
  }
  std::vector<kube::Object> out;
  for (const auto& [name, resource] : kinds) {
    for (kube::Object& object : runtime_.informer(resource).by_index(kIndex, instance)) {
      const kube::ObjectKey key = object.key();
      if (auto live = overlaid(resource, key, std::move(object))) out.push_back(std::move(*live));
    }
  }
  return out;
}

void World::wrote(const kube::Resource& resource, const kube::ObjectKey& key, const std::optional<kube::Object>& before,
                  const std::optional<kube::Object>& after) {
  if (before && after && before->resource_version() == after->resource_version()) return;  // nothing changed
  const std::optional<kube::Object> cached = runtime_.informer(resource).find(key);
  if (cached && after && cached->resource_version() == after->resource_version()) return;  // the watch was quicker
  const std::lock_guard lock(mutex_);
  overlays_[kind_key(resource)][key] = {before ? before->resource_version() : "", after,
                                        runtime_.clock().monotonic() + kCatchUpMax};
}

}  // namespace caisson::gitops
