// SPDX-License-Identifier: Apache-2.0
// One cgroup on v1, hybrid and v2 hosts, by its path ("/caisson-1a2b3c/pod7/app"). Limits of containers are set through
// runc; this reads, freezes, kills and removes, and makes the parents with their limits. Source: kernel
// Documentation/admin-guide/cgroup-{v1,v2}. Any thread.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace caisson::container {

struct CgroupLimits {
  std::int64_t cpu_shares = 0;    // v1's unit, 2..262144; turned into a v2 weight as runc does; 0: not set
  std::int64_t cpu_quota_us = 0;  // per period; 0: none
  std::int64_t cpu_period_us = 100'000;
  std::int64_t memory_bytes_max = 0;  // swap counts in; 0: none
  std::int64_t pids_max = 0;          // 0: none
  bool operator==(const CgroupLimits&) const = default;
};

struct CgroupStats {
  std::uint64_t cpu_usage_ns = 0;
  std::uint64_t cpu_user_ns = 0, cpu_system_ns = 0;
  std::uint64_t cpu_periods = 0, cpu_throttled_periods = 0, cpu_throttled_ns = 0;  // of a CPU quota
  std::uint64_t memory_usage_bytes = 0;
  std::uint64_t memory_working_set_bytes = 0;  // usage without inactive file pages, as the kubelet counts
  std::uint64_t memory_rss_bytes = 0;
  std::uint64_t memory_cache_bytes = 0, memory_swap_bytes = 0, memory_mapped_bytes = 0;
  std::uint64_t page_faults = 0, major_page_faults = 0;
  std::uint64_t oom_kills = 0;  // of processes in this cgroup
  std::uint64_t pids = 0;
};

// What a cgroup and those below it read from and wrote to one block device.
struct CgroupIo {
  std::string device;  // "8:0"
  std::uint64_t reads = 0, writes = 0, read_bytes = 0, written_bytes = 0;
  bool operator==(const CgroupIo&) const = default;
};

enum class CgroupVersion { v1, v2 };  // hybrid hosts count as v1
CgroupVersion cgroup_version();

class Cgroup {
 public:
  explicit Cgroup(std::string path) : path_(std::move(path)) {}
  const std::string& path() const { return path_; }

  // Makes it in every hierarchy (on v2 with the controllers handed down) and sets what `limits` says.
  Result<void> make(const CgroupLimits& limits = {}) const;
  bool exists() const;
  // Errors: not_found when it is gone.
  Result<CgroupStats> stats() const;
  // By device; empty where the kernel does not count, and before the first request.
  std::vector<CgroupIo> io() const;
  // Must be read before the container is removed: the counter goes with the cgroup. 0 when absent.
  std::uint64_t oom_kills() const;
  // Processes in it and below it.
  std::vector<pid_t> processes() const;
  // SIGKILL to every process in it and below, until none is left or `rounds` are over. Gives how many were left.
  int kill_all() const;
  // Removes it and the cgroups below in every hierarchy. Fine when absent; unavailable when processes are left.
  Result<void> remove() const;

 private:
  std::string path_;
};

// The lines of io.stat (v2), and of the blkio files of requests and of bytes (v1). In order of first mention.
std::vector<CgroupIo> parse_io_v2(std::string_view io_stat);
std::vector<CgroupIo> parse_io_v1(std::string_view serviced, std::string_view service_bytes);

// The kernel's node-wide counters for a node's capacity and stats.
std::uint64_t host_memory_bytes();

}  // namespace caisson::container
