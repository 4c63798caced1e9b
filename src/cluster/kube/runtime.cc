// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <map>
#include <mutex>
#include <thread>

#include "cluster/kube/dispatcher.h"
#include "cluster/kube/reconciler.h"

namespace caisson::kube {

struct Queue::Impl {
  std::shared_ptr<Dispatcher> dispatcher;
  Dispatcher::Lane& lane;
};

void Queue::add(const ObjectKey& key) const {
  impl_->dispatcher->add(impl_->lane, key);
}
void Queue::add_after(const ObjectKey& key, Duration delay) const {
  impl_->dispatcher->add_after(impl_->lane, key, delay);
}

struct Runtime::Impl {
  Client& client;
  Clock& clock;
  std::shared_ptr<Dispatcher> dispatcher;
  std::mutex mutex;
  std::map<std::pair<std::string, std::string>, std::unique_ptr<Informer>>
      informers;         // by apiVersion and kind; GUARDED_BY(mutex)
  bool started = false;  // GUARDED_BY(mutex)
  std::atomic<bool> stopping = false;
  std::thread starter;

  std::vector<Informer*> all_informers() {
    const std::lock_guard lock(mutex);
    std::vector<Informer*> out;
    for (const auto& [key, informer] : informers) out.push_back(informer.get());
    return out;
  }

  bool wait_synced(Duration time_max) {
    const auto deadline = std::chrono::steady_clock::now() + time_max;
    for (const Informer* informer : all_informers()) {
      while (!informer->synced()) {
        const auto left = deadline - std::chrono::steady_clock::now();
        if (stopping || left <= Duration(0)) return false;
        informer->wait_synced(std::min<Duration>(left, std::chrono::milliseconds(100)));
      }
    }
    return true;
  }
};

Runtime::Runtime(Client& client, Clock& clock, RuntimeOptions options)
    : impl_(new Impl{client, clock, std::make_shared<Dispatcher>(clock, options), {}, {}, false, false, {}}) {}

// Threads first, then what calls into reconcilers, then the reconcilers. A handler of one informer may read another:
// all are stopped before the first goes.
Runtime::~Runtime() {
  impl_->stopping = true;
  if (impl_->starter.joinable()) impl_->starter.join();
  impl_->dispatcher->stop();
  for (Informer* informer : impl_->all_informers()) informer->stop();
  impl_->informers.clear();
  impl_->dispatcher->drop_reconcilers();
}

Client& Runtime::client() {
  return impl_->client;
}
Clock& Runtime::clock() {
  return impl_->clock;
}

Informer& Runtime::informer(const Resource& resource) {
  const std::lock_guard lock(impl_->mutex);
  auto& informer = impl_->informers[{resource.api_version(), resource.kind}];
  if (!informer) {
    informer = std::make_unique<Informer>(impl_->client, resource, ListOptions{}, impl_->clock);
    if (impl_->started && !impl_->stopping) informer->start();
  }
  return *informer;
}

Queue Runtime::add(std::unique_ptr<Reconciler> reconciler, int concurrent_max) {
  Queue queue;
  Dispatcher::Lane& lane = impl_->dispatcher->add_lane(std::move(reconciler), concurrent_max);
  queue.impl_ = std::shared_ptr<Queue::Impl>(new Queue::Impl{impl_->dispatcher, lane});
  return queue;
}

void Runtime::watch(const Resource& resource, const Queue& queue, Map map) {
  if (!map) map = [](const Object& object) { return std::vector<ObjectKey>{object.key()}; };
  // An object that moved from one owner to another concerns both.
  informer(resource).on_change([queue, map = std::move(map)](const Object* before, const Object* after) {
    for (const Object* object : {before, after}) {
      if (!object) continue;
      for (const ObjectKey& key : map(*object)) queue.add(key);
    }
  });
}

Runtime::Map Runtime::to_controller(std::string kind) {
  return [kind = std::move(kind)](const Object& object) -> std::vector<ObjectKey> {
    const auto owner = object.controller();
    if (!owner || owner->kind != kind) return {};
    return {ObjectKey{object.ns(), owner->name}};
  };
}

void Runtime::start() {
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->started) return;
    impl_->started = true;
    for (const auto& [key, informer] : impl_->informers) informer->start();
  }
  impl_->starter = std::thread([impl = impl_.get()] {
    if (impl->wait_synced(std::chrono::hours(24 * 365))) impl->dispatcher->start();
  });
}

bool Runtime::wait_synced(Duration time_max) {
  return impl_->wait_synced(time_max);
}

bool Runtime::wait_idle(Duration time_max, Duration horizon) {
  return impl_->dispatcher->wait_idle(time_max, horizon);
}

Value Runtime::metrics() const {
  return impl_->dispatcher->metrics();
}

}  // namespace caisson::kube
