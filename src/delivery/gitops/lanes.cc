// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/lanes.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <list>
#include <mutex>
#include <string>

namespace caisson::gitops {

struct Lanes::State : std::enable_shared_from_this<Lanes::State> {
  State(WorkerPool& pool, Limits given) : workers(pool), limits(given) {}

  WorkerPool& workers;
  const Limits limits;
  std::mutex mutex;
  std::condition_variable changed;
  // GUARDED_BY(mutex), all below.
  std::deque<std::function<void()>> waiting;
  std::list<Duration> running;  // when each began (monotonic), the oldest first
  bool watched = false;         // a thread looks when one of them becomes a long one

  bool is_long(Duration began) const { return system_clock().monotonic() - began >= limits.long_after; }
  bool full() const { return running.size() >= limits.at_once + limits.long_ones_max; }
  bool has_place() const {
    std::size_t quick = 0;
    for (const Duration began : running) quick += is_long(began) ? 0 : 1;
    return quick < limits.at_once && !full();
  }

  // REQUIRES: the lock is held, as for watch. What the pool does not take waits on, as long as a task that runs will
  // come by here when it ends.
  Result<void> start_what_may() {
    while (!waiting.empty() && has_place()) {
      const auto place = running.insert(running.end(), system_clock().monotonic());
      const auto task = std::make_shared<std::function<void()>>(std::move(waiting.front()));
      waiting.pop_front();
      auto started = workers.run([state = shared_from_this(), place, task] {
        (*task)();
        *task = nullptr;  // its captures go before the lock is taken
        const std::lock_guard lock(state->mutex);
        state->running.erase(place);
        (void)state->start_what_may();
        state->changed.notify_all();
      });
      if (started.ok()) continue;
      running.erase(place);
      if (running.empty()) return started;  // then nothing else waited
      waiting.push_front(std::move(*task));
      return {};
    }
    if (!waiting.empty() && !watched && !full()) watch();
    return {};
  }

  // Without a thread that watches, places become free when tasks end.
  void watch() {
    watched = true;
    const auto started = workers.run([state = shared_from_this()] {
      std::unique_lock lock(state->mutex);
      while (!state->waiting.empty() && !state->full()) {
        Duration pause = state->limits.long_after;
        for (const Duration began : state->running) {
          if (!state->is_long(began))
            pause = std::min(pause, began + state->limits.long_after - system_clock().monotonic());
        }
        state->changed.wait_for(lock, pause);
        (void)state->start_what_may();
      }
      state->watched = false;
    });
    watched = started.ok();
  }
};

Lanes::Lanes(WorkerPool& workers, Limits limits) : state_(std::make_shared<State>(workers, limits)) {}

Result<void> Lanes::run(std::function<void()> task) {
  const std::lock_guard lock(state_->mutex);
  if (state_->waiting.size() >= state_->limits.queued_max)
    return Error{ErrorCode::too_many_requests,
                 std::to_string(state_->limits.queued_max) + " tasks wait already to be run"};
  state_->waiting.push_back(std::move(task));
  return state_->start_what_may();
}

}  // namespace caisson::gitops
