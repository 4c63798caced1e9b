// SPDX-License-Identifier: Apache-2.0
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <chrono>
#include <set>

#include "core/base/text.h"
#include "observe/metrics/sources/machine.h"
#include "observe/metrics/sources/proc_text.h"

namespace caisson::metrics {
namespace {

constexpr double kSectorBytes = 512;  // of diskstats, whatever the disk's own are

void cpus(Families& out, const std::string& proc) {
  constexpr const char* kModes[] = {"user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"};
  const double hertz = static_cast<double>(::sysconf(_SC_CLK_TCK));
  const auto stat = words_of(proc + "/stat");
  out.family("node_cpu_seconds_total", "counter", "Seconds the CPUs spent in each mode.");
  for (const auto& words : stat) {
    if (!words[0].starts_with("cpu") || words[0].size() == 3) continue;
    for (std::size_t i = 0; i < std::size(kModes) && i + 1 < words.size(); ++i)
      out.add({{"cpu", words[0].substr(3)}, {"mode", kModes[i]}}, number_of(words[i + 1]) / hertz);
  }
  struct Of {
    const char *key, *metric, *type;
  };
  for (const Of& one :
       {Of{"ctxt", "node_context_switches_total", "counter"}, Of{"intr", "node_intr_total", "counter"},
        Of{"btime", "node_boot_time_seconds", "gauge"}, Of{"processes", "node_forks_total", "counter"},
        Of{"procs_running", "node_procs_running", "gauge"}, Of{"procs_blocked", "node_procs_blocked", "gauge"}})
    for (const auto& words : stat)
      if (words[0] == one.key && words.size() > 1) {
        out.family(one.metric, one.type, std::string(one.key) + " of /proc/stat.");
        out.add({}, number_of(words[1]));
      }
}

// "MemTotal:  123 kB" is node_memory_MemTotal_bytes; "Active(anon):" is node_memory_Active_anon_bytes.
void memory(Families& out, const std::string& proc) {
  for (const auto& words : words_of(proc + "/meminfo")) {
    if (words.size() < 2) continue;
    std::string name = replace_all(replace_all(words[0], "(", "_"), ")", "");
    if (name.ends_with(':')) name.pop_back();
    const bool kilobytes = words.size() > 2 && words[2] == "kB";
    out.family("node_memory_" + name + (kilobytes ? "_bytes" : ""), "gauge", "Memory information field " + name + ".");
    out.add({}, number_of(words[1]) * (kilobytes ? 1024 : 1));
  }
}

void load(Families& out, const std::string& proc) {
  const auto lines = words_of(proc + "/loadavg");
  if (lines.empty() || lines[0].size() < 3) return;
  constexpr const char* kNames[] = {"node_load1", "node_load5", "node_load15"};
  for (std::size_t i = 0; i < 3; ++i) {
    out.family(kNames[i], "gauge", "Load average.");
    out.add({}, number_of(lines[0][i]));
  }
}

void disks(Families& out, const std::string& proc) {
  struct Counter {
    std::size_t column;
    const char* metric;
    double unit;
    const char* type = "counter";
  };
  const auto lines = words_of(proc + "/diskstats");
  for (const Counter& counter :
       {Counter{3, "reads_completed_total", 1}, Counter{4, "reads_merged_total", 1},
        Counter{5, "read_bytes_total", kSectorBytes}, Counter{6, "read_time_seconds_total", 0.001},
        Counter{7, "writes_completed_total", 1}, Counter{8, "writes_merged_total", 1},
        Counter{9, "written_bytes_total", kSectorBytes}, Counter{10, "write_time_seconds_total", 0.001},
        Counter{11, "io_now", 1, "gauge"}, Counter{12, "io_time_seconds_total", 0.001},
        Counter{13, "io_time_weighted_seconds_total", 0.001}}) {
    out.family(std::string("node_disk_") + counter.metric, counter.type, "Counter of /proc/diskstats.");
    for (const auto& words : lines) {
      if (words.size() < 14 || words[2].starts_with("loop") || words[2].starts_with("ram")) continue;
      out.add({{"device", words[2]}}, number_of(words[counter.column]) * counter.unit);
    }
  }
}

// What node_exporter leaves out by default: pseudo file systems, and mounts of containers and of the system's own
// trees.
bool is_left_out(const std::string& type, const std::string& at) {
  constexpr std::string_view kTypes =
      " autofs binfmt_misc bpf cgroup cgroup2 configfs debugfs devpts devtmpfs fusectl hugetlbfs iso9660 mqueue nsfs "
      "overlay proc "
      "procfs pstore rpc_pipefs securityfs selinuxfs squashfs erofs sysfs tracefs ";
  if (kTypes.find(" " + type + " ") != std::string_view::npos && at != "/") return true;
  for (const std::string_view tree :
       {"/dev", "/proc", "/sys", "/run/credentials", "/var/lib/docker", "/var/lib/containers/storage"})
    if (at == tree || (at.starts_with(tree) && at[tree.size()] == '/')) return true;
  return false;
}

void file_systems(Families& out, const std::string& proc) {
  struct Mount {
    std::vector<Label> labels;
    struct statvfs s;
  };
  std::vector<Mount> mounts;
  std::set<std::string> seen;
  for (const auto& words : words_of(proc + "/self/mounts")) {
    if (words.size() < 4 || is_left_out(words[2], words[1]) || !seen.insert(words[1]).second) continue;
    Mount mount{{{"device", words[0]}, {"mountpoint", words[1]}, {"fstype", words[2]}, {"device_error", ""}}, {}};
    if (::statvfs(words[1].c_str(), &mount.s) == 0 && mount.s.f_blocks > 0) mounts.push_back(std::move(mount));
  }
  const auto each = [&](const char* name, auto value) {
    out.family(std::string("node_filesystem_") + name, "gauge", "Filesystem statistic.");
    for (const Mount& mount : mounts) out.add(mount.labels, value(mount.s));
  };
  const auto bytes = [](std::uint64_t blocks, const struct statvfs& s) {
    return static_cast<double>(blocks) * static_cast<double>(s.f_frsize);
  };
  each("size_bytes", [&](const struct statvfs& s) { return bytes(s.f_blocks, s); });
  each("free_bytes", [&](const struct statvfs& s) { return bytes(s.f_bfree, s); });
  each("avail_bytes", [&](const struct statvfs& s) { return bytes(s.f_bavail, s); });
  each("files", [](const struct statvfs& s) { return static_cast<double>(s.f_files); });
  each("files_free", [](const struct statvfs& s) { return static_cast<double>(s.f_ffree); });
  each("readonly", [](const struct statvfs& s) { return s.f_flag & ST_RDONLY ? 1.0 : 0.0; });
}

// "some avg10=0.00 avg60=0.00 avg300=0.00 total=1234", in microseconds.
void pressure(Families& out, const std::string& proc) {
  struct Of {
    const char *resource, *waiting, *stalled;
  };
  for (const Of& one :
       {Of{"cpu", "cpu_waiting_seconds_total", ""}, Of{"io", "io_waiting_seconds_total", "io_stalled_seconds_total"},
        Of{"memory", "memory_waiting_seconds_total", "memory_stalled_seconds_total"}})
    for (const auto& words : words_of(proc + "/pressure/" + one.resource)) {
      const std::string metric = words[0] == "some" ? one.waiting : one.stalled;
      if (metric.empty() || words.size() < 5 || !words[4].starts_with("total=")) continue;
      out.family("node_pressure_" + metric, "counter", "Total time processes waited, by pressure stall information.");
      out.add({}, number_of(std::string_view(words[4]).substr(6)) / 1e6);
    }
}

void kernel(Families& out, const std::string& proc) {
  utsname name{};
  ::uname(&name);
  out.family("node_uname_info", "gauge", "Labeled system information as provided by the uname system call.");
  out.add({{"sysname", name.sysname},
           {"release", name.release},
           {"version", name.version},
           {"machine", name.machine},
           {"nodename", name.nodename},
           {"domainname", name.domainname}},
          1);
  out.family("node_time_seconds", "gauge", "System time in seconds since epoch (1970).");
  out.add({}, std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count());
  if (const auto entropy = words_of(proc + "/sys/kernel/random/entropy_avail"); !entropy.empty()) {
    out.family("node_entropy_available_bits", "gauge", "Bits of available entropy.");
    out.add({}, number_of(entropy[0][0]));
  }
  if (const auto files = words_of(proc + "/sys/fs/file-nr"); !files.empty() && files[0].size() == 3) {
    out.family("node_filefd_allocated", "gauge", "File descriptor statistics: allocated.");
    out.add({}, number_of(files[0][0]));
    out.family("node_filefd_maximum", "gauge", "File descriptor statistics: maximum.");
    out.add({}, number_of(files[0][2]));
  }
  for (const auto& words : words_of(proc + "/vmstat")) {
    if (words.size() < 2) continue;
    for (const char* wanted : {"pgpgin", "pgpgout", "pswpin", "pswpout", "pgfault", "pgmajfault", "oom_kill"})
      if (words[0] == wanted) {
        out.family("node_vmstat_" + words[0], "untyped", "/proc/vmstat information field " + words[0] + ".");
        out.add({}, number_of(words[1]));
      }
  }
}

}  // namespace

Exposition node_usage(const std::string& proc, const std::string& sys) {
  Families out;
  cpus(out, proc);
  memory(out, proc);
  load(out, proc);
  disks(out, proc);
  file_systems(out, proc);
  node_network(out, proc, sys);
  pressure(out, proc);
  kernel(out, proc);
  return out.take();
}

}  // namespace caisson::metrics
