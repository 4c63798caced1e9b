// SPDX-License-Identifier: Apache-2.0
// Pending: what was begun and has not ended, for who must wait for it before going. Threads: any.
#pragma once
#include <condition_variable>
#include <memory>
#include <mutex>

namespace caisson::apiserver {

class Pending {
 public:
  // Something is pending until the last copy of this goes.
  std::shared_ptr<void> begin() {
    const std::lock_guard lock(mutex_);
    ++count_;
    return {this, [](Pending* pending) {
              const std::lock_guard lock(pending->mutex_);
              if (--pending->count_ == 0) pending->ended_.notify_all();
            }};
  }
  void wait() {
    std::unique_lock lock(mutex_);
    ended_.wait(lock, [this] { return count_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable ended_;
  std::size_t count_ = 0;  // GUARDED_BY(mutex_)
};

}  // namespace caisson::apiserver
