// SPDX-License-Identifier: Apache-2.0
#include "cluster/kube/work_queue.h"

#include <algorithm>

namespace caisson::kube {

void WorkQueue::add(const ObjectKey& key) {
  if (!dirty_.insert(key).second) return;
  if (!running_.contains(key)) ready_.push_back(key);
}

void WorkQueue::add_after(const ObjectKey& key, Duration due) {
  const auto [at, is_new] = due_.emplace(key, due);
  if (!is_new) {
    if (at->second <= due) return;
    timeline_.erase({at->second, key});
    at->second = due;
  }
  timeline_.emplace(due, key);
}

void WorkQueue::promote(Duration now) {
  while (!timeline_.empty() && timeline_.begin()->first <= now) {
    const ObjectKey key = timeline_.begin()->second;
    timeline_.erase(timeline_.begin());
    due_.erase(key);
    add(key);
  }
}

std::optional<Duration> WorkQueue::next_due() const {
  if (timeline_.empty()) return std::nullopt;
  return timeline_.begin()->first;
}

ObjectKey WorkQueue::take() {
  ObjectKey key = std::move(ready_.front());
  ready_.pop_front();
  dirty_.erase(key);
  running_.insert(key);
  return key;
}

void WorkQueue::done(const ObjectKey& key) {
  running_.erase(key);
  if (dirty_.contains(key)) ready_.push_back(key);
}

Duration WorkQueue::failed(const ObjectKey& key) {
  constexpr Duration kFirst = std::chrono::milliseconds(10), kMax = std::chrono::seconds(30);
  const int before = failures_[key]++;
  return before >= 12 ? kMax : std::min<Duration>(kFirst * (1 << before), kMax);
}

int WorkQueue::failures(const ObjectKey& key) const {
  const auto found = failures_.find(key);
  return found == failures_.end() ? 0 : found->second;
}

}  // namespace caisson::kube
