// SPDX-License-Identifier: Apache-2.0
// MemoryClient: for the tests of this wing, the part of an API server that its rooms lean on: objects of any kind with resource versions,
// conflicts, generated names, status apart, watches, token and access reviews. No validation and no defaults. Any thread.
#pragma once
#include <deque>
#include <map>
#include <mutex>
#include <set>

#include "cluster/kube/client.h"
#include "cluster/kube/selector.h"
#include "core/base/random.h"

namespace caisson::git {

class MemoryClient : public kube::Client {
 public:
  using Resource = kube::Resource;
  std::map<std::string, std::string> users;                 // token → user name
  std::set<std::string> rights;                             // "ada update shop/app"
  Clock& clock;
  explicit MemoryClient(Clock& clock = system_clock()) : clock(clock) {}

  Result<kube::Object> get(const Resource& resource, const kube::ObjectKey& key) override {
    const std::scoped_lock lock(mutex_);
    return find(resource, key);
  }
  Result<kube::ObjectList> list(const Resource& resource, const kube::ListOptions& options) override {
    const std::scoped_lock lock(mutex_);
    kube::ObjectList out;
    const auto labels = TRY(kube::LabelSelector::parse(options.label_selector));
    const auto fields = TRY(kube::FieldSelector::parse(options.field_selector));
    for (const auto& [id, object] : objects_) {
      if (id.first != resource.group_resource() || (!options.ns.empty() && object.ns() != options.ns)) continue;
      if (labels.matches(object.metadata()["labels"]) && fields.matches(object.value())) out.items.push_back(object);
    }
    out.resource_version = std::to_string(revision_);
    return out;
  }
  Result<kube::Object> create(const kube::Object& object, const kube::WriteOptions& = {}) override {
    const std::scoped_lock lock(mutex_);
    const Resource resource = TRY(resource_for(object.api_version(), object.kind()));
    kube::Object made = object;
    if (resource == schema::kTokenReviews) return review_token(std::move(made));
    if (resource == schema::kSubjectAccessReviews) return review_access(std::move(made));
    Value& metadata = made.edit({"metadata"});
    if (made.name().empty()) metadata.set("name", metadata["generateName"].str() + random_name_suffix(5));
    const Id id{resource.group_resource(), made.key()};
    if (objects_.contains(id)) return Error{ErrorCode::already_exists, resource.plural + " \"" + made.name() + "\" already exists"};
    metadata.set("uid", random_uuid());
    metadata.set("generation", 1);
    metadata.set("creationTimestamp", format_time(clock.now()));
    return store(resource, id, std::move(made), kube::WatchEvent::Type::added);
  }
  Result<kube::Object> update(const kube::Object& object, const kube::WriteOptions& options = {}) override {
    const std::scoped_lock lock(mutex_);
    const Resource resource = TRY(resource_for(object.api_version(), object.kind()));
    const kube::Object live = TRY(find(resource, object.key()));
    if (!object.resource_version().empty() && object.resource_version() != live.resource_version())
      return Error{ErrorCode::conflict, "the object has been modified"};
    kube::Object next = object;
    if (options.subresource == "status") {
      next = live;
      next.edit().set("status", object.status());
    } else if (!live.status().is_null()) {
      next.edit().set("status", live.status());
    }
    const Id id{resource.group_resource(), next.key()};
    return store(resource, id, std::move(next), kube::WatchEvent::Type::modified);
  }
  Result<kube::Object> patch(const Resource& resource, const kube::ObjectKey& key, kube::PatchType, const Value& patch,
                             const kube::WriteOptions& = {}) override {
    const std::scoped_lock lock(mutex_);
    kube::Object next = TRY(find(resource, key));
    merge(next.edit(), patch);
    return store(resource, {resource.group_resource(), key}, std::move(next), kube::WatchEvent::Type::modified);
  }
  Result<kube::Object> apply(const kube::Object& object, const kube::WriteOptions& options = {}) override {
    auto made = create(object, options);
    return made.ok() || made.error().code != ErrorCode::already_exists ? made : update(object, options);
  }
  Result<void> remove(const Resource& resource, const kube::ObjectKey& key, const kube::DeleteOptions& = {}) override {
    const std::scoped_lock lock(mutex_);
    const kube::Object last = TRY(find(resource, key));
    objects_.erase({resource.group_resource(), key});
    ++revision_;
    tell(resource, {kube::WatchEvent::Type::deleted, last, {}});
    return {};
  }
  Result<Value> post(const Resource&, const kube::ObjectKey&, std::string_view, const Value&) override { return refuse(); }
  Result<std::unique_ptr<kube::Watch>> watch(const Resource& resource, const kube::ListOptions&,
                                             std::function<void(const kube::WatchEvent&)> call) override {
    const std::scoped_lock lock(mutex_);
    struct Ending : kube::Watch {
      std::function<void()> end;
      ~Ending() override { end(); }
    };
    const int id = ++watch_ids_;
    watches_[id] = {resource.group_resource(), std::move(call)};
    auto out = std::make_unique<Ending>();
    out->end = [this, id] {
      const std::scoped_lock end_lock(mutex_);
      watches_.erase(id);
    };
    return std::unique_ptr<kube::Watch>(std::move(out));
  }
  Result<std::vector<kube::Object>> transact(const std::vector<kube::Write>&) override { return refuse(); }
  bool atomic() const override { return false; }
  Result<Resource> resource_for(std::string_view api_version, std::string_view kind) override {
    for (const Resource& resource :
         {schema::kNamespaces, schema::kPods, schema::kConfigMaps, schema::kSecrets, schema::kServiceAccounts, schema::kEvents,
          schema::kPersistentVolumeClaims, schema::kTokenReviews, schema::kSubjectAccessReviews, schema::kTasks, schema::kTaskRuns,
          schema::kPipelines, schema::kPipelineRuns, schema::kEventListeners, schema::kTriggerBindings, schema::kTriggerTemplates,
          schema::kRepositories, schema::kPushEvents, schema::kSpans, Resource{"triggers.tekton.dev", "v1beta1", "Trigger", "triggers"}}) {
      if (resource.kind == kind && resource.api_version() == api_version) return resource;
    }
    return Error{ErrorCode::not_found, "no matches for kind \"" + std::string(kind) + "\" in version \"" + std::string(api_version) + "\""};
  }
  Result<std::vector<Resource>> resources() override { return refuse(); }

