// SPDX-License-Identifier: Apache-2.0
// Source: client-go's reflector.go and thread_safe_store.go. One thread an informer lists, watches and waits for the
// watch to end; events are put into the cache on the watch's own thread.
#include "cluster/kube/informer.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <thread>

#include "cluster/kube/timed_wait.h"
#include "core/base/log.h"
#include "core/base/random.h"

namespace caisson::kube {
namespace {

constexpr std::int64_t kPageItems = 500;
constexpr Duration kBackoffMin = std::chrono::milliseconds(100);
constexpr Duration kBackoffMax = std::chrono::seconds(30);

bool must_list_again(const Error& error) {
  return error.code == ErrorCode::gone || error.code == ErrorCode::expired;
}

struct Index {
  std::function<std::vector<std::string>(const Object&)> keys;
  std::map<std::string, std::set<ObjectKey>, std::less<>> members;
};

std::vector<std::string> controller_uid(const Object& object) {
  const auto owner = object.controller();
  return owner ? std::vector<std::string>{owner->uid} : std::vector<std::string>{};
}

// The objects and their indexes. Readers share the lock for as long as it takes to copy references.
class Cache {
 public:
  Cache() { indexes_["controller"].keys = controller_uid; }

  void add_index(std::string name, std::function<std::vector<std::string>(const Object&)> keys) {
    const std::unique_lock lock(mutex_);
    Index& index = indexes_[std::move(name)];
    index.keys = std::move(keys);
    for (const auto& [key, object] : objects_) enter(index, key, object);
  }

  // Gives what was there before.
  std::optional<Object> put(const ObjectKey& key, const Object& object) {
    const std::unique_lock lock(mutex_);
    std::optional<Object> before = take(key);
    for (auto& [name, index] : indexes_) enter(index, key, object);
    objects_.emplace(key, object);
    return before;
  }
  std::optional<Object> erase(const ObjectKey& key) {
    const std::unique_lock lock(mutex_);
    return take(key);
  }

  std::optional<Object> find(const ObjectKey& key) const {
    const std::shared_lock lock(mutex_);
    const auto found = objects_.find(key);
    return found == objects_.end() ? std::nullopt : std::optional(found->second);
  }
  std::vector<Object> in_namespace(std::string_view ns) const {
    const std::shared_lock lock(mutex_);
    std::vector<Object> out;
    auto at = ns.empty() ? objects_.begin() : objects_.lower_bound(ObjectKey{std::string(ns), ""});
    if (ns.empty()) out.reserve(objects_.size());
    for (; at != objects_.end() && (ns.empty() || at->first.ns == ns); ++at) out.push_back(at->second);
    return out;
  }
  std::vector<Object> by_index(std::string_view name, std::string_view value) const {
    const std::shared_lock lock(mutex_);
    std::vector<Object> out;
    const auto index = indexes_.find(name);
    if (index == indexes_.end()) return out;
    const auto members = index->second.members.find(value);
    if (members == index->second.members.end()) return out;
    for (const ObjectKey& key : members->second) out.push_back(objects_.at(key));
    return out;
  }

 private:
  static void enter(Index& index, const ObjectKey& key, const Object& object) {
    for (const std::string& value : index.keys(object)) index.members[value].insert(key);
  }
  std::optional<Object> take(const ObjectKey& key) {
    const auto found = objects_.find(key);
    if (found == objects_.end()) return std::nullopt;
    for (auto& [name, index] : indexes_) {
      for (const std::string& value : index.keys(found->second)) {
        const auto members = index.members.find(value);
        if (members == index.members.end()) continue;
        members->second.erase(key);
        if (members->second.empty()) index.members.erase(members);
      }
    }
    std::optional<Object> object = std::move(found->second);
    objects_.erase(found);
    return object;
  }

