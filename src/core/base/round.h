// SPDX-License-Identifier: Apache-2.0
// Round: a thread that handles several things that are there at once (a loop's events) says where such a round begins
// and ends, so that what each of them would do beside its own work (waking another thread) is done once, for all.
//
// Threads: a round belongs to the thread that made it. Whoever is about to wait for another thread ends what the round
// put off first (end_round), for that may be what it waits for.
#pragma once
#include <functional>
#include <vector>

namespace caisson {

class Round {
 public:
  Round();
  ~Round();  // does what was put off
  Round(const Round&) = delete;
  Round& operator=(const Round&) = delete;

 private:
  friend void at_round_end(std::function<void()> task);
  friend void end_round();
  void run();

  Round* outer_;
  std::vector<std::function<void()>> put_off_;
};

// Has `task` done when this thread's round ends; at once when it is in none. It must not throw.
void at_round_end(std::function<void()> task);
// Does now what was put off; the round goes on.
void end_round();

}  // namespace caisson
