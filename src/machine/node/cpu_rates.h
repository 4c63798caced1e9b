// SPDX-License-Identifier: Apache-2.0
// CPU used per second (the kubelet's usageNanoCores) out of counters that only grow. A rate spans at least kSpanMin, so
// that one look right after another still tells something; before the second look it is the mean since the start.
// Threads: any.
#pragma once
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "core/base/clock.h"

namespace caisson::node {

class CpuRates {
 public:
  static constexpr Duration kSpanMin = std::chrono::seconds(5);

  // Notes that `key` has used `cpu_ns` in all at `now`, having started at `started`; gives nanocores.
  std::uint64_t look(const std::string& key, std::uint64_t cpu_ns, Time started, Time now);
  void forget_before(Time time);  // keys that were not looked at since

 private:
  struct Reading {
    std::uint64_t cpu_ns = 0;
    Time at{};
  };
  struct Counter {
    Reading base, last;  // `base` is at least kSpanMin before `last`
  };
  std::mutex mutex_;
  std::map<std::string, Counter> counters_;  // guarded by mutex_
};

}  // namespace caisson::node
