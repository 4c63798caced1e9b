// SPDX-License-Identifier: Apache-2.0
// So many tasks at once on a worker pool. One that takes long (a git host that does not answer, a template without an
// end) gives its place to the next after a while, so that a few of these do not hold up what is quick; of tasks that
// take long, too, there are only so many at once. The pool needs Limits::threads(). Threads: any.
#pragma once
#include <functional>
#include <memory>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/base/worker_pool.h"

namespace caisson::gitops {

class Lanes {
 public:
  struct Limits {
    std::size_t at_once = 4, long_ones_max = 4, queued_max = 10'000;
    Duration long_after = std::chrono::seconds(1);
    int threads() const { return static_cast<int>(at_once + long_ones_max + 1); }  // one watches
  };
  Lanes(WorkerPool& workers, Limits limits);

  // Errors: too_many_requests when too many wait. What waits when the pool ends still runs, as with the pool itself.
  Result<void> run(std::function<void()> task);

 private:
  struct State;  // shared with the tasks, which may outlive this object
  std::shared_ptr<State> state_;
};

// Renderings of Applications, and their notifications, which share a pool.
constexpr Lanes::Limits kRenderLanes = {};
constexpr Lanes::Limits kNoticeLanes = {.at_once = 2, .long_ones_max = 2};

}  // namespace caisson::gitops
