// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/sources/own.h"

#include <sys/resource.h>
#include <unistd.h>

#include <chrono>

#include "core/base/file.h"
#include "observe/metrics/sources/proc_text.h"

namespace caisson::metrics {
namespace {

double process_start_seconds() {
  const auto stat = words_of("/proc/self/stat");
  const auto machine = words_of("/proc/stat");
  // The name may hold blanks, but ours has none: field 22 counts clock ticks since the machine started.
  if (stat.empty() || stat[0].size() < 22) return 0;
  for (const auto& words : machine)
    if (words[0] == "btime" && words.size() > 1)
      return number_of(words[1]) + number_of(stat[0][21]) / static_cast<double>(::sysconf(_SC_CLK_TCK));
  return 0;
}

struct OfLane {
  const char *metric, *type, *key, *help;
};
constexpr OfLane kLanes[] = {
    {"controller_runtime_reconcile_total", "counter", "runs", "Total number of reconciliations per controller."},
    {"controller_runtime_reconcile_errors_total", "counter", "errors",
     "Total number of reconciliation errors per controller."},
    {"controller_runtime_active_workers", "gauge", "running", "Number of currently used workers per controller."},
    {"caisson_reconciler_held_keys_total", "counter", "held", "Keys that were held after they crashed the process."},
    {"caisson_reconciler_delayed_keys", "gauge", "delayed", "Keys that wait for their time."},
};

}  // namespace

void process_state(Families& out) {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  out.family("process_cpu_seconds_total", "counter", "Total user and system CPU time spent in seconds.");
  out.add({}, seconds(usage.ru_utime) + seconds(usage.ru_stime));
  if (const auto memory = words_of("/proc/self/statm"); !memory.empty() && memory[0].size() > 1) {
    const double page = static_cast<double>(::sysconf(_SC_PAGESIZE));
    out.family("process_resident_memory_bytes", "gauge", "Resident memory size in bytes.");
    out.add({}, number_of(memory[0][1]) * page);
    out.family("process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.");
    out.add({}, number_of(memory[0][0]) * page);
  }
  if (const auto open = list_dir("/proc/self/fd"); open.ok()) {
    out.family("process_open_fds", "gauge", "Number of open file descriptors.");
    out.add({}, static_cast<double>(open->size()));
  }
  out.family("process_start_time_seconds", "gauge", "Start time of the process since unix epoch in seconds.");
  out.add({}, process_start_seconds());
}

Exposition own_state(const Value& reconcilers, const TsdbStats& storage, std::string_view version) {
  Families out;
  process_state(out);
  out.family("caisson_build_info", "gauge", "The version of this program.");
  out.add({{"version", std::string(version)}}, 1);
  for (const OfLane& of : kLanes) {
    out.family(of.metric, of.type, of.help);
    for (const auto& lane : reconcilers.entries())
      if (lane.value.is_map()) out.add({{"controller", std::string(lane.key)}}, lane.value[of.key].as_double());
  }
  out.family("workqueue_depth", "gauge", "Current depth of workqueue.");
  for (const auto& lane : reconcilers.entries())
    if (lane.value.is_map()) out.add({{"name", std::string(lane.key)}}, lane.value["queued"].as_double());
  out.family("prometheus_tsdb_head_series", "gauge", "Total number of series in the head block.");
  out.add({}, static_cast<double>(storage.series));
  out.family("prometheus_tsdb_head_chunks_storage_size_bytes", "gauge", "Size of the compressed samples in memory.");
  out.add({}, static_cast<double>(storage.sample_bytes));
  out.family("prometheus_tsdb_wal_storage_size_bytes", "gauge", "Size of the write log directory.");
  out.add({}, static_cast<double>(storage.log_bytes));
  return out.take();
}

}  // namespace caisson::metrics
