// SPDX-License-Identifier: Apache-2.0
#include "artifact/container/cgroup.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <set>
#include <thread>

#include "core/base/file.h"
#include "core/base/text.h"

namespace caisson::container {
namespace {

constexpr int kKillRounds = 20;
constexpr int kRemoveTries = 50;
constexpr int kKillWaitMs = 500;

struct Hierarchy {
  std::string mount_point;
  std::set<std::string, std::less<>> controllers;  // empty for v2 and named ones
  bool v2 = false;
};

const std::vector<Hierarchy>& hierarchies() {
  static const std::vector<Hierarchy> found = [] {
    std::vector<Hierarchy> out;
    const auto info = read_file("/proc/self/mountinfo");
    if (!info.ok()) return out;
    for (const auto line : split(*info, '\n')) {
      const auto fields = split(line, ' ');
      const auto dash = std::find(fields.begin(), fields.end(), "-");
      if (fields.size() < 7 || fields.end() - dash < 4) continue;
      if (dash[1] != "cgroup" && dash[1] != "cgroup2") continue;
      if (fields[3] != "/") continue;  // a bound part, as within a container
      Hierarchy hierarchy{std::string(fields[4]), {}, dash[1] == "cgroup2"};
      if (!hierarchy.v2) {
        for (const auto option : split(dash[3], ',')) hierarchy.controllers.emplace(option);
      }
      out.push_back(std::move(hierarchy));
    }
    return out;
  }();
  return found;
}

std::string file_in(std::string_view controller, const std::string& path, std::string_view file) {
  for (const auto& hierarchy : hierarchies()) {
    const bool mine = cgroup_version() == CgroupVersion::v2 ? hierarchy.v2 : hierarchy.controllers.contains(controller);
    if (mine) return hierarchy.mount_point + path + "/" + std::string(file);
  }
  return {};
}

Result<void> write_control(const std::string& file, const std::string& text) {
  const UniqueFd fd(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) return errno_error("open " + file);
  if (::write(fd.get(), text.data(), text.size()) < 0) return errno_error("write " + text + " to " + file);
  return {};
}

std::uint64_t number_in(const Result<std::string>& text) {
  return text.ok() ? static_cast<std::uint64_t>(parse_int(trim(*text)).value_or(0)) : 0;
}

// "key value" lines.
std::uint64_t value_of(const Result<std::string>& text, std::string_view key) {
  if (!text.ok()) return 0;
  for (const auto line : split(*text, '\n')) {
    if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == ' ') {
      return static_cast<std::uint64_t>(parse_int(trim(line.substr(key.size() + 1))).value_or(0));
    }
  }
  return 0;
}

// Hands every controller down to the children of each cgroup from the root to the parent of `path`. What the kernel
// does not have is skipped.
void enable_controllers(const std::string& mount_point, const std::string& path) {
  std::string at = mount_point;
  for (const auto part : split(path, '/')) {
    if (!part.empty()) at += "/" + std::string(part);
    ::mkdir(at.c_str(), 0755);
    for (const char* name : {"+cpu", "+memory", "+pids", "+io", "+cpuset"}) {
      const auto written = write_control(at + "/cgroup.subtree_control", name);
      static_cast<void>(written);  // absent controllers are the kernel's choice
    }
  }
}

// The kernel (since 6.10) counts what goes to a disk from the first time on that somebody names a limit for it, which
// "0", none, is too. What can't be counted is the kernel's choice.
void count_disks_v1(const std::string& path) {
  const auto disks = list_dir("/sys/block");
  if (!disks.ok()) return;
  for (const std::string& disk : *disks) {
    if (disk.starts_with("loop") || disk.starts_with("ram") || disk.starts_with("zram")) continue;
    const auto number = read_file("/sys/block/" + disk + "/dev");
    if (!number.ok()) continue;
    const auto written =
        write_control(file_in("blkio", path, "blkio.throttle.read_bps_device"), std::string(trim(*number)) + " 0");
    static_cast<void>(written);
  }
}

Result<void> set_limits_v1(const std::string& path, const CgroupLimits& limits) {
  const auto set = [&path](std::string_view controller, std::string_view file, std::int64_t value) -> Result<void> {
    if (value <= 0) return {};
    return write_control(file_in(controller, path, file), std::to_string(value));
  };
  TRY(set("cpu", "cpu.shares", limits.cpu_shares));
  if (limits.cpu_quota_us > 0) {
    TRY(set("cpu", "cpu.cfs_period_us", limits.cpu_period_us));
    TRY(set("cpu", "cpu.cfs_quota_us", limits.cpu_quota_us));
  }
  TRY(set("memory", "memory.limit_in_bytes", limits.memory_bytes_max));
  const std::string with_swap = file_in("memory", path, "memory.memsw.limit_in_bytes");
  if (exists(with_swap)) TRY(set("memory", "memory.memsw.limit_in_bytes", limits.memory_bytes_max));
  return set("pids", "pids.max", limits.pids_max);
}

Result<void> set_limits_v2(const std::string& path, const CgroupLimits& limits) {
  const auto set = [&path](std::string_view file, const std::string& value) {
    return write_control(file_in("", path, file), value);
  };
  // The same turning of shares into weight as runc and the kubelet do.
  if (limits.cpu_shares > 0) {
    const std::int64_t shares = std::clamp<std::int64_t>(limits.cpu_shares, 2, 262'144);
    TRY(set("cpu.weight", std::to_string(1 + ((shares - 2) * 9999) / 262'142)));
  }
  if (limits.cpu_quota_us > 0)
    TRY(set("cpu.max", std::to_string(limits.cpu_quota_us) + " " + std::to_string(limits.cpu_period_us)));
  if (limits.memory_bytes_max > 0) {
    TRY(set("memory.max", std::to_string(limits.memory_bytes_max)));
    if (exists(file_in("", path, "memory.swap.max"))) TRY(set("memory.swap.max", "0"));
  }
  if (limits.pids_max > 0) TRY(set("pids.max", std::to_string(limits.pids_max)));
  return {};
}

void collect_processes(const std::string& directory, std::set<pid_t>& into) {
  const auto text = read_file(directory + "/cgroup.procs");
  if (!text.ok()) return;
  for (const auto line : split(*text, '\n')) {
    if (const auto pid = parse_int(line); pid && *pid > 0) into.insert(static_cast<pid_t>(*pid));
  }
  const auto names = list_dir(directory);
  if (!names.ok()) return;
  for (const auto& name : *names) {
    if (is_directory(directory + "/" + name)) collect_processes(directory + "/" + name, into);
  }
}

// The kernel frees a cgroup some microseconds after its last process is gone, so "busy" is asked again for at most half
// a second.
Result<void> remove_directory(const std::string& directory) {
  const auto names = list_dir(directory);
  if (!names.ok()) return {};
  for (const auto& name : *names) {
    if (is_directory(directory + "/" + name)) TRY(remove_directory(directory + "/" + name));
  }
  for (int i = 0; i < kRemoveTries; ++i) {
    if (::rmdir(directory.c_str()) == 0 || errno == ENOENT) return {};
    if (errno != EBUSY) return errno_error("remove " + directory);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return Error{ErrorCode::unavailable, "cgroup " + directory + " still has processes"};
}

void read_cpu(const std::string& path, CgroupStats& stats) {
  const bool v2 = cgroup_version() == CgroupVersion::v2;
  const auto stat = read_file(file_in("cpu", path, "cpu.stat"));
  const std::uint64_t unit = v2 ? 1000 : 1;  // v2 counts microseconds
  stats.cpu_periods = value_of(stat, "nr_periods");
  stats.cpu_throttled_periods = value_of(stat, "nr_throttled");
  stats.cpu_throttled_ns = value_of(stat, v2 ? "throttled_usec" : "throttled_time") * unit;
  if (v2) {
    stats.cpu_usage_ns = value_of(stat, "usage_usec") * unit;
    stats.cpu_user_ns = value_of(stat, "user_usec") * unit;
    stats.cpu_system_ns = value_of(stat, "system_usec") * unit;
  } else {
    stats.cpu_usage_ns = number_in(read_file(file_in("cpuacct", path, "cpuacct.usage")));
    stats.cpu_user_ns = number_in(read_file(file_in("cpuacct", path, "cpuacct.usage_user")));
    stats.cpu_system_ns = number_in(read_file(file_in("cpuacct", path, "cpuacct.usage_sys")));
  }
}

CgroupIo& io_of(std::vector<CgroupIo>& all, std::string_view device) {
  for (CgroupIo& one : all)
    if (one.device == device) return one;
  return all.emplace_back(CgroupIo{std::string(device)});
}

std::uint64_t counter(std::string_view text) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, parse_int(trim(text)).value_or(0)));
}

// SIGKILL through pidfds, then waits for them, so that nothing is asked in a loop.
void kill_and_wait(const std::vector<pid_t>& pids) {
  std::vector<UniqueFd> fds;
  std::vector<pollfd> polls;
  for (const pid_t pid : pids) {
    UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (!fd) continue;
    ::syscall(SYS_pidfd_send_signal, fd.get(), SIGKILL, nullptr, 0);
    polls.push_back({fd.get(), POLLIN, 0});
    fds.push_back(std::move(fd));
  }
  for (auto& one : polls) ::poll(&one, 1, kKillWaitMs);
}

}  // namespace

CgroupVersion cgroup_version() {
  static const CgroupVersion version = [] {
    struct statfs fs {};
    const bool v2 = ::statfs("/sys/fs/cgroup", &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
    return v2 ? CgroupVersion::v2 : CgroupVersion::v1;
  }();
  return version;
}

Result<void> Cgroup::make(const CgroupLimits& limits) const {
  if (hierarchies().empty()) return Error{ErrorCode::unavailable, "no cgroup hierarchy is mounted on this host"};
  for (const auto& hierarchy : hierarchies()) {
    if (hierarchy.controllers.contains("cpuset")) continue;  // runc fills in its cpus and mems when it makes it
    if (hierarchy.v2 && cgroup_version() == CgroupVersion::v2)
      enable_controllers(hierarchy.mount_point, path_dir(path_));
    TRY(make_dirs(hierarchy.mount_point + path_));
  }
  if (cgroup_version() == CgroupVersion::v2) return set_limits_v2(path_, limits);
  count_disks_v1(path_);
  return set_limits_v1(path_, limits);
}

bool Cgroup::exists() const {
  return std::any_of(hierarchies().begin(), hierarchies().end(),
                     [this](const Hierarchy& h) { return caisson::exists(h.mount_point + path_); });
}

Result<CgroupStats> Cgroup::stats() const {
  CgroupStats stats;
  const bool v2 = cgroup_version() == CgroupVersion::v2;
  const auto usage = read_file(file_in("memory", path_, v2 ? "memory.current" : "memory.usage_in_bytes"));
  if (!usage.ok()) return Error{ErrorCode::not_found, "cgroup " + path_ + " is gone"};
  stats.memory_usage_bytes = number_in(usage);
  const auto memory = read_file(file_in("memory", path_, "memory.stat"));
  const std::uint64_t inactive = value_of(memory, v2 ? "inactive_file" : "total_inactive_file");
  stats.memory_working_set_bytes = stats.memory_usage_bytes > inactive ? stats.memory_usage_bytes - inactive : 0;
  stats.memory_rss_bytes = value_of(memory, v2 ? "anon" : "total_rss");
  stats.memory_cache_bytes = value_of(memory, v2 ? "file" : "total_cache");
  stats.memory_mapped_bytes = value_of(memory, v2 ? "file_mapped" : "total_mapped_file");
  stats.memory_swap_bytes =
      v2 ? number_in(read_file(file_in("", path_, "memory.swap.current"))) : value_of(memory, "total_swap");
  stats.page_faults = value_of(memory, v2 ? "pgfault" : "total_pgfault");
  stats.major_page_faults = value_of(memory, v2 ? "pgmajfault" : "total_pgmajfault");
  read_cpu(path_, stats);
  stats.pids = number_in(read_file(file_in("pids", path_, "pids.current")));
  stats.oom_kills = oom_kills();
  return stats;
}

std::vector<CgroupIo> parse_io_v2(std::string_view io_stat) {
  std::vector<CgroupIo> all;
  for (const auto line : split(io_stat, '\n')) {
    const auto words = split(line, ' ');
    if (words.size() < 2 || words[0].find(':') == std::string_view::npos) continue;
    CgroupIo& one = io_of(all, words[0]);
    for (const auto word : words) {
      if (word.starts_with("rbytes=")) one.read_bytes = counter(word.substr(7));
      if (word.starts_with("wbytes=")) one.written_bytes = counter(word.substr(7));
      if (word.starts_with("rios=")) one.reads = counter(word.substr(5));
      if (word.starts_with("wios=")) one.writes = counter(word.substr(5));
    }
  }
  return all;
}

std::vector<CgroupIo> parse_io_v1(std::string_view serviced, std::string_view service_bytes) {
  std::vector<CgroupIo> all;
  const auto take = [&all](std::string_view text, std::uint64_t CgroupIo::*read, std::uint64_t CgroupIo::*write) {
    for (const auto line : split(text, '\n')) {
      const auto words = split(line, ' ');  // "8:0 Read 12"; the sum is "Total 12"
      if (words.size() != 3) continue;
      if (words[1] == "Read") io_of(all, words[0]).*read = counter(words[2]);
      if (words[1] == "Write") io_of(all, words[0]).*write = counter(words[2]);
    }
  };
  take(serviced, &CgroupIo::reads, &CgroupIo::writes);
  take(service_bytes, &CgroupIo::read_bytes, &CgroupIo::written_bytes);
  return all;
}

std::vector<CgroupIo> Cgroup::io() const {
  const auto text = [this](const char* file) {
    const auto read = read_file(file_in("blkio", path_, file));
    return read.ok() ? *read : std::string();
  };
  if (cgroup_version() == CgroupVersion::v2) return parse_io_v2(text("io.stat"));
  return parse_io_v1(text("blkio.throttle.io_serviced_recursive"), text("blkio.throttle.io_service_bytes_recursive"));
}

std::uint64_t Cgroup::oom_kills() const {
  const bool v2 = cgroup_version() == CgroupVersion::v2;
  return value_of(read_file(file_in("memory", path_, v2 ? "memory.events" : "memory.oom_control")), "oom_kill");
}

std::vector<pid_t> Cgroup::processes() const {
  std::set<pid_t> pids;
  for (const auto& hierarchy : hierarchies()) collect_processes(hierarchy.mount_point + path_, pids);
  return {pids.begin(), pids.end()};
}

int Cgroup::kill_all() const {
  std::vector<pid_t> pids = processes();
  for (int round = 0; round < kKillRounds && !pids.empty(); ++round) {
    if (cgroup_version() == CgroupVersion::v2) {
      const auto killed = write_control(file_in("", path_, "cgroup.kill"), "1");  // since Linux 5.14; else one by one
      static_cast<void>(killed);
    }
    kill_and_wait(pids);
    pids = processes();
  }
  return static_cast<int>(pids.size());
}

Result<void> Cgroup::remove() const {
  for (const auto& hierarchy : hierarchies()) TRY(remove_directory(hierarchy.mount_point + path_));
  return {};
}

std::uint64_t host_memory_bytes() {
  return static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace caisson::container
