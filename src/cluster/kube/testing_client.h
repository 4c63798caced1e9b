// SPDX-License-Identifier: Apache-2.0
// TestingClient: what the unit tests of the informer and the runtime need of a server: a map of objects, watches that
// the test can cut, errors that it can order. Everything else is tested against the real API server. Any thread.
#pragma once
#include <algorithm>
#include <deque>
#include <map>
#include <mutex>

#include "cluster/kube/client.h"

namespace caisson::kube {

class TestingClient : public Client {
 public:
  std::map<ObjectKey, Object> objects;
  std::deque<Error> list_errors, watch_errors;  // the next calls fail with these
  int lists = 0, watches = 0, creates = 0, patches = 0;
  std::int64_t page_items = 1000;

  // What a writer elsewhere does.
  void put(const ObjectKey& key, const std::string& text, bool seen = true) {
    const std::lock_guard lock(mutex_);
    Object object = Object::make(schema::kConfigMaps, key.ns, key.name);
    object.edit({"data"}).set("text", text);
    object.edit({"metadata"}).set("resourceVersion", std::to_string(++revision_));
    const auto type = objects.contains(key) ? WatchEvent::Type::modified : WatchEvent::Type::added;
    objects[key] = object;
    if (seen) tell({type, object, {}});
  }
  void erase(const ObjectKey& key, bool seen = true) {
    const std::lock_guard lock(mutex_);
    const Object last = objects[key];
    objects.erase(key);
    ++revision_;
    if (seen) tell({WatchEvent::Type::deleted, last, {}});
  }
  void cut(std::optional<Error> error) {
    const std::lock_guard lock(mutex_);
    tell({WatchEvent::Type::closed, {}, std::move(error)});
  }
  int watch_count() {
    const std::lock_guard lock(mutex_);
    return watches;
  }
  std::size_t open_watches() {
    const std::lock_guard lock(mutex_);
    return calls_.size();
  }

  Result<ObjectList> list(const Resource&, const ListOptions& options) override {
    const std::lock_guard lock(mutex_);
    ++lists;
    if (!list_errors.empty()) return pop(list_errors);
    ObjectList out;
    std::int64_t at = 0;
    const std::int64_t from = options.continue_token.empty() ? 0 : std::stoll(options.continue_token);
    for (const auto& [key, object] : objects) {
      if (at++ >= from && static_cast<std::int64_t>(out.items.size()) < page_items) out.items.push_back(object);
    }
    if (from + page_items < at) out.continue_token = std::to_string(from + page_items);
    out.resource_version = std::to_string(revision_);
    return out;
  }

  Result<std::unique_ptr<Watch>> watch(const Resource&, const ListOptions&,
                                       std::function<void(const WatchEvent&)> call) override {
    const std::lock_guard lock(mutex_);
    ++watches;
    if (!watch_errors.empty()) return pop(watch_errors);
    const int id = watches;
    calls_[id] = std::move(call);
    struct Ending : Watch {
      std::function<void()> end;
      ~Ending() override { end(); }
    };
    auto out = std::make_unique<Ending>();
    out->end = [this, id] {
      const std::lock_guard end_lock(mutex_);
      calls_.erase(id);
    };
    return std::unique_ptr<Watch>(std::move(out));
  }

  Result<Object> create(const Object& object, const WriteOptions&) override {
    const std::lock_guard lock(mutex_);
    ++creates;
    if (objects.contains(object.key())) return Error{ErrorCode::already_exists, "there already"};
    return objects[object.key()] = object;
  }
  Result<Object> patch(const Resource&, const ObjectKey& key, PatchType, const Value& patch,
                       const WriteOptions&) override {
    const std::lock_guard lock(mutex_);
    ++patches;
    if (!objects.contains(key)) return Error{ErrorCode::not_found, "not there"};
    for (const auto& entry : patch.entries()) objects[key].edit().set(entry.key, entry.value);
    return objects[key];
  }
  Result<Object> update(const Object& object, const WriteOptions&) override {
    const std::lock_guard lock(mutex_);
    return objects[object.key()] = object;
  }
  Result<Object> get(const Resource&, const ObjectKey& key) override {
    const std::lock_guard lock(mutex_);
    if (!objects.contains(key)) return Error{ErrorCode::not_found, "not there"};
    return objects[key];
  }
  Result<Object> apply(const Object& object, const WriteOptions& options) override { return update(object, options); }
  Result<void> remove(const Resource&, const ObjectKey& key, const DeleteOptions&) override {
    erase(key);
    return {};
  }
  Result<Value> post(const Resource&, const ObjectKey&, std::string_view, const Value&) override { return refuse(); }
  Result<std::vector<Object>> transact(const std::vector<Write>&) override { return refuse(); }
  bool atomic() const override { return false; }
  Result<Resource> resource_for(std::string_view, std::string_view) override { return schema::kConfigMaps; }
  Result<std::vector<Resource>> resources() override { return refuse(); }

 private:
  static Error refuse() { return {ErrorCode::method_not_allowed, "not part of these tests"}; }
  static Error pop(std::deque<Error>& errors) {
    Error error = errors.front();
    errors.pop_front();
    return error;
  }
  void tell(const WatchEvent& event) {
    for (const auto& [id, call] : calls_) call(event);
  }

  std::mutex mutex_;
  std::map<int, std::function<void(const WatchEvent&)>> calls_;
  std::int64_t revision_ = 0;
};

// Waits (for seconds at most) until `condition` holds.
inline bool eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

}  // namespace caisson::kube
