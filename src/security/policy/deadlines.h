// SPDX-License-Identifier: Apache-2.0
// When objects with the label cleanup.kyverno.io/ttl are to go, told by admission as they are written: the cleaner then
// looks at that time, and need not look often. What is told may not come to be (a write that is refused later), and
// what is not told is found by the cleaner's own look around. Any thread.
#pragma once
#include <functional>
#include <mutex>
#include <utility>

#include "core/base/clock.h"

namespace caisson::policy {

class Deadlines {
 public:
  using Listener = std::function<void(Time)>;
  void listen(Listener listener) {
    const std::lock_guard lock(mutex_);
    listener_ = std::move(listener);
  }
  void tell(Time when) const {
    const std::lock_guard lock(mutex_);
    if (listener_) listener_(when);
  }

 private:
  mutable std::mutex mutex_;
  Listener listener_;  // GUARDED_BY(mutex_)
};

}  // namespace caisson::policy
