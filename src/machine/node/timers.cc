// SPDX-License-Identifier: Apache-2.0
#include "machine/node/timers.h"

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

namespace caisson::node {

struct Timers::Impl {
  using Moment = std::chrono::steady_clock::time_point;

  void loop() {
    std::unique_lock lock(mutex);
    while (!stopping) {
      if (calls.empty()) {
        changed.wait(lock);
        continue;
      }
      const auto first = calls.begin();
      if (std::chrono::steady_clock::now() < first->first) {
        const Moment until = first->first;
        changed.wait_until(lock, until);
        continue;
      }
      const auto call = std::move(first->second);
      calls.erase(first);
      lock.unlock();
      call();
      lock.lock();
    }
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::multimap<Moment, std::function<void()>> calls;
  bool stopping = false;
  std::thread thread;
};

Timers::Timers() : impl_(std::make_unique<Impl>()) {
  impl_->thread = std::thread([this] { impl_->loop(); });
}

Timers::~Timers() {
  stop();
}

void Timers::stop() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->changed.notify_all();
  if (impl_->thread.joinable()) impl_->thread.join();
}

void Timers::after(Duration delay, std::function<void()> call) {
  const auto at = std::chrono::steady_clock::now() +
                  std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::max(delay, Duration(0)));
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->stopping) return;
    impl_->calls.emplace(at, std::move(call));
  }
  impl_->changed.notify_all();
}

}  // namespace caisson::node
