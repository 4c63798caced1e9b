// SPDX-License-Identifier: Apache-2.0
// So many tasks at once on a worker pool. One that takes long (a git host that does not answer, a template without an
// end) gives its place to the next after a while, so that a few of these do not hold up what is quick; of tasks that
// take long, too, and of tasks of one key (what they wait for may be the same host) there are only so many at once. The
// pool needs Limits::threads(). Threads: any.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/base/worker_pool.h"

namespace caisson::gitops {

class Lanes {
 public:
  struct Limits {
    std::size_t at_once = 4, long_ones_max = 12, of_a_key_max = 3, queued_max = 10'000;
    Duration long_after = std::chrono::seconds(1);
    int threads() const { return static_cast<int>(at_once + long_ones_max + 1); }  // one watches
  };
  Lanes(WorkerPool& workers, Limits limits);

  // Errors: too_many_requests when too many wait. What waits when the pool ends still runs, as with the pool itself.
  Result<void> run(const std::string& key, std::function<void()> task);

 private:
  struct State;  // shared with the tasks, which may outlive this object
  std::shared_ptr<State> state_;
};

// Renderings of Applications, their notifications, and generators of ApplicationSets, which share a pool.
constexpr Lanes::Limits kRenderLanes = {};
constexpr Lanes::Limits kNoticeLanes = {.at_once = 2, .long_ones_max = 4, .of_a_key_max = 2};
constexpr Lanes::Limits kSetLanes = {.at_once = 2, .long_ones_max = 4, .of_a_key_max = 1};

}  // namespace caisson::gitops
