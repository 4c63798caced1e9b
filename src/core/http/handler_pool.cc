// SPDX-License-Identifier: Apache-2.0
#include "core/http/handler_pool.h"

#include <algorithm>
#include <utility>

#include "core/base/log.h"

namespace caisson::http {
namespace {

// So many tasks wait for each thread that began its own so lately, rather than that another one is woken; and so long
// at most.
constexpr std::size_t kWaitingForEach = 4;
constexpr Duration kLately = std::chrono::microseconds(200);
constexpr Duration kWaitingTimeMax = std::chrono::milliseconds(1);

Duration time_now() {
  return std::chrono::steady_clock::now().time_since_epoch();
}

}  // namespace

void run_task(const std::function<void()>& task) {
  try {
    task();
  } catch (const std::exception& error) {  // a library's; the exchange answers 500 as it goes
    log::error("request handler failed", {{"error", error.what()}});
  }
}

HandlerPool::HandlerPool(int threads_max) : threads_max_(static_cast<std::size_t>(std::max(1, threads_max))) {}

void HandlerPool::Place::wake(Task given) {
  {
    const std::scoped_lock lock(mutex);
    task = std::move(given);
    awake = true;
  }
  changed.notify_one();
}

bool HandlerPool::may_wait(Duration now) const {
  std::size_t places = 0;
  for (const Place& place : places_)
    if (place.begun.count() >= 0 && now - place.begun < kLately) places += kWaitingForEach;
  return queue_.size() < places;
}

void HandlerPool::run(Task task) {
  const Duration now = time_now();
  std::unique_lock lock(mutex_);
  if (stopped_) return;
  if (none_to_wake() || may_wait(now))
    queue_.push_back({std::move(task), now});
  else
    summon(std::move(lock), std::move(task));
}

void HandlerPool::summon(std::unique_lock<std::mutex> lock, Task task) {
  one_comes_ = true;
  if (sleepers_.empty()) return start(std::move(task));
  Place* const sleeper = sleepers_.back();
  sleepers_.pop_back();
  lock.unlock();
  sleeper->wake(std::move(task));
}

Duration HandlerPool::look() {
  std::unique_lock lock(mutex_);
  if (queue_.empty() || stopped_) return Duration::max();
  if (sleepers_.empty() && threads_.size() == threads_max_) return Duration::max();  // who is done takes it
  const Duration left = kWaitingTimeMax - (time_now() - queue_.front().since);
  if (left.count() > 0) return left;
  if (!none_to_wake()) {
    Task task = std::move(queue_.front().task);
    queue_.pop_front();
    summon(std::move(lock), std::move(task));
  }
  return kWaitingTimeMax;
}

void HandlerPool::stop() {
  std::deque<Waiting> dropped;  // exchanges that answer their closed connections
  std::vector<std::thread> threads;
  std::vector<Place*> sleepers;
  {
    const std::scoped_lock lock(mutex_);
    stopped_ = true;
    dropped.swap(queue_);
    threads.swap(threads_);
    sleepers.swap(sleepers_);
  }
  for (Place* sleeper : sleepers) sleeper->wake({});
  for (std::thread& thread : threads) thread.join();
}

void HandlerPool::arrived(Place& place) {
  const Duration now = time_now();
  std::unique_lock lock(mutex_);
  one_comes_ = false;
  place.begun = now;
  if (queue_.empty() || stopped_ || none_to_wake() || may_wait(now)) return;
  Task task = std::move(queue_.front().task);
  queue_.pop_front();
  summon(std::move(lock), std::move(task));
}

HandlerPool::Task HandlerPool::next(Place& place) {
  {
    const Duration now = time_now();
    const std::scoped_lock lock(mutex_);
    if (stopped_) return {};
    if (!queue_.empty()) {
      place.begun = now;
      Task task = std::move(queue_.front().task);
      queue_.pop_front();
      return task;
    }
    place.begun = Duration(-1);
    place.awake = false;
    sleepers_.push_back(&place);
  }
  Task task;
  {
    std::unique_lock lock(place.mutex);
    place.changed.wait(lock, [&] { return place.awake; });
    task = std::move(place.task);
    place.task = nullptr;
  }
  if (task) arrived(place);
  return task;
}

void HandlerPool::start(Task task) {
  Place& place = places_.emplace_back();
  threads_.emplace_back([this, &place, task = std::move(task)]() mutable { work(place, std::move(task)); });
}

void HandlerPool::work(Place& place, Task task) {
  arrived(place);
  for (; task; task = next(place)) {
    run_task(task);
    task = nullptr;  // its captures go before it may sleep
  }
}

}  // namespace caisson::http
