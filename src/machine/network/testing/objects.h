// SPDX-License-Identifier: Apache-2.0
// For tests: objects of several kinds behind kube::Client, with watches. Any thread.
#pragma once
#include <map>
#include <mutex>

#include "cluster/kube/client.h"

namespace caisson::network::testing {

class Objects : public kube::Client {
 public:
  void put(const kube::Resource& resource, kube::Object object) {
    const std::lock_guard lock(mutex_);
    store(resource.plural, std::move(object));
  }
  void erase(const kube::Resource& resource, const kube::ObjectKey& key) {
    const std::lock_guard lock(mutex_);
    const auto node = kinds_[resource.plural].extract(key);
    ++revision_;
    if (!node.empty()) tell(resource.plural, {kube::WatchEvent::Type::deleted, node.mapped(), {}});
  }
  std::vector<kube::Object> all(const kube::Resource& resource) {
    const std::lock_guard lock(mutex_);
    std::vector<kube::Object> out;
    for (const auto& [key, object] : kinds_[resource.plural]) out.push_back(object);
    return out;
  }

  Result<kube::Object> get(const kube::Resource& resource, const kube::ObjectKey& key) override {
    const std::lock_guard lock(mutex_);
    const auto found = kinds_[resource.plural].find(key);
    if (found == kinds_[resource.plural].end()) return Error{ErrorCode::not_found, key.str() + " is not there"};
    return found->second;
  }
  Result<kube::ObjectList> list(const kube::Resource& resource, const kube::ListOptions&) override {
    const std::lock_guard lock(mutex_);
    kube::ObjectList out;
    for (const auto& [key, object] : kinds_[resource.plural]) out.items.push_back(object);
    out.resource_version = std::to_string(revision_);
    return out;
  }
  Result<std::unique_ptr<kube::Watch>> watch(const kube::Resource& resource, const kube::ListOptions&,
                                             std::function<void(const kube::WatchEvent&)> call) override {
    const std::lock_guard lock(mutex_);
    struct Ending : kube::Watch {
      std::function<void()> end;
      ~Ending() override { end(); }
    };
    auto out = std::make_unique<Ending>();
    const int id = ++watches_;
    calls_[resource.plural][id] = std::move(call);
    out->end = [this, plural = resource.plural, id] {
      const std::lock_guard end_lock(mutex_);
      calls_[plural].erase(id);
    };
    return std::unique_ptr<kube::Watch>(std::move(out));
  }
  Result<kube::Object> create(const kube::Object& object, const kube::WriteOptions&) override { return write(object); }
  Result<kube::Object> update(const kube::Object& object, const kube::WriteOptions&) override { return write(object); }
  Result<kube::Object> apply(const kube::Object& object, const kube::WriteOptions&) override { return write(object); }
  Result<kube::Object> patch(const kube::Resource&, const kube::ObjectKey&, kube::PatchType, const Value&,
                             const kube::WriteOptions&) override {
    return refuse();
  }
  Result<void> remove(const kube::Resource& resource, const kube::ObjectKey& key, const kube::DeleteOptions&) override {
    erase(resource, key);
    return {};
  }
  Result<Value> post(const kube::Resource&, const kube::ObjectKey&, std::string_view, const Value&) override {
    return refuse();
  }
  Result<std::vector<kube::Object>> transact(const std::vector<kube::Write>&) override { return refuse(); }
  bool atomic() const override { return false; }
  Result<kube::Resource> resource_for(std::string_view, std::string_view) override { return refuse(); }
  Result<std::vector<kube::Resource>> resources() override { return refuse(); }

 private:
  static Error refuse() { return {ErrorCode::method_not_allowed, "not part of these tests"}; }
  Result<kube::Object> write(kube::Object object) {
    const std::lock_guard lock(mutex_);
    const std::string plural = object.kind() == "Ingress"         ? "ingresses"
                               : object.kind() == "Event"         ? "events"
                               : object.kind() == "Service"       ? "services"
                               : object.kind() == "IPAddressPool" ? "ipaddresspools"
                                                                  : "others";
    return store(plural, std::move(object));
  }
  kube::Object store(const std::string& plural, kube::Object object) {
    object.edit({"metadata"}).set("resourceVersion", std::to_string(++revision_));
    auto& kind = kinds_[plural];
    const auto type = kind.contains(object.key()) ? kube::WatchEvent::Type::modified : kube::WatchEvent::Type::added;
    kind[object.key()] = object;
    tell(plural, {type, object, {}});
    return object;
  }
  void tell(const std::string& plural, const kube::WatchEvent& event) {
    for (const auto& [id, call] : calls_[plural]) call(event);
  }

  std::mutex mutex_;
  std::map<std::string, std::map<kube::ObjectKey, kube::Object>> kinds_;
  std::map<std::string, std::map<int, std::function<void(const kube::WatchEvent&)>>> calls_;
  std::int64_t revision_ = 0;
  int watches_ = 0;
};

}  // namespace caisson::network::testing