  mutable std::shared_mutex mutex_;
  std::map<ObjectKey, Object> objects_;                // GUARDED_BY(mutex_)
  std::map<std::string, Index, std::less<>> indexes_;  // GUARDED_BY(mutex_)
};

}  // namespace

struct Informer::Impl {
  Client& client;
  const Resource resource;
  const ListOptions options;
  Clock& clock;
  Cache cache;

  std::mutex dispatch_mutex;      // held while a change enters the cache and the handlers see it: one order for all
  std::vector<Handler> handlers;  // GUARDED_BY(dispatch_mutex)
  std::string resource_version;   // GUARDED_BY(dispatch_mutex)

  mutable std::mutex state_mutex;
  mutable std::condition_variable state_changed;
  bool started = false, stopping = false, synced = false;  // GUARDED_BY(state_mutex)
  bool watch_ended = false;                                // GUARDED_BY(state_mutex)
  std::optional<Error> watch_error;                        // GUARDED_BY(state_mutex)
  std::thread thread;

  Impl(Client& c, Resource r, ListOptions o, Clock& k)
      : client(c), resource(std::move(r)), options(std::move(o)), clock(k) {}

  void notify(const Object* before, const Object* after) {
    for (const Handler& handler : handlers) handler(before, after);
  }

  // REQUIRES: dispatch_mutex is held, here and in erase.
  void put(const Object& object) {
    const std::optional<Object> before = cache.put(object.key(), object);
    if (before && before->resource_version() == object.resource_version() && !object.resource_version().empty()) return;
    notify(before ? &*before : nullptr, &object);
  }
  void erase(const ObjectKey& key, const Object* last) {
    const std::optional<Object> before = cache.erase(key);
    if (before) notify(last ? last : &*before, nullptr);
  }

  void on_event(const WatchEvent& event) {
    if (event.type == WatchEvent::Type::closed) {
      const std::lock_guard lock(state_mutex);
      watch_ended = true;
      watch_error = event.error;
      state_changed.notify_all();
      return;
    }
    const std::lock_guard lock(dispatch_mutex);
    resource_version = event.object.resource_version();
    if (event.type == WatchEvent::Type::deleted)
      erase(event.object.key(), &event.object);
    else if (event.type != WatchEvent::Type::bookmark)
      put(event.object);
  }

  // Reads everything and makes the cache equal to it: what is gone from the list was deleted while nobody looked.
  Result<void> list() {
    ListOptions page = options;
    page.limit = kPageItems;
    std::vector<Object> items;
    std::string version;
    do {
      ObjectList got = TRY(client.list(resource, page));
      version = got.resource_version;
      page.continue_token = got.continue_token;
      items.insert(items.end(), std::make_move_iterator(got.items.begin()), std::make_move_iterator(got.items.end()));
    } while (!page.continue_token.empty() && !is_stopping());
    std::set<ObjectKey> present;
    for (const Object& object : items) present.insert(object.key());
    const std::lock_guard lock(dispatch_mutex);
    for (const Object& object : cache.in_namespace({})) {
      if (!present.contains(object.key())) erase(object.key(), nullptr);
    }
    for (const Object& object : items) put(object);
    resource_version = version;
    return {};
  }

  // Until the watch ends. Errors: why it ended; none when the server closed it in good order.
  Result<void> watch() {
    ListOptions from = options;
    {
      const std::lock_guard lock(dispatch_mutex);
      from.resource_version = resource_version;
    }
    {
      const std::lock_guard lock(state_mutex);
      watch_ended = false;
      watch_error.reset();
    }
    const std::unique_ptr<Watch> watch =
        TRY(client.watch(resource, from, [this](const WatchEvent& event) { on_event(event); }));
    std::unique_lock lock(state_mutex);
    state_changed.wait(lock, [this] { return watch_ended || stopping; });
    const std::optional<Error> error = watch_error;
    lock.unlock();  // the watch's destructor waits for a callback that may want the lock
    if (error) return *error;
    return {};
  }

  bool is_stopping() const {
    const std::lock_guard lock(state_mutex);
    return stopping;
  }

