// SPDX-License-Identifier: Apache-2.0
#include "core/http/handler_pool.h"

#include <algorithm>
#include <utility>

#include "core/base/log.h"

namespace caisson::http {

HandlerPool::HandlerPool(int threads_max) : threads_max_(static_cast<std::size_t>(std::max(1, threads_max))) {}

void HandlerPool::Sleeper::wake(Task given) {
  {
    const std::scoped_lock lock(mutex);
    task = std::move(given);
    awake = true;
  }
  changed.notify_one();
}

void HandlerPool::run(Task task) {
  Sleeper* sleeper = nullptr;
  {
    const std::scoped_lock lock(mutex_);
    if (stopped_) return;
    const bool all_work = sleepers_.empty() && threads_.size() == threads_max_;
    if (one_comes_ || all_work) {
      queue_.push_back(std::move(task));
      return;
    }
    one_comes_ = true;
    if (sleepers_.empty()) return start(std::move(task));
    sleeper = sleepers_.back();
    sleepers_.pop_back();
  }
  sleeper->wake(std::move(task));
}

void HandlerPool::stop() {
  std::deque<Task> dropped;  // exchanges that answer their closed connections
  std::vector<std::thread> threads;
  std::vector<Sleeper*> sleepers;
  {
    const std::scoped_lock lock(mutex_);
    stopped_ = true;
    dropped.swap(queue_);
    threads.swap(threads_);
    sleepers.swap(sleepers_);
  }
  for (Sleeper* sleeper : sleepers) sleeper->wake({});
  for (std::thread& thread : threads) thread.join();
}

void HandlerPool::wake_next() {
  Task task;
  Sleeper* sleeper = nullptr;
  {
    const std::scoped_lock lock(mutex_);
    one_comes_ = false;
    const bool all_work = sleepers_.empty() && threads_.size() == threads_max_;
    if (queue_.empty() || all_work || stopped_) return;
    one_comes_ = true;
    task = std::move(queue_.front());
    queue_.pop_front();
    if (sleepers_.empty()) return start(std::move(task));
    sleeper = sleepers_.back();
    sleepers_.pop_back();
  }
  sleeper->wake(std::move(task));
}

HandlerPool::Task HandlerPool::next(Sleeper& sleeper) {
  {
    const std::scoped_lock lock(mutex_);
    if (stopped_) return {};
    if (!queue_.empty()) {
      Task task = std::move(queue_.front());
      queue_.pop_front();
      return task;
    }
    sleeper.awake = false;
    sleepers_.push_back(&sleeper);
  }
  Task task;
  {
    std::unique_lock lock(sleeper.mutex);
    sleeper.changed.wait(lock, [&] { return sleeper.awake; });
    task = std::move(sleeper.task);
    sleeper.task = nullptr;
  }
  if (task) wake_next();
  return task;
}

void HandlerPool::start(Task task) {
  Sleeper& place = places_.emplace_back();
  threads_.emplace_back([this, &place, task = std::move(task)]() mutable { work(place, std::move(task)); });
}

void HandlerPool::work(Sleeper& place, Task task) {
  wake_next();
  for (; task; task = next(place)) {
    try {
      task();
    } catch (const std::exception& error) {  // a library's; the exchange answers 500 as it goes
      log::error("request handler failed", {{"error", error.what()}});
    }
    task = nullptr;  // its captures go before it may sleep
  }
}

}  // namespace caisson::http
