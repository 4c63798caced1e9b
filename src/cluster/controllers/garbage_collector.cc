// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/garbage_collector.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>

#include "cluster/controllers/names.h"
#include "cluster/controllers/owner_graph.h"
#include "core/base/log.h"

namespace caisson::controllers {
namespace {

using kube::Object;
using kube::ObjectKey;
using kube::OwnerReference;
using kube::Propagation;
using kube::Requeue;
using schema::Resource;

const ObjectKey kDiscovery{"discovery", ""};
const Resource kCustomResourceDefinitions{"apiextensions.k8s.io", "v1", "CustomResourceDefinition",
                                          "customresourcedefinitions", false};

// Many, short-lived, and never owners.
bool is_ignored(const Resource& resource) {
  return resource.plural == "events" || resource.group == "authentication.k8s.io" ||
         resource.group == "authorization.k8s.io" || resource.group == "metrics.k8s.io" || resource == schema::kSpans ||
         resource.plural == "bindings" || resource.plural == "componentstatuses";
}

class GarbageCollector : public kube::Reconciler {
 public:
  explicit GarbageCollector(kube::Runtime& runtime) : runtime_(runtime), client_(runtime.client()) {}

  void set_queue(kube::Queue queue) { queue_ = std::move(queue); }
  std::string_view name() const override { return "garbage-collector"; }

  // The key's name is a uid.
  Result<Requeue> reconcile(const ObjectKey& key) override {
    if (key == kDiscovery) return watch_all();
    const auto node = graph_.find(key.name);
    if (!node) return Requeue::never();
    if (node->waits_for_dependents()) return foreground(key.name, *node);
    if (node->lets_dependents_go()) return orphan(key.name, *node);
    if (node->owners.empty() || surely_owned(*node)) return Requeue::never();
    return judge(key.name, *node);
  }

 private:
  struct Owners {
    std::vector<OwnerReference> solid, dangling, waiting;
  };

  Result<Requeue> watch_all() {
    const auto resources = TRY(client_.resources());
    std::set<std::string> seen;
    for (const Resource& resource : resources) {
      if (!seen.insert(resource.group_resource()).second || is_ignored(resource)) continue;
      if (!watched_.insert(resource.group_resource()).second) continue;
      kube::Informer& informer = runtime_.informer(resource);
      {
        const std::lock_guard lock(mutex_);
        informers_.push_back(&informer);
      }
      informer.on_change([this, resource](const Object* before, const Object* after) {
        for (const std::string& uid : after ? graph_.put(resource, *after) : graph_.erase(*before))
          queue_.add({"", uid});
      });
    }
    complete_ = true;
    return Requeue::after(std::chrono::minutes(5));  // an aggregated API may have come
  }

  // Before every kind was listed once, nobody knows all dependents.
  bool knows_all() {
    const std::lock_guard lock(mutex_);
    return complete_ &&
           std::all_of(informers_.begin(), informers_.end(), [](const kube::Informer* i) { return i->synced(); });
  }

  // Without asking the server: each owner is there, and none waits.
  bool surely_owned(const OwnerGraph::Node& node) const {
    return std::all_of(node.owners.begin(), node.owners.end(), [this](const OwnerReference& reference) {
      const auto owner = graph_.find(reference.uid);
      return owner && !owner->waits_for_dependents();
    });
  }

  Result<Requeue> judge(const std::string& uid, const OwnerGraph::Node& node) {
    const auto live = client_.get(node.resource, node.key);
    if (!live.ok()) {
      if (live.error().code == ErrorCode::not_found) return Requeue::never();
      return live.error();
    }
    if (live->uid() != uid || (live->deleting() && !live->has_finalizer(kForegroundFinalizer))) return Requeue::never();
    auto classified = classify(*live);
    if (!classified.ok() && classified.error().code == ErrorCode::invalid) {  // no time will mend it
      log::warning("owner reference can't be followed", {{"error", classified.error()}});
      return Requeue::never();
    }
    const Owners owners = TRY(std::move(classified));
    if (!owners.solid.empty()) {
      std::vector<OwnerReference> useless = owners.dangling;
      useless.insert(useless.end(), owners.waiting.begin(), owners.waiting.end());
      if (!useless.empty()) TRY(drop_owners(node, uid, useless));
      return Requeue::never();
    }
    if (owners.dangling.empty() && owners.waiting.empty()) return Requeue::never();
    Propagation propagation = Propagation::background;
    if (!owners.waiting.empty() && !graph_.dependents(uid).empty()) propagation = Propagation::foreground;
    if (live->has_finalizer(kOrphanFinalizer)) propagation = Propagation::orphan;
    if (live->has_finalizer(kForegroundFinalizer)) propagation = Propagation::foreground;
    return remove(node, uid, propagation);
  }

