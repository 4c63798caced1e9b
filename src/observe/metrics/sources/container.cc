// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <map>
#include <thread>

#include "artifact/container/cgroup.h"
#include "cluster/kube/quantity.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "observe/metrics/sources/machine.h"
#include "observe/metrics/sources/proc_text.h"

namespace caisson::metrics {
namespace {

constexpr double kCpuPeriodUs = 100'000;
constexpr std::int64_t kSharesOfCpu = 1024, kSharesMin = 2;

struct Usage {
  std::vector<Label> labels;
  container::CgroupStats stats;
  std::vector<container::CgroupIo> io;
  double started = 0, memory_limit = 0, cpu_quota = 0, cpu_shares = kSharesMin;
  bool is_pod = false;
  pid_t process = 0;
};

double quantity_or_zero(const Value& quantity, double unit) {
  const auto parsed = quantity.is_null() ? Result<std::int64_t>(Error{ErrorCode::not_found, ""})
                                         : kube::parse_quantity_milli(quantity.scalar_text());
  return parsed.ok() ? static_cast<double>(*parsed) / 1000 * unit : 0;
}

std::vector<Label> labels_of(const kube::Object& pod, const std::string& path, const Value* status) {
  std::string name;
  if (status) name = "k8s_" + (*status)["name"].str() + "_" + pod.name() + "_" + pod.ns() + "_" + pod.uid();
  return {{"container", status ? (*status)["name"].str() : ""},
          {"id", path},
          {"image", status ? (*status)["image"].str() : ""},
          {"name", name},
          {"namespace", pod.ns()},
          {"pod", pod.name()}};
}

void read_limits(const Value& resources, Usage& usage) {
  const Value& limits = resources["limits"];
  usage.memory_limit = quantity_or_zero(limits["memory"], 1);
  usage.cpu_quota = quantity_or_zero(limits["cpu"], kCpuPeriodUs);
  const Value& request = resources["requests"]["cpu"].is_null() ? limits["cpu"] : resources["requests"]["cpu"];
  usage.cpu_shares = std::max<double>(kSharesMin, std::floor(quantity_or_zero(request, kSharesOfCpu)));
}

void collect(const std::string& root, const kube::Object& pod, std::vector<Usage>& out) {
  const std::string parent = root + "/pod" + pod.uid();
  auto whole = container::Cgroup(parent).stats();
  if (!whole.ok()) return;
  Usage of_pod{labels_of(pod, parent, nullptr), *whole, container::Cgroup(parent).io()};
  of_pod.is_pod = true;
  for (const Value& status : pod.status()["containerStatuses"].items()) {
    const std::string_view id = status["containerID"].as_string();
    const auto slash = id.rfind('/');
    if (!status["state"]["running"].is_map() || slash == std::string_view::npos) continue;
    const std::string path = parent + "/" + std::string(id.substr(slash + 1));
    const container::Cgroup cgroup(path);
    auto stats = cgroup.stats();
    if (!stats.ok()) continue;
    if (of_pod.process == 0)
      if (const auto processes = cgroup.processes(); !processes.empty()) of_pod.process = processes.front();
    Usage usage{labels_of(pod, path, &status), *stats, cgroup.io()};
    if (const auto time = parse_time(status["state"]["running"]["startedAt"].as_string()))
      usage.started = std::chrono::duration<double>(time->time_since_epoch()).count();
    for (const Value& spec : pod.spec()["containers"].items())
      if (spec["name"] == status["name"]) read_limits(spec["resources"], usage);
    out.push_back(std::move(usage));
  }
  out.push_back(std::move(of_pod));
}

void network(Families& out, const std::vector<Usage>& all) {
  for (const NetworkCounter& counter : kNetworkCounters) {
    if (!counter.container_name) continue;
    out.family(std::string("container_network_") + counter.container_name, "counter",
               "Cumulative count of the pod's interface.");
    for (const Usage& usage : all) {
      if (usage.process == 0) continue;
      for (const InterfaceLine& line : interfaces("/proc/" + std::to_string(usage.process))) {
        if (line.name == "lo") continue;
        std::vector<Label> labels = usage.labels;
        labels.push_back({"interface", line.name});
        out.add(std::move(labels), line.values[counter.column]);
      }
    }
  }
}

// "/dev/sda", as cAdvisor names a disk; its number where the kernel has no name for it.
std::string device_path(const std::string& number) {
  for (const auto& words : words_of("/sys/dev/block/" + number + "/uevent"))
    if (words[0].starts_with("DEVNAME=")) return "/dev/" + words[0].substr(8);
  return number;
}

struct IoCounter {
  const char* metric;
  const char* help;
  std::uint64_t container::CgroupIo::*field;
};
constexpr IoCounter kIoCounters[] = {
    {"container_fs_reads_total", "Cumulative count of reads completed.", &container::CgroupIo::reads},
    {"container_fs_writes_total", "Cumulative count of writes completed.", &container::CgroupIo::writes},
    {"container_fs_reads_bytes_total", "Cumulative count of bytes read.", &container::CgroupIo::read_bytes},
    {"container_fs_writes_bytes_total", "Cumulative count of bytes written.", &container::CgroupIo::written_bytes},
};

void disks(Families& out, const std::vector<Usage>& all) {
  std::map<std::string, std::string> paths;
  for (const Usage& usage : all)
    for (const auto& io : usage.io)
      if (!paths.contains(io.device)) paths[io.device] = device_path(io.device);
  for (const IoCounter& counter : kIoCounters) {
    out.family(counter.metric, "counter", counter.help);
    for (const Usage& usage : all)
      for (const auto& io : usage.io) {
        std::vector<Label> labels = usage.labels;
        labels.push_back({"device", paths[io.device]});
        out.add(std::move(labels), static_cast<double>(io.*counter.field));
      }
  }
}

struct Counter {
  const char* metric;
  const char* type;
  const char* help;
  std::uint64_t container::CgroupStats::*field;
  double unit = 1;
};
constexpr Counter kCounters[] = {
    {"container_cpu_user_seconds_total", "counter", "Cumulative user cpu time consumed in seconds.",
     &container::CgroupStats::cpu_user_ns, 1e-9},
    {"container_cpu_system_seconds_total", "counter", "Cumulative system cpu time consumed in seconds.",
     &container::CgroupStats::cpu_system_ns, 1e-9},
    {"container_memory_usage_bytes", "gauge",
     "Current memory usage in bytes, including all memory regardless of when it was accessed.",
     &container::CgroupStats::memory_usage_bytes},
    {"container_memory_working_set_bytes", "gauge", "Current working set in bytes.",
     &container::CgroupStats::memory_working_set_bytes},
    {"container_memory_rss", "gauge", "Size of RSS in bytes.", &container::CgroupStats::memory_rss_bytes},
    {"container_memory_cache", "gauge", "Number of bytes of page cache memory.",
     &container::CgroupStats::memory_cache_bytes},
    {"container_memory_swap", "gauge", "Container swap usage in bytes.", &container::CgroupStats::memory_swap_bytes},
    {"container_memory_mapped_file", "gauge", "Size of memory mapped files in bytes.",
     &container::CgroupStats::memory_mapped_bytes},
    {"container_oom_events_total", "counter", "Count of out of memory events observed for the container.",
     &container::CgroupStats::oom_kills},
    {"container_processes", "gauge", "Number of processes running inside the container.",
     &container::CgroupStats::pids},
};
// The kernel counts these where there is a quota only.
constexpr Counter kQuotaCounters[] = {
    {"container_cpu_cfs_periods_total", "counter", "Number of elapsed enforcement period intervals.",
     &container::CgroupStats::cpu_periods},
    {"container_cpu_cfs_throttled_periods_total", "counter", "Number of throttled period intervals.",
     &container::CgroupStats::cpu_throttled_periods},
    {"container_cpu_cfs_throttled_seconds_total", "counter", "Total time duration the container has been throttled.",
     &container::CgroupStats::cpu_throttled_ns, 1e-9},
};

void processors(Families& out, const std::vector<Usage>& all) {
  out.family("container_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed in seconds.");
  for (const Usage& usage : all) {
    std::vector<Label> labels = usage.labels;
    labels.push_back({"cpu", "total"});
    out.add(std::move(labels), static_cast<double>(usage.stats.cpu_usage_ns) / 1e9);
  }
  for (const Counter& counter : kQuotaCounters) {
    out.family(counter.metric, counter.type, counter.help);
    for (const Usage& usage : all)
      if (usage.cpu_quota > 0) out.add(usage.labels, static_cast<double>(usage.stats.*counter.field) * counter.unit);
  }
}

void page_faults(Families& out, const std::vector<Usage>& all) {
  out.family("container_memory_failures_total", "counter", "Cumulative count of memory allocation failures.");
  for (const Usage& usage : all)
    for (const auto& [type, count] :
         {std::pair("pgfault", usage.stats.page_faults), std::pair("pgmajfault", usage.stats.major_page_faults)}) {
      std::vector<Label> labels = usage.labels;
      labels.push_back({"failure_type", type});
      labels.push_back({"scope", "hierarchy"});
      out.add(std::move(labels), static_cast<double>(count));
    }
}

void specifications(Families& out, const std::vector<Usage>& all) {
  const auto of_containers = [&](const char* metric, const char* help, auto value) {
    out.family(metric, "gauge", help);
    for (const Usage& usage : all)
      if (!usage.is_pod) out.add(usage.labels, value(usage));
  };
  of_containers("container_start_time_seconds", "Start time of the container since unix epoch in seconds.",
                [](const Usage& u) { return u.started; });
  of_containers("container_spec_memory_limit_bytes", "Memory limit for the container.",
                [](const Usage& u) { return u.memory_limit; });
  of_containers("container_spec_cpu_shares", "CPU share of the container.",
                [](const Usage& u) { return u.cpu_shares; });
  of_containers("container_spec_cpu_period", "CPU period of the container.", [](const Usage&) { return kCpuPeriodUs; });
  out.family("container_spec_cpu_quota", "gauge", "CPU quota of the container.");
  for (const Usage& usage : all)
    if (usage.cpu_quota > 0) out.add(usage.labels, usage.cpu_quota);
}

}  // namespace

Exposition container_usage(const std::string& cgroup_root, const std::vector<kube::Object>& pods, std::int64_t now_ms) {
  std::vector<Usage> all;
  for (const kube::Object& pod : pods) collect(cgroup_root, pod, all);
  Families out;
  processors(out, all);
  for (const Counter& counter : kCounters) {
    out.family(counter.metric, counter.type, counter.help);
    for (const Usage& usage : all)
      out.add(usage.labels, static_cast<double>(usage.stats.*counter.field) * counter.unit);
  }
  page_faults(out, all);
  specifications(out, all);
  out.family("container_last_seen", "gauge", "Last time a container was seen by the exporter.");
  for (const Usage& usage : all) out.add(usage.labels, static_cast<double>(now_ms / 1000));
  disks(out, all);
  network(out, all);
  out.family("machine_cpu_cores", "gauge", "Number of logical CPU cores.");
  out.add({}, static_cast<double>(std::thread::hardware_concurrency()));
  out.family("machine_memory_bytes", "gauge", "Amount of memory installed on the machine.");
  out.add({}, static_cast<double>(container::host_memory_bytes()));
  return out.take();
}

}  // namespace caisson::metrics
