// SPDX-License-Identifier: Apache-2.0
// What the host has left, and what pods use: cgroups, the containers' own layers, logs and emptyDirs. Any thread; a
// walk over what pods wrote takes as long as that is big.
#pragma once
#include <cstdint>
#include <map>
#include <string>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::node {

struct HostResources {
  std::uint64_t memory_bytes = 0, memory_available_bytes = 0;
  std::uint64_t disk_bytes = 0, disk_available_bytes = 0;  // of the file system of the data directory
  std::uint64_t pids = 0, pids_max = 0;
  std::uint64_t cpu_ns = 0;  // used since boot, all processors
  Time booted{};
};
HostResources read_host(const std::string& data_dir);

struct ContainerUsage {
  std::uint64_t cpu_ns = 0, memory_usage_bytes = 0, memory_working_set_bytes = 0, memory_rss_bytes = 0, pids = 0;
  std::uint64_t nanocores = 0;                  // of the last seconds (cpu_rates.h)
  std::uint64_t disk_bytes = 0, log_bytes = 0;  // its writable layer, its logs
  Time started{};
};
struct PodUsage {
  std::map<std::string, ContainerUsage> containers;  // those that run
  std::map<std::string, std::uint64_t> volumes;      // emptyDirs on disk, in bytes
  std::uint64_t disk_bytes() const;
  std::uint64_t memory_bytes() const;  // working set
  std::uint64_t pids() const;
};

// Bytes on disk at and below `path`, as du(1) counts them: other file systems and second names of a file are left out.
// 0 when absent.
std::uint64_t disk_usage(const std::string& path);

}  // namespace caisson::node
