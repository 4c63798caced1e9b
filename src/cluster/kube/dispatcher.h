// SPDX-License-Identifier: Apache-2.0
// Dispatcher: the threads of the reconciler runtime and the queues that they serve, in turn. Any thread.
#pragma once
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cluster/kube/crash_file.h"
#include "cluster/kube/reconciler.h"
#include "cluster/kube/work_queue.h"

namespace caisson::kube {

class Dispatcher {
 public:
  // One reconciler with its queue. Members are guarded by the dispatcher's lock, but for what never changes.
  struct Lane {
    std::unique_ptr<Reconciler> reconciler;
    std::string name;
    int concurrent_max = 1;
    WorkQueue queue;
    std::int64_t runs = 0, errors = 0, held = 0;
    Duration longest{};
  };

  Dispatcher(Clock& clock, const RuntimeOptions& options);
  ~Dispatcher() { stop(); }

  Lane& add_lane(std::unique_ptr<Reconciler> reconciler, int concurrent_max);
  void add(Lane& lane, const ObjectKey& key);
  void add_after(Lane& lane, const ObjectKey& key, Duration delay);

  void start();
  void stop();              // waits for the runs that are on
  void drop_reconcilers();  // after stop; they may hold queues, which hold the dispatcher
  bool wait_idle(Duration time_max, Duration horizon);
  Value metrics() const;

 private:
  void work();
  void keep_time();
  Lane* next_lane();  // one that may run a key, each in turn
  void run_one(Lane& lane, std::unique_lock<std::mutex>& lock);
  void settle(Lane& lane, const ObjectKey& key, const Result<Requeue>& result);
  bool idle(Duration horizon);

  Clock& clock_;
  const int threads_wanted_;
  std::unique_ptr<CrashFile> crash_file_;

  mutable std::mutex mutex_;
  std::condition_variable has_work_, time_changed_, became_idle_;
  std::vector<std::unique_ptr<Lane>> lanes_;  // GUARDED_BY(mutex_), as all below
  std::size_t turn_ = 0;
  bool stopping_ = false, started_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace caisson::kube
