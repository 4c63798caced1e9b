// SPDX-License-Identifier: Apache-2.0
// HandlerPool: the threads that run request handlers. They come as they are needed, up to a limit, and stay. Internal
// to the room.
//
// Handlers are short and come in bursts, and waking a thread costs as much as a short handler does. So a few tasks wait
// for a thread that has only just begun one; at most one thread is on its way at a time: it wakes the next one while
// work waits, unless those at work took it meanwhile; and the one that slept last, whose memory is still warm, is woken
// first. No task waits for a handler that takes long: `look` sees to that. Threads: any.
#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "core/base/clock.h"

namespace caisson::http {

// Runs it; what it throws is on the log.
void run_task(const std::function<void()>& task);

class HandlerPool {
 public:
  explicit HandlerPool(int threads_max);
  ~HandlerPool() { stop(); }
  void run(std::function<void()> task);  // dropped after stop
  void stop();                           // drops what waits, and joins
  // Wakes a thread when a task has waited for too long, and gives when to ask again: to be called while there is work.
  Duration look();

 private:
  using Task = std::function<void()>;
  struct Place {  // of a thread
    std::mutex mutex;
    std::condition_variable changed;
    Task task;              // what it was woken for; GUARDED_BY(mutex)
    bool awake = false;     // GUARDED_BY(mutex)
    Duration begun{-1};     // its task, monotonic; negative: it has none. GUARDED_BY(the pool's mutex_)
    void wake(Task given);  // an empty task: to leave
  };
  struct Waiting {
    Task task;
    Duration since;
  };

  bool may_wait(Duration now) const;  // these three with mutex_ held
  bool none_to_wake() const { return one_comes_ || (sleepers_.empty() && threads_.size() == threads_max_); }
  void start(Task task);  // a thread
  void summon(std::unique_lock<std::mutex> lock, Task task);
  void work(Place& place, Task task);
  Task next(Place& place);     // an empty one when the pool is stopped
  void arrived(Place& place);  // who was on its way

  const std::size_t threads_max_;
  std::mutex mutex_;
  std::deque<Waiting> queue_;         // GUARDED_BY(mutex_)
  std::deque<Place> places_;          // GUARDED_BY(mutex_): one a thread, which outlives it
  std::vector<Place*> sleepers_;      // GUARDED_BY(mutex_): the last one slept last
  std::vector<std::thread> threads_;  // GUARDED_BY(mutex_)
  bool one_comes_ = false;            // GUARDED_BY(mutex_): a thread was woken or started and does not work yet
  bool stopped_ = false;              // GUARDED_BY(mutex_)
};

}  // namespace caisson::http
