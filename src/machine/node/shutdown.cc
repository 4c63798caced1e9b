// SPDX-License-Identifier: Apache-2.0
// The machine is shut down: pods end by priority, each as it would at its deletion, and stay in the API.
#include <algorithm>

#include "core/base/log.h"
#include "machine/node/pods.h"

namespace caisson::node {
namespace {

constexpr Duration kKilledMax = std::chrono::seconds(5);  // from SIGKILL to its being known

}  // namespace

std::vector<PodPtr> Pods::pods_to_leave(bool critical) {
  std::vector<PodPtr> out;
  const std::lock_guard lock(mutex_);
  for (const auto& [uid, pod] : pods_) {
    const std::lock_guard pod_lock(pod->mutex);
    const bool is_critical = pod->published_object.spec()["priority"].as_int(0) >= kCriticalPriority;
    if (is_critical == critical && any_running(pod->published)) out.push_back(pod);
  }
  return out;
}

// Each by its own grace period, at most `grace`; returns when none runs.
void Pods::leave(const std::vector<PodPtr>& pods, Duration grace) {
  const Time last = now() + grace;
  for (const PodPtr& pod : pods) {
    post(pod, [this, last](Pod& leaving) {
      const Duration own = std::chrono::seconds(leaving.object.spec()["terminationGracePeriodSeconds"].as_int(30));
      leaving.leave_by = std::min(last, now() + own);
      event(leaving, false, "Killing", "the machine is shut down");
    });
  }
  const Duration end = clock_.monotonic() + grace + kKilledMax;
  std::unique_lock lock(left_mutex_);
  for (std::uint64_t seen = turns_;; seen = turns_) {
    lock.unlock();
    const bool ended = still_running(pods).empty();
    lock.lock();
    const Duration left = end - clock_.monotonic();
    if (ended || left <= Duration(0)) return;
    left_.wait_for(lock, left, [&] { return turns_ != seen; });
  }
}

std::vector<std::string> Pods::still_running(const std::vector<PodPtr>& pods) {
  std::vector<std::string> out;
  for (const PodPtr& pod : pods) {
    const std::lock_guard lock(pod->mutex);
    if (any_running(pod->published)) out.push_back(pod->published.ns + "/" + pod->published.name);
  }
  return out;
}

std::vector<std::string> Pods::shut_down(const ShutdownGrace& grace) {
  leaving_ = true;
  const Duration end = clock_.monotonic() + grace.usual + grace.critical;
  std::vector<std::string> left;
  for (const bool critical : {false, true}) {
    const std::vector<PodPtr> pods = pods_to_leave(critical);
    log::info("pods end because the machine is shut down", {{"pods", pods.size()}, {"critical", critical}});
    leave(pods, critical ? std::max<Duration>(end - clock_.monotonic(), Duration(0)) : grace.usual);
    const auto still = still_running(pods);
    left.insert(left.end(), still.begin(), still.end());
  }
  return left;
}

}  // namespace caisson::node
