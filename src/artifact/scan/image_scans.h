// SPDX-License-Identifier: Apache-2.0
// Scans under way and the last ones done, by digest: a reconciler asks, and is called again when there is an answer. Of
// this room only; any thread.
#pragma once
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "artifact/scan/scanner.h"
#include "core/base/worker_pool.h"

namespace caisson::scan {

class ImageScans {
 public:
  using Answer = std::shared_ptr<const Result<ImageScan>>;
  ImageScans(Scanner scanner, WorkerPool& workers) : scanner_(std::move(scanner)), workers_(workers) {}

  // The answer, or nullptr: then a worker looks for it and calls `then`, which must not block and
  // must keep this object alive (it is the only owner while a scan outlives its caller). An error is told once;
  // the next call tries again. Errors: too_many_requests when the workers' queue is full.
  Result<Answer> find(const content::Digest& digest, std::function<void()> then) {
    {
      const std::lock_guard lock(mutex_);
      if (const auto it = done_.find(digest); it != done_.end()) {
        Answer answer = it->second.first;
        if (answer->ok())
          order_.splice(order_.begin(), order_, it->second.second);
        else
          forget(it);
        return answer;
      }
      std::vector<std::function<void()>>& waiting = waiting_[digest];
      waiting.push_back(std::move(then));
      if (waiting.size() > 1) return Answer();
    }
    const Result<void> queued = workers_.run(
        [this, digest] { keep(digest, std::make_shared<const Result<ImageScan>>(scanner_.scan(digest))); });
    if (queued.ok()) return Answer();
    const std::lock_guard lock(mutex_);
    waiting_.erase(digest);
    return queued.error();
  }

 private:
  static constexpr std::size_t kKeptMax = 256;
  using Order = std::list<content::Digest>;
  using Done = std::map<content::Digest, std::pair<Answer, Order::iterator>>;

  void forget(Done::iterator it) {
    order_.erase(it->second.second);
    done_.erase(it);
  }

  void keep(const content::Digest& digest, Answer answer) {
    std::vector<std::function<void()>> told;
    {
      const std::lock_guard lock(mutex_);
      order_.push_front(digest);
      done_.insert_or_assign(digest, std::pair(std::move(answer), order_.begin()));
      if (done_.size() > kKeptMax) forget(done_.find(order_.back()));
      told = std::move(waiting_[digest]);
      waiting_.erase(digest);
    }
    for (const std::function<void()>& then : told) then();
  }

  Scanner scanner_;
  WorkerPool& workers_;
  std::mutex mutex_;
  Order order_;  // last used first
  Done done_;
  std::map<content::Digest, std::vector<std::function<void()>>> waiting_;
};

}  // namespace caisson::scan
