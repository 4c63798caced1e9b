// SPDX-License-Identifier: Apache-2.0
#include "cluster/store/delivery.h"

#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

namespace caisson::store {
namespace {

struct Watcher {
  WatchOptions options;
  std::function<void(const Event&)> call;
  std::vector<Event> missed;  // delivered first
  Revision delivered = 0;     // events up to here are not for this watch any more
  Duration started{}, bookmarked{};
  std::mutex calling;  // held while `call` runs
  std::atomic<std::thread::id> caller{};
  std::atomic<bool> ended{false};

  void deliver(const Event& event) {
    const std::lock_guard lock(calling);
    if (ended) return;
    caller = std::this_thread::get_id();
    call(event);
    caller = std::thread::id();
    if (event.type == Event::Type::closed) ended = true;
  }
};
using WatcherPtr = std::shared_ptr<Watcher>;

}  // namespace

struct Delivery::Impl {
  explicit Impl(Clock& c) : clock(c) {}

  Clock& clock;
  std::mutex mutex;
  std::condition_variable changed;
  std::multimap<std::string, WatcherPtr, std::less<>> watchers;  // by resource
  std::vector<WatcherPtr> added;                                 // whose missed events wait
  std::vector<Event> events;
  Revision published = 0;  // of the last event, wanted or not
  bool stopping = false;
  std::thread thread;

  void run();
  void tick(Duration now);
  std::vector<WatcherPtr> of(std::string_view resource);
  bool timed() const;
};

namespace {

class Handle : public Watch {
 public:
  Handle(std::weak_ptr<void> owner, WatcherPtr watcher, std::function<void()> forget)
      : owner_(std::move(owner)), watcher_(std::move(watcher)), forget_(std::move(forget)) {}
  ~Handle() override {
    watcher_->ended = true;
    if (watcher_->caller.load() != std::this_thread::get_id()) {
      const std::lock_guard lock(watcher_->calling);  // a running callback ends first
      watcher_->call = nullptr;
    }
    if (const auto alive = owner_.lock()) forget_();
  }

 private:
  std::weak_ptr<void> owner_;
  WatcherPtr watcher_;
  std::function<void()> forget_;
};

bool wanted(const Watcher& watcher, const Event& event) {
  return event.revision > watcher.delivered && (watcher.options.ns.empty() || event.after->ns() == watcher.options.ns);
}

}  // namespace

Delivery::Delivery(Clock& clock) : impl_(std::make_shared<Impl>(clock)) {
  impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
}

Delivery::~Delivery() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->changed.notify_all();
  impl_->thread.join();
}

std::vector<WatcherPtr> Delivery::Impl::of(std::string_view resource) {
  const std::lock_guard lock(mutex);
  std::vector<WatcherPtr> found;
  const auto [begin, end] = watchers.equal_range(resource);
  for (auto it = begin; it != end; ++it) found.push_back(it->second);
  return found;
}

bool Delivery::Impl::timed() const {
  for (const auto& [resource, watcher] : watchers)
    if (watcher->options.bookmark_every.count() > 0 || watcher->options.time_max.count() > 0) return true;
  return false;
}

void Delivery::Impl::run() {
  std::unique_lock lock(mutex);
  while (true) {
    const auto ready = [&] { return stopping || !added.empty() || !events.empty(); };
    // Only bookmarks and time limits need the thread to wake by itself.
    if (timed())
      changed.wait_for(lock, std::chrono::milliseconds(500), ready);
    else
      changed.wait(lock, [&] { return ready() || timed(); });
    if (stopping) break;
    const std::vector<WatcherPtr> fresh = std::exchange(added, {});
    const std::vector<Event> batch = std::exchange(events, {});
    lock.unlock();
    for (const WatcherPtr& watcher : fresh)
      for (const Event& event : std::exchange(watcher->missed, {})) watcher->deliver(event);
    std::vector<WatcherPtr> found;  // who came after the batch was taken wants nothing of it
    const std::string* resource = nullptr;
    for (const Event& event : batch) {
      if (!resource || *resource != event.after->resource()) found = of(event.after->resource());
      resource = &event.after->resource();
      for (const WatcherPtr& watcher : found)
        if (wanted(*watcher, event)) watcher->deliver(event);
    }
    tick(clock.monotonic());
    lock.lock();
  }
  const auto all = std::exchange(watchers, {});
  lock.unlock();
  for (const auto& [resource, watcher] : all)
    watcher->deliver({.type = Event::Type::closed, .error = Error{ErrorCode::unavailable, "the store is closing"}});
}

void Delivery::Impl::tick(Duration now) {
  std::vector<std::pair<WatcherPtr, Event>> due;
  {
    const std::lock_guard lock(mutex);
    // Soon again; a bookmark must not overtake. Else this thread has delivered all that was published.
    if (!events.empty() || !added.empty()) return;
    for (auto& [resource, watcher] : watchers) {
      const WatchOptions& options = watcher->options;
      if (options.time_max.count() > 0 && now - watcher->started >= options.time_max) {
        due.emplace_back(watcher, Event{.type = Event::Type::closed});
      } else if (options.bookmark_every.count() > 0 && now - watcher->bookmarked >= options.bookmark_every) {
        watcher->bookmarked = now;
        due.emplace_back(watcher,
                         Event{.type = Event::Type::bookmark, .revision = std::max(published, watcher->delivered)});
      }
    }
  }
  for (const auto& [watcher, event] : due)
    if (!watcher->ended) watcher->deliver(event);
}

std::unique_ptr<Watch> Delivery::add(const WatchOptions& options, std::function<void(const Event&)> call,
                                     std::vector<Event> missed, Revision revision) {
  auto watcher = std::make_shared<Watcher>();
  watcher->options = options;
  watcher->call = std::move(call);
  watcher->missed = std::move(missed);
  watcher->delivered = revision;
  watcher->started = watcher->bookmarked = impl_->clock.monotonic();
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->watchers.emplace(options.resource, watcher);
    impl_->added.push_back(watcher);
  }
  impl_->changed.notify_one();
  const auto forget = [impl = impl_.get(), watcher] {
    const std::lock_guard lock(impl->mutex);
    const auto [begin, end] = impl->watchers.equal_range(watcher->options.resource);
    for (auto it = begin; it != end; ++it) {
      if (it->second != watcher) continue;
      impl->watchers.erase(it);
      return;
    }
  };
  return std::make_unique<Handle>(impl_, watcher, forget);
}

void Delivery::publish(std::vector<Event> events) {
  {
    const std::lock_guard lock(impl_->mutex);
    if (!events.empty()) impl_->published = events.back().revision;
    // What nobody watches wakes nobody.
    std::erase_if(events, [&](const Event& event) { return !impl_->watchers.contains(event.after->resource()); });
    if (events.empty()) return;
    const bool on_its_way = !impl_->events.empty();
    for (Event& event : events) impl_->events.push_back(std::move(event));
    if (on_its_way) return;
  }
  impl_->changed.notify_one();
}

std::size_t Delivery::watches() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->watchers.size();
}

}  // namespace caisson::store
