// SPDX-License-Identifier: Apache-2.0
// Waiting by the Clock that was passed in. A clock other than the system's stands still until a test moves it and wakes
// nobody, so it is looked at every few milliseconds; the system's is waited for exactly.
#pragma once
#include <condition_variable>
#include <mutex>

#include "core/base/clock.h"

namespace caisson::kube {

inline constexpr Duration kForever = Duration::max();

// Returns when notified, when `deadline` of `clock.monotonic()` has come, or spuriously.
inline void wait_until(std::condition_variable& condition, std::unique_lock<std::mutex>& lock, const Clock& clock,
                       Duration deadline) {
  if (deadline == kForever) {
    condition.wait(lock);
    return;
  }
  const Duration left = deadline - clock.monotonic();
  if (left <= Duration(0)) return;
  const bool real = &clock == &system_clock();
  condition.wait_for(lock, real ? left : std::min<Duration>(left, std::chrono::milliseconds(2)));
}

}  // namespace caisson::kube
