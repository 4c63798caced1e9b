// SPDX-License-Identifier: Apache-2.0
// BackgroundQueue: one thread that takes what others leave, in batches, so that who leaves something never waits. When
// the queue is full the newest is dropped and counted. `idle`, when given, is called on that thread whenever nothing
// came for `idle_for`. The destructor writes what is queued and joins. Any thread.
#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

#include "core/base/clock.h"
#include "core/base/log.h"

namespace caisson::kube {

template <class T>
class BackgroundQueue {
 public:
  BackgroundQueue(std::string_view name, std::size_t queued_max, std::size_t batch_max,
                  std::function<void(std::vector<T>)> handle, std::function<void()> idle = {}, Duration idle_for = {})
      : name_(name),
        queued_max_(queued_max),
        batch_max_(batch_max),
        handle_(std::move(handle)),
        idle_(std::move(idle)),
        idle_for_(idle_for),
        thread_([this] { run(); }) {}

  ~BackgroundQueue() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      changed_.notify_all();
    }
    thread_.join();
  }

  void add(T item) {
    const std::lock_guard lock(mutex_);
    if (queue_.size() >= queued_max_) {
      if (dropped_++ == 0) log::warning("queue is full, dropping", {{"queue", name_}, {"queued_max", queued_max_}});
      return;
    }
    queue_.push_back(std::move(item));
    changed_.notify_all();
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      const auto ready = [this] { return stopping_ || !queue_.empty(); };
      if (!idle_) {
        changed_.wait(lock, ready);
      } else if (!changed_.wait_for(lock, idle_for_, ready)) {
        lock.unlock();
        idle_();
        lock.lock();
        continue;
      }
      if (queue_.empty()) return;
      std::vector<T> batch;
      for (; !queue_.empty() && batch.size() < batch_max_; queue_.pop_front())
        batch.push_back(std::move(queue_.front()));
      if (dropped_ > 0) log::warning("dropped while the queue was full", {{"queue", name_}, {"count", dropped_}});
      dropped_ = 0;
      lock.unlock();
      handle_(std::move(batch));
      lock.lock();
    }
  }

  const std::string_view name_;
  const std::size_t queued_max_, batch_max_;
  const std::function<void(std::vector<T>)> handle_;
  const std::function<void()> idle_;
  const Duration idle_for_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<T> queue_;
  std::size_t dropped_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace caisson::kube
