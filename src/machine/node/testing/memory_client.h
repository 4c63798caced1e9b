// SPDX-License-Identifier: Apache-2.0
// For this room's tests: an API in memory with what a node asks of one (objects of any kind, resource versions, merge
// patches, watches, deletion with a grace period). Without schema, admission and authorization; the whole is tested in
// tests/e2e. Any thread.
#pragma once
#include <map>
#include <mutex>

#include "cluster/kube/client.h"
#include "core/base/random.h"
#include "core/document/patch.h"

namespace caisson::node::testing {

class MemoryClient : public kube::Client {
 public:
  Result<kube::Object> get(const kube::Resource& resource, const kube::ObjectKey& key) override {
    const std::lock_guard lock(mutex_);
    const auto it = objects_.find({resource.kind, key});
    if (it == objects_.end()) return missing(resource, key);
    return it->second;
  }
  Result<kube::ObjectList> list(const kube::Resource& resource, const kube::ListOptions& options) override {
    const std::lock_guard lock(mutex_);
    kube::ObjectList out;
    for (const auto& [id, object] : objects_) {
      if (id.first == resource.kind && (options.ns.empty() || options.ns == id.second.ns)) out.items.push_back(object);
    }
    out.resource_version = std::to_string(revision_);
    return out;
  }
  Result<kube::Object> create(const kube::Object& object, const kube::WriteOptions&) override {
    const std::lock_guard lock(mutex_);
    const Id id{object.kind(), object.key()};
    if (objects_.contains(id))
      return Error{ErrorCode::already_exists, object.kind() + " " + id.second.str() + " already exists"};
    kube::Object made = object;
    made.edit({"metadata"}).set("uid", random_uuid()).set("creationTimestamp", format_time(system_clock().now()));
    return store(id, std::move(made));
  }
  Result<kube::Object> update(const kube::Object& object, const kube::WriteOptions&) override {
    const std::lock_guard lock(mutex_);
    const Id id{object.kind(), object.key()};
    if (!objects_.contains(id)) return Error{ErrorCode::not_found, id.second.str()};
    if (object.resource_version() != objects_[id].resource_version())
      return Error{ErrorCode::conflict, "changed meanwhile"};
    return store(id, object);
  }
  Result<kube::Object> patch(const kube::Resource& resource, const kube::ObjectKey& key, kube::PatchType,
                             const Value& patch, const kube::WriteOptions&) override {
    const std::lock_guard lock(mutex_);
    const auto it = objects_.find({resource.kind, key});
    if (it == objects_.end()) return missing(resource, key);
    const std::string uid = patch.get({"metadata", "uid"}).str();
    if (!uid.empty() && uid != it->second.uid()) return Error{ErrorCode::conflict, "another uid"};
    return store(it->first, kube::Object(document::merge_patch(it->second.value(), patch)));
  }
  Result<void> remove(const kube::Resource& resource, const kube::ObjectKey& key,
                      const kube::DeleteOptions& options) override {
    const std::lock_guard lock(mutex_);
    const auto it = objects_.find({resource.kind, key});
    if (it == objects_.end()) return missing(resource, key);
    const std::int64_t grace = options.grace_period_seconds.value_or(resource.kind == "Pod" ? 30 : 0);
    if (grace > 0) {
      kube::Object marked = it->second;
      marked.edit({"metadata"})
          .set("deletionTimestamp", format_time(system_clock().now() + std::chrono::seconds(grace)));
      marked.edit({"metadata"}).set("deletionGracePeriodSeconds", grace);
      store(it->first, std::move(marked));
      return {};
    }
    const kube::Object last = it->second;
    objects_.erase(it);
    ++revision_;
    tell(resource.kind, {kube::WatchEvent::Type::deleted, last, {}});
    return {};
  }
  Result<kube::Object> apply(const kube::Object& object, const kube::WriteOptions& options) override {
    return update(object, options);
  }
  Result<Value> post(const kube::Resource&, const kube::ObjectKey& key, std::string_view, const Value&) override {
    const std::string end = format_time(system_clock().now() + std::chrono::hours(1));
    return Value{{"status", Value{{"token", "token-of-" + key.name}, {"expirationTimestamp", end}}}};
  }
  Result<std::unique_ptr<kube::Watch>> watch(const kube::Resource& resource, const kube::ListOptions&,
                                             std::function<void(const kube::WatchEvent&)> call) override {
    const std::lock_guard lock(mutex_);
    const int id = ++watches_;
    calls_[id] = {resource.kind, std::move(call)};
    struct Ending : kube::Watch {
      std::function<void()> end;
      ~Ending() override { end(); }
    };
    auto out = std::make_unique<Ending>();
    out->end = [this, id] {
      const std::lock_guard end_lock(mutex_);
      calls_.erase(id);
    };
    return std::unique_ptr<kube::Watch>(std::move(out));
  }
  Result<std::vector<kube::Object>> transact(const std::vector<kube::Write>&) override {
    return Error{ErrorCode::method_not_allowed, "not here"};
  }
  bool atomic() const override { return false; }
  Result<kube::Resource> resource_for(std::string_view, std::string_view kind) override {
    return Error{ErrorCode::not_found, std::string(kind)};
  }
  Result<std::vector<kube::Resource>> resources() override { return std::vector<kube::Resource>{}; }

 private:
  using Id = std::pair<std::string, kube::ObjectKey>;

  static Error missing(const kube::Resource& resource, const kube::ObjectKey& key) {
    return {ErrorCode::not_found, resource.plural + " \"" + key.str() + "\" not found"};
  }
  kube::Object store(const Id& id, kube::Object object) {
    object.edit({"metadata"}).set("resourceVersion", std::to_string(++revision_));
    const auto type = objects_.contains(id) ? kube::WatchEvent::Type::modified : kube::WatchEvent::Type::added;
    objects_[id] = object;
    tell(id.first, {type, object, {}});
    return object;
  }
  void tell(const std::string& kind, const kube::WatchEvent& event) {
    for (const auto& [id, watching] : calls_) {
      if (watching.first == kind) watching.second(event);
    }
  }

  std::recursive_mutex mutex_;
  std::map<Id, kube::Object> objects_;
  std::map<int, std::pair<std::string, std::function<void(const kube::WatchEvent&)>>> calls_;
  std::int64_t revision_ = 0;
  int watches_ = 0;
};

}  // namespace caisson::node::testing
