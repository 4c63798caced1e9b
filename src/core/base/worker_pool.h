// SPDX-License-Identifier: Apache-2.0
// Threads for what takes longer than 10 ms: git, tar, runc, rendering, scans. Any thread may add work.
#pragma once
#include <functional>
#include <memory>
#include <string_view>

#include "core/base/result.h"

namespace caisson {

class WorkerPool {
 public:
  WorkerPool(std::string_view name, int threads, std::size_t queued_max = 10'000);
  ~WorkerPool();  // runs what is queued, then joins

  // Errors: too_many_requests when the queue is full.
  Result<void> run(std::function<void()> task);

  // Runs `task` on a worker and then `done` with its result, on the same worker.
  template <class Task, class Done>
  Result<void> run(Task task, Done done) {
    return run([task = std::move(task), done = std::move(done)]() mutable { done(task()); });
  }

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace caisson
