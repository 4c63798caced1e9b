// SPDX-License-Identifier: Apache-2.0
// HandlerPool: the threads that run request handlers. They come as they are needed, up to a limit, and stay. Internal to
// the room.
//
// Handlers are short and come in bursts, and waking a thread costs as much as a short handler does. So at most one thread
// is on its way at a time: it wakes the next one while work waits, unless those at work took it meanwhile; and the one
// that slept last, whose memory is still warm, is woken first. Threads: any.
#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace caisson::http {

class HandlerPool {
 public:
  explicit HandlerPool(int threads_max);
  ~HandlerPool() { stop(); }
  void run(std::function<void()> task);  // dropped after stop
  void stop();                           // drops what waits, and joins

 private:
  using Task = std::function<void()>;
  struct Sleeper {  // of a thread that has nothing to do
    std::mutex mutex;
    std::condition_variable changed;
    Task task;              // what it was woken for; GUARDED_BY(mutex)
    bool awake = false;     // GUARDED_BY(mutex)
    void wake(Task given);  // an empty task: to leave
  };

  void start(Task task);  // a thread, with mutex_ held
  void work(Sleeper& place, Task task);
  Task next(Sleeper& sleeper);  // an empty one when the pool is stopped
  void wake_next();             // who was on its way arrived

  const std::size_t threads_max_;
  std::mutex mutex_;
  std::deque<Task> queue_;            // GUARDED_BY(mutex_)
  std::deque<Sleeper> places_;        // GUARDED_BY(mutex_): one a thread, which outlives it
  std::vector<Sleeper*> sleepers_;    // GUARDED_BY(mutex_): the last one slept last
  std::vector<std::thread> threads_;  // GUARDED_BY(mutex_)
  bool one_comes_ = false;            // GUARDED_BY(mutex_): a thread was woken or started and does not work yet
  bool stopped_ = false;              // GUARDED_BY(mutex_)
};

}  // namespace caisson::http
