// SPDX-License-Identifier: Apache-2.0
// Private to the room: what containers.cc, exec.cc and run_once.cc share. The loop thread owns epoll and inotify; the
// map of containers is guarded by mutex_.
#pragma once
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "artifact/container/bundle.h"
#include "artifact/container/containers.h"

namespace caisson::container {

struct Containers::Impl {
  struct Entry {
    BundleInfo info;
    UniqueFd monitor;       // a pidfd, watched by the loop
    std::uint64_t key = 0;  // of the loop's events
    bool removing = false;
  };

  Workshop workshop_;
  std::function<void(const ContainerStatus&)> on_exit_;
  UniqueFd epoll_, wake_, inotify_;
  std::thread thread_;
  std::atomic<bool> stopping_{false};

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Entry> entries_;    // guarded by mutex_
  std::vector<ContainerStatus> to_report_;  // guarded by mutex_
  std::uint64_t next_key_ = 2;              // guarded by mutex_; 0 and 1 are the wake and the exit directory

  Result<void> start_loop();
  void loop();
  void wake();
  void read_exit_events();
  bool check_exit_file(const std::string& id);
  void monitor_ended(std::uint64_t key);
  void report_exits();
  void set_exit(Entry& entry, const ContainerExit& exit);  // with mutex_ held
  void watch_monitor(Entry& entry, UniqueFd monitor);      // with mutex_ held
  Result<void> take_up(const std::string& id);
};

}  // namespace caisson::container
