// SPDX-License-Identifier: Apache-2.0
#include "machine/node/stats.h"

#include <fts.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

#include <set>

#include "core/base/file.h"
#include "core/base/text.h"

namespace caisson::node {
namespace {

constexpr std::uint64_t kBlock = 512;  // of st_blocks, whatever the file system's own block is

// "MemAvailable:   123 kB" of /proc/meminfo, in bytes.
std::uint64_t memory_line(std::string_view text, std::string_view name) {
  for (const auto line : split(text, '\n')) {
    if (!line.starts_with(name) || line.substr(name.size(), 1) != ":") continue;
    std::string_view rest = trim(line.substr(name.size() + 1));
    return static_cast<std::uint64_t>(parse_int(rest.substr(0, rest.find(' '))).value_or(0)) << 10;
  }
  return 0;
}

std::uint64_t number_in(const char* path) {
  const auto text = read_file(path);
  return text.ok() ? static_cast<std::uint64_t>(parse_int(trim(*text)).value_or(0)) : 0;
}

}  // namespace

HostResources read_host(const std::string& data_dir) {
  HostResources out;
  if (const auto memory = read_file("/proc/meminfo"); memory.ok()) {
    out.memory_bytes = memory_line(*memory, "MemTotal");
    out.memory_available_bytes = memory_line(*memory, "MemAvailable");
  }
  struct statvfs disk {};
  if (::statvfs(data_dir.c_str(), &disk) == 0) {
    out.disk_bytes = static_cast<std::uint64_t>(disk.f_blocks) * disk.f_frsize;
    out.disk_available_bytes = static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize;
  }
  out.pids_max = number_in("/proc/sys/kernel/pid_max");
  if (const auto load = read_file("/proc/loadavg"); load.ok()) {  // "0.1 0.2 0.3 1/234 999": running/all threads
    const auto fields = split(trim(*load), ' ');
    if (fields.size() > 3)
      out.pids = static_cast<std::uint64_t>(parse_int(fields[3].substr(fields[3].find('/') + 1)).value_or(0));
  }
  timespec up{};
  if (::clock_gettime(CLOCK_BOOTTIME, &up) == 0)
    out.booted = system_clock().now() - std::chrono::seconds(up.tv_sec) - std::chrono::nanoseconds(up.tv_nsec);
  if (const auto stat = read_file("/proc/stat");
      stat.ok()) {  // "cpu  user nice system idle iowait irq softirq …", in ticks
    const auto line = std::string_view(*stat).substr(0, stat->find('\n'));
    std::uint64_t ticks = 0;
    int field = 0;
    for (const auto word : split(line, ' ')) {
      if (word.empty() || word == "cpu") continue;
      ++field;
      if (field <= 7 && field != 4 && field != 5) ticks += static_cast<std::uint64_t>(parse_int(word).value_or(0));
    }
    out.cpu_ns = ticks * (1'000'000'000ull / static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK)));
  }
  return out;
}

std::uint64_t PodUsage::disk_bytes() const {
  std::uint64_t sum = 0;
  for (const auto& [name, one] : containers) sum += one.disk_bytes + one.log_bytes;
  for (const auto& [name, bytes] : volumes) sum += bytes;
  return sum;
}
std::uint64_t PodUsage::memory_bytes() const {
  std::uint64_t sum = 0;
  for (const auto& [name, one] : containers) sum += one.memory_working_set_bytes;
  return sum;
}
std::uint64_t PodUsage::pids() const {
  std::uint64_t sum = 0;
  for (const auto& [name, one] : containers) sum += one.pids;
  return sum;
}

std::uint64_t disk_usage(const std::string& path) {
  std::string root = path;
  char* const roots[] = {root.data(), nullptr};
  FTS* const walk = ::fts_open(roots, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, nullptr);
  if (!walk) return 0;
  std::uint64_t bytes = 0;
  std::set<ino_t> seen;  // files with more than one name
  while (const FTSENT* entry = ::fts_read(walk)) {
    if (entry->fts_info == FTS_DP || entry->fts_info == FTS_NS || entry->fts_info == FTS_ERR) continue;
    const struct stat& info = *entry->fts_statp;
    if (!S_ISDIR(info.st_mode) && info.st_nlink > 1 && !seen.insert(info.st_ino).second) continue;
    bytes += static_cast<std::uint64_t>(info.st_blocks) * kBlock;
  }
  ::fts_close(walk);
  return bytes;
}

}  // namespace caisson::node