  Result<Owners> classify(const Object& object) {
    Owners out;
    for (const OwnerReference& reference : object.owners()) {
      if (const auto known = graph_.find(reference.uid)) {
        (known->waits_for_dependents() ? out.waiting : out.solid).push_back(reference);
        continue;
      }
      const auto live = live_owner(object, reference);
      if (!live.ok()) {
        if (live.error().code != ErrorCode::not_found) return live.error();
        out.dangling.push_back(reference);
      } else if (live->uid() != reference.uid) {
        out.dangling.push_back(reference);
      } else {
        (live->deleting() && live->has_finalizer(kForegroundFinalizer) ? out.waiting : out.solid).push_back(reference);
      }
    }
    return out;
  }

  Result<Object> live_owner(const Object& object, const OwnerReference& reference) {
    const auto resource = client_.resource_for(reference.api_version, reference.kind);
    // A kind that is not served may come back with its CRD: its objects are not gone for sure.
    if (!resource.ok())
      return Error{ErrorCode::unavailable,
                   "owner " + reference.kind + " " + reference.name + ": " + resource.error().message};
    if (resource->namespaced && object.ns().empty()) {
      return Error{ErrorCode::invalid,
                   object.kind() + " " + object.name() + " has no namespace, but its owner " + reference.kind + " has"};
    }
    return client_.get(*resource, {resource->namespaced ? object.ns() : "", reference.name});
  }

  Result<void> drop_owners(const OwnerGraph::Node& node, const std::string& uid,
                           const std::vector<OwnerReference>& owners) {
    const auto dropped = kube::modify(
        client_, node.resource, node.key,
        [&](Object& object) {
          if (object.uid() != uid) return false;
          Value kept = Value::list();
          for (const Value& reference : object.metadata()["ownerReferences"].items()) {
            const bool drop = std::any_of(owners.begin(), owners.end(),
                                          [&](const auto& o) { return o.uid == reference["uid"].as_string(); });
            if (!drop) kept.push_back(reference);
          }
          if (kept.size() == object.metadata()["ownerReferences"].size()) return false;
          if (kept.empty())
            object.edit({"metadata"}).erase("ownerReferences");
          else
            object.edit({"metadata"}).set("ownerReferences", std::move(kept));
          return true;
        },
        by_manager());
    if (!dropped.ok() && dropped.error().code != ErrorCode::not_found) return dropped.error();
    return {};
  }

  Result<Requeue> remove(const OwnerGraph::Node& node, const std::string& uid, Propagation propagation) {
    kube::DeleteOptions options;
    options.propagation = propagation;
    options.uid = uid;
    const auto removed = client_.remove(node.resource, node.key, options);
    if (!removed.ok() && removed.error().code != ErrorCode::not_found) return removed.error();
    log::debug("garbage collected", {{"kind", node.resource.kind}, {"key", node.key.str()}});
    return Requeue::never();
  }

  Result<Requeue> foreground(const std::string& uid, const OwnerGraph::Node& node) {
    if (!knows_all()) return Requeue::after(std::chrono::milliseconds(200));
    const auto blocking = graph_.blocking(uid);
    for (const std::string& child : graph_.dependents(uid)) {
      const auto dependent = graph_.find(child);
      if (dependent && !dependent->deleting) queue_.add({"", child});
    }
    if (!blocking.empty()) return Requeue::never();  // the last one's end brings us back
    return remove_finalizer(node, uid, kForegroundFinalizer);
  }

  Result<Requeue> orphan(const std::string& uid, const OwnerGraph::Node& node) {
    if (!knows_all()) return Requeue::after(std::chrono::milliseconds(200));
    OwnerReference self;
    self.uid = uid;
    for (const std::string& child : graph_.dependents(uid)) {
      if (const auto dependent = graph_.find(child)) TRY(drop_owners(*dependent, child, {self}));
    }
    return remove_finalizer(node, uid, kOrphanFinalizer);
  }

  Result<Requeue> remove_finalizer(const OwnerGraph::Node& node, const std::string& uid, std::string_view finalizer) {
    const auto removed = kube::modify(
        client_, node.resource, node.key,
        [&](Object& object) {
          if (object.uid() != uid || !object.has_finalizer(finalizer)) return false;
          object.remove_finalizer(finalizer);
          return true;
        },
        by_manager());
    if (!removed.ok() && removed.error().code != ErrorCode::not_found) return removed.error();
    return Requeue::never();
  }

  kube::Runtime& runtime_;
  kube::Client& client_;
  kube::Queue queue_;
  OwnerGraph graph_;
  std::set<std::string> watched_;  // of the discovery key's runs, which never overlap
  std::mutex mutex_;
  std::vector<kube::Informer*> informers_;  // GUARDED_BY(mutex_)
  std::atomic<bool> complete_ = false;
};

}  // namespace

void add_garbage_collector(kube::Runtime& runtime) {
  auto collector = std::make_unique<GarbageCollector>(runtime);
  GarbageCollector& borrowed = *collector;
  const kube::Queue queue = runtime.add(std::move(collector), 2);
  borrowed.set_queue(queue);
  queue.add(kDiscovery);
  runtime.watch(kCustomResourceDefinitions, queue, [](const Object&) { return std::vector<ObjectKey>{kDiscovery}; });
}

}  // namespace caisson::controllers
