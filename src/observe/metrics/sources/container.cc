// SPDX-License-Identifier: Apache-2.0
#include <thread>

#include "artifact/container/cgroup.h"
#include "cluster/kube/quantity.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "observe/metrics/sources/machine.h"
#include "observe/metrics/sources/proc_text.h"

namespace caisson::metrics {
namespace {

struct Usage {
  std::vector<Label> labels;
  container::CgroupStats stats;
  double started = 0, memory_limit = 0, cpu_quota = 0;
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

void collect(const std::string& root, const kube::Object& pod, std::vector<Usage>& out) {
  const std::string parent = root + "/pod" + pod.uid();
  auto whole = container::Cgroup(parent).stats();
  if (!whole.ok()) return;
  Usage of_pod{labels_of(pod, parent, nullptr), *whole};
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
    Usage usage{labels_of(pod, path, &status), *stats};
    if (const auto time = parse_time(status["state"]["running"]["startedAt"].as_string()))
      usage.started = std::chrono::duration<double>(time->time_since_epoch()).count();
    for (const Value& spec : pod.spec()["containers"].items())
      if (spec["name"] == status["name"]) {
        usage.memory_limit = quantity_or_zero(spec["resources"]["limits"]["memory"], 1);
        usage.cpu_quota = quantity_or_zero(spec["resources"]["limits"]["cpu"], 100'000);
      }
    out.push_back(std::move(usage));
  }
  out.push_back(std::move(of_pod));
}

void network(Families& out, const std::vector<Usage>& all) {
  for (const NetworkCounter& counter : kNetworkCounters) {
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

}  // namespace

Exposition container_usage(const std::string& cgroup_root, const std::vector<kube::Object>& pods, std::int64_t now_ms) {
  std::vector<Usage> all;
  for (const kube::Object& pod : pods) collect(cgroup_root, pod, all);
  Families out;
  const auto each = [&](const char* name, const char* type, const char* help, auto value) {
    out.family(name, type, help);
    for (const Usage& usage : all) out.add(usage.labels, value(usage));
  };
  out.family("container_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed in seconds.");
  for (const Usage& usage : all) {
    std::vector<Label> labels = usage.labels;
    labels.push_back({"cpu", "total"});
    out.add(std::move(labels), static_cast<double>(usage.stats.cpu_usage_ns) / 1e9);
  }
  const auto number = [](std::uint64_t v) { return static_cast<double>(v); };
  each("container_memory_usage_bytes", "gauge",
       "Current memory usage in bytes, including all memory regardless of when it was accessed.",
       [&](const Usage& u) { return number(u.stats.memory_usage_bytes); });
  each("container_memory_working_set_bytes", "gauge", "Current working set in bytes.",
       [&](const Usage& u) { return number(u.stats.memory_working_set_bytes); });
  each("container_memory_rss", "gauge", "Size of RSS in bytes.",
       [&](const Usage& u) { return number(u.stats.memory_rss_bytes); });
  each("container_oom_events_total", "counter", "Count of out of memory events observed for the container.",
       [&](const Usage& u) { return number(u.stats.oom_kills); });
  each("container_processes", "gauge", "Number of processes running inside the container.",
       [&](const Usage& u) { return number(u.stats.pids); });
  each("container_last_seen", "gauge", "Last time a container was seen by the exporter.",
       [&](const Usage&) { return static_cast<double>(now_ms / 1000); });
  each("container_start_time_seconds", "gauge", "Start time of the container since unix epoch in seconds.",
       [](const Usage& u) { return u.started; });
  each("container_spec_memory_limit_bytes", "gauge", "Memory limit for the container.",
       [](const Usage& u) { return u.memory_limit; });
  out.family("container_spec_cpu_quota", "gauge", "CPU quota of the container.");
  for (const Usage& usage : all)
    if (usage.cpu_quota > 0) out.add(usage.labels, usage.cpu_quota);
  out.family("container_spec_cpu_period", "gauge", "CPU period of the container.");
  for (const Usage& usage : all)
    if (!usage.is_pod) out.add(usage.labels, 100'000);
  network(out, all);
  out.family("machine_cpu_cores", "gauge", "Number of logical CPU cores.");
  out.add({}, static_cast<double>(std::thread::hardware_concurrency()));
  out.family("machine_memory_bytes", "gauge", "Amount of memory installed on the machine.");
  out.add({}, static_cast<double>(container::host_memory_bytes()));
  return out.take();
}

}  // namespace caisson::metrics
