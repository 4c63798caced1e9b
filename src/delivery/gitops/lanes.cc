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
  struct Group {  // of one key, as long as a task of it waits or runs
    std::string key;
    std::deque<std::function<void()>> waiting;
    std::size_t running = 0;
  };
  std::list<Group> groups;      // the one that had a turn last stands last
  std::list<Duration> running;  // when each began (monotonic)
  std::size_t waiting = 0;
  bool watched = false;  // a thread looks when one of them becomes a long one

  bool is_long(Duration began) const { return system_clock().monotonic() - began >= limits.long_after; }
  bool full() const { return running.size() >= limits.at_once + limits.long_ones_max; }
  bool has_place() const {
    const auto quick = std::count_if(running.begin(), running.end(), [&](Duration began) { return !is_long(began); });
    return static_cast<std::size_t>(quick) < limits.at_once && !full();
  }
  // The one whose turn it is, of those that may have another place.
  std::list<Group>::iterator next() {
    return std::find_if(groups.begin(), groups.end(),
                        [&](const Group& one) { return !one.waiting.empty() && one.running < limits.of_a_key_max; });
  }
  void add(const std::string& key, std::function<void()> task) {
    auto group = std::find_if(groups.begin(), groups.end(), [&](const Group& one) { return one.key == key; });
    if (group == groups.end()) group = groups.insert(groups.end(), {key, {}});
    group->waiting.push_back(std::move(task));
    ++waiting;
  }
  void ended(std::list<Group>::iterator group, std::list<Duration>::iterator place) {
    running.erase(place);
    if (--group->running == 0 && group->waiting.empty()) groups.erase(group);
  }

  // REQUIRES: the lock is held, as for watch. What the pool does not take waits on, as long as a task that runs will
  // come by here when it ends.
  Result<void> start_what_may() {
    while (has_place()) {
      const auto group = next();
      if (group == groups.end()) return {};
      const auto task = std::make_shared<std::function<void()>>(std::move(group->waiting.front()));
      group->waiting.pop_front();
      const auto place = running.insert(running.end(), system_clock().monotonic());
      ++group->running;
      auto started = workers.run([state = shared_from_this(), group, place, task] {
        (*task)();
        *task = nullptr;  // its captures go before the lock is taken
        const std::lock_guard lock(state->mutex);
        state->ended(group, place);
        (void)state->start_what_may();
        state->changed.notify_all();
      });
      if (!started.ok()) return not_started(group, place, *task, std::move(started));
      --waiting;
      groups.splice(groups.end(), groups, group);
    }
    if (!watched && !full() && next() != groups.end()) watch();
    return {};
  }

  Result<void> not_started(std::list<Group>::iterator group, std::list<Duration>::iterator place,
                           std::function<void()>& task, Result<void> why) {
    const bool others_run = running.size() > 1;
    if (others_run)
      group->waiting.push_front(std::move(task));
    else
      --waiting;  // nothing else waited
    ended(group, place);
    return others_run ? Result<void>() : why;
  }

  // Without a thread that watches, places become free when tasks end.
  void watch() {
    watched = true;
    const auto started = workers.run([state = shared_from_this()] {
      std::unique_lock lock(state->mutex);
      while (!state->full() && state->next() != state->groups.end()) {
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

Result<void> Lanes::run(const std::string& key, std::function<void()> task) {
  const std::lock_guard lock(state_->mutex);
  if (state_->waiting >= state_->limits.queued_max)
    return Error{ErrorCode::too_many_requests,
                 std::to_string(state_->limits.queued_max) + " tasks wait already to be run"};
  state_->add(key, std::move(task));
  return state_->start_what_may();
}

}  // namespace caisson::gitops
