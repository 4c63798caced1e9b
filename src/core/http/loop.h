// SPDX-License-Identifier: Apache-2.0
// The epoll loop of a server: one thread that owns descriptors and the state behind them. Other threads reach that
// state only by posting. Internal to the room.
//
// Threads: post from any thread; everything else on the loop's thread (or before run).
#pragma once
#include <sys/epoll.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "core/base/clock.h"
#include "core/base/file.h"

namespace caisson::http {

// Something with a descriptor that the loop watches.
class Watched {
 public:
  virtual ~Watched() = default;
  virtual void on_events(std::uint32_t events) = 0;
  virtual void on_deadline() = 0;
  Duration deadline = Duration::max();  // monotonic; may move at any time, on the loop's thread
};

class Loop {
 public:
  static Result<std::shared_ptr<Loop>> make();
  explicit Loop(UniqueFd epoll, UniqueFd wake) : epoll_(std::move(epoll)), wake_(std::move(wake)) {}

  // Before run: `look` is called each time round, and gives how long the loop may sleep at most.
  void set_look(std::function<Duration()> look) { look_ = std::move(look); }
  void run();                             // until stop
  void stop();                            // any thread
  void post(std::function<void()> task);  // any thread; dropped after stop
  bool on_loop_thread() const { return std::this_thread::get_id() == thread_; }

  // `watched` stays until remove; events carry its id, so an event for a descriptor that was closed meanwhile finds
  // nobody.
  Result<std::uint64_t> add(int fd, std::uint32_t events, std::shared_ptr<Watched> watched);
  void change(int fd, std::uint64_t id, std::uint32_t events);
  void remove(int fd, std::uint64_t id);  // before the descriptor is closed
  std::shared_ptr<Watched> find(std::uint64_t id) const;
  std::vector<std::shared_ptr<Watched>> all() const;
  void deadline_moved(Duration deadline) { next_deadline_ = std::min(next_deadline_, deadline); }

  static Duration now();

  std::atomic<std::size_t> queued_bytes = 0;  // of all its connections' answers; kept by Transfer

 private:
  void run_posted();
  void run_deadlines();
  int wait_ms();

  UniqueFd epoll_, wake_;
  std::atomic<std::thread::id> thread_{};
  std::unordered_map<std::uint64_t, std::shared_ptr<Watched>> watched_;
  std::uint64_t next_id_ = 1;
  Duration next_deadline_ = Duration::max();  // no watched deadline is earlier

  std::function<Duration()> look_;
  bool posted_here_ = false;  // by the loop's own thread, which needs no waking

  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;  // GUARDED_BY(mutex_)
  bool stopped_ = false;                       // GUARDED_BY(mutex_)
};

}  // namespace caisson::http