  // Between half of and all of `pause`, so that many informers do not come back at once.
  void wait_jittered(Duration pause) {
    const Duration half = pause / 2;
    const Duration deadline =
        clock.monotonic() + half + Duration(static_cast<std::int64_t>(random_u64() % (half.count() + 1)));
    std::unique_lock lock(state_mutex);
    while (!stopping && clock.monotonic() < deadline) wait_until(state_changed, lock, clock, deadline);
  }

  void run() {
    bool lists = true;
    Duration pause = kBackoffMin;
    while (!is_stopping()) {
      const bool listing = lists;
      const Duration begun = clock.monotonic();
      Result<void> done = lists ? list() : watch();
      // A server that ends every watch at once is not asked in a tight circle.
      const bool lasted = clock.monotonic() - begun > std::chrono::seconds(1);
      if (done.ok()) {
        if (listing) mark_synced();
        lists = false;
        if (listing || lasted) {
          pause = kBackoffMin;
          continue;
        }
      } else if (!listing && must_list_again(done.error())) {
        lists = true;
        continue;
      } else if (!is_stopping()) {
        // A kind that is not served (yet) has no objects: who waits for the first list need not wait for it.
        if (listing && done.error().code == ErrorCode::not_found) mark_synced();
        log::warning("informer interrupted",
                     {{"kind", resource.kind}, {"doing", listing ? "list" : "watch"}, {"error", done.error()}});
      }
      if (!listing && lasted) pause = kBackoffMin;  // it was good for a while: this trouble is a new one
      wait_jittered(pause);
      pause = std::min(pause * 2, kBackoffMax);
    }
  }

  void mark_synced() {
    const std::lock_guard lock(state_mutex);
    synced = true;
    state_changed.notify_all();
  }

  void stop() {
    {
      const std::lock_guard lock(state_mutex);
      stopping = true;
      state_changed.notify_all();
    }
    if (thread.joinable()) thread.join();
  }
};

Informer::Informer(Client& client, Resource resource, ListOptions options, Clock& clock)
    : impl_(std::make_shared<Impl>(client, std::move(resource), std::move(options), clock)) {}

Informer::~Informer() {
  impl_->stop();
}

const Resource& Informer::resource() const {
  return impl_->resource;
}

void Informer::start() {
  const std::lock_guard lock(impl_->state_mutex);
  if (impl_->started || impl_->stopping) return;
  impl_->started = true;
  impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
}

void Informer::stop() {
  impl_->stop();
}

bool Informer::synced() const {
  const std::lock_guard lock(impl_->state_mutex);
  return impl_->synced;
}

bool Informer::wait_synced(Duration time_max) const {
  std::unique_lock lock(impl_->state_mutex);
  return impl_->state_changed.wait_for(lock, time_max, [this] { return impl_->synced || impl_->stopping; }) &&
         impl_->synced;
}

std::optional<Object> Informer::find(const ObjectKey& key) const {
  return impl_->cache.find(key);
}

std::vector<Object> Informer::list(std::string_view ns, const LabelSelector& selector) const {
  std::vector<Object> out = impl_->cache.in_namespace(ns);
  if (!selector.everything())
    std::erase_if(out, [&](const Object& o) { return !selector.matches(o.metadata()["labels"]); });
  return out;
}

std::vector<Object> Informer::controlled_by(std::string_view uid) const {
  return impl_->cache.by_index("controller", uid);
}

void Informer::add_index(std::string name, std::function<std::vector<std::string>(const Object&)> keys) {
  impl_->cache.add_index(std::move(name), std::move(keys));
}

std::vector<Object> Informer::by_index(std::string_view name, std::string_view key) const {
  return impl_->cache.by_index(name, key);
}

void Informer::on_change(Handler handler) {
  const std::lock_guard lock(impl_->dispatch_mutex);
  for (const Object& object : impl_->cache.in_namespace({})) handler(nullptr, &object);
  impl_->handlers.push_back(std::move(handler));
}

}  // namespace caisson::kube