 private:
  using Id = std::pair<std::string, kube::ObjectKey>;
  static Error refuse() { return {ErrorCode::method_not_allowed, "not part of these tests"}; }
  Result<kube::Object> find(const Resource& resource, const kube::ObjectKey& key) const {
    const auto found = objects_.find({resource.group_resource(), key});
    if (found == objects_.end()) return Error{ErrorCode::not_found, resource.plural + " \"" + key.name + "\" not found"};
    return found->second;
  }
  Result<kube::Object> store(const Resource& resource, const Id& id, kube::Object object, kube::WatchEvent::Type type) {
    object.edit({"metadata"}).set("resourceVersion", std::to_string(++revision_));
    objects_[id] = object;
    tell(resource, {type, object, {}});
    return object;
  }
  void tell(const Resource& resource, const kube::WatchEvent& event) {
    for (const auto& [id, watch] : watches_) {
      if (watch.first == resource.group_resource()) watch.second(event);
    }
  }
  static void merge(Value& into, const Value& patch) {
    for (const auto& entry : patch.entries()) {
      if (entry.value.is_map()) merge(into.edit(entry.key), entry.value);
      else if (entry.value.is_null()) into.erase(entry.key);
      else into.set(entry.key, entry.value);
    }
  }
  kube::Object review_token(kube::Object review) const {
    const auto found = users.find(review.spec()["token"].str());
    Value& status = review.edit({"status"});
    status.set("authenticated", found != users.end());
    if (found != users.end()) status.set("user", Value{{"username", found->second}, {"groups", Value::list_of({"system:authenticated"})}});
    return review;
  }
  kube::Object review_access(kube::Object review) const {
    const Value attributes = review.spec()["resourceAttributes"];
    const std::string wanted = review.spec()["user"].str() + " " + attributes["verb"].str() + " " + attributes["namespace"].str() + "/" +
                               attributes["name"].str();
    review.edit({"status"}).set("allowed", rights.contains(wanted));
    return review;
  }

  mutable std::mutex mutex_;
  std::map<Id, kube::Object> objects_;
  std::map<int, std::pair<std::string, std::function<void(const kube::WatchEvent&)>>> watches_;
  int watch_ids_ = 0;
  std::int64_t revision_ = 0;
};

}  // namespace caisson::git
