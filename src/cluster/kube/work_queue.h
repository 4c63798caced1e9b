// SPDX-License-Identifier: Apache-2.0
// WorkQueue: which keys of one reconciler must run, and when. Source: client-go's util/workqueue (queue.go,
// delaying_queue.go, default_rate_limiters.go).
//
// Invariant: a key is never given out twice at once; a key that is added while it runs is run once more afterwards,
// however often it was added. Threads: none of its own and no lock; the Dispatcher guards it.
#pragma once
#include <deque>
#include <map>
#include <optional>
#include <set>

#include "cluster/kube/object.h"
#include "core/base/clock.h"

namespace caisson::kube {

class WorkQueue {
 public:
  void add(const ObjectKey& key);
  // The earlier of two times counts.
  void add_after(const ObjectKey& key, Duration due);
  // Moves what is due to the ready keys.
  void promote(Duration now);
  // The time of the next delayed key; nothing when there is none.
  std::optional<Duration> next_due() const;

  bool has_ready() const { return !ready_.empty(); }
  // The oldest ready key, which runs from now until done. REQUIRES: has_ready().
  ObjectKey take();
  void done(const ObjectKey& key);

  // How long to wait after another failure in a row: 10 ms, doubling to 30 s.
  Duration failed(const ObjectKey& key);
  int failures(const ObjectKey& key) const;
  void succeeded(const ObjectKey& key) { failures_.erase(key); }

  std::size_t ready_count() const { return ready_.size(); }
  std::size_t delayed_count() const { return due_.size(); }
  std::size_t running_count() const { return running_.size(); }

 private:
  std::deque<ObjectKey> ready_;
  std::set<ObjectKey> dirty_;  // ready, or to be ready when they are done
  std::set<ObjectKey> running_;
  std::map<ObjectKey, Duration> due_;
  std::set<std::pair<Duration, ObjectKey>> timeline_;  // the same as due_, by time
  std::map<ObjectKey, int> failures_;
};

}  // namespace caisson::kube
