// SPDX-License-Identifier: Apache-2.0
#include "main/platform/preflight.h"

#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdlib>

#include "core/base/file.h"
#include "core/base/process.h"
#include "core/base/text.h"
#include "main/platform/up.h"

namespace caisson::platform {
namespace {

using State = Check::State;
constexpr long kCgroup2Magic = 0x63677270;

Check check_kernel() {
  utsname name{};
  uname(&name);
  const auto parts = split(name.release, '.');
  const auto major = parse_int(parts[0]), minor = parts.size() > 1 ? parse_int(parts[1]) : std::nullopt;
  const bool good = major && minor && (*major > 5 || (*major == 5 && *minor >= 10));
  return {good ? State::ok : State::failed, "kernel", name.release, good ? "" : "5.10 or newer is needed: upgrade the kernel"};
}

Check check_root() {
  const bool root = geteuid() == 0;
  return {root ? State::ok : State::warning, "root", root ? "yes" : "uid " + std::to_string(geteuid()),
          root ? "" : "'caisson up' needs root: run it with sudo"};
}

Check check_cgroups() {
  struct statfs info{};
  if (statfs("/sys/fs/cgroup", &info) != 0) return {State::failed, "cgroups", "not mounted", "mount cgroups at /sys/fs/cgroup"};
  if (info.f_type == kCgroup2Magic) return {State::ok, "cgroups", "v2", ""};
  for (const char* controller : {"memory", "cpu", "pids"}) {
    if (!is_directory(std::string("/sys/fs/cgroup/") + controller)) {
      return {State::failed, "cgroups", std::string("v1 without ") + controller, "enable the controller on the kernel's command line"};
    }
  }
  return {State::ok, "cgroups", "v1 (hybrid)", ""};
}

Check check_file_systems() {
  const auto known = read_file("/proc/filesystems");
  const bool overlay = known.ok() && known->find("\toverlay\n") != std::string::npos;
  if (overlay || is_directory("/sys/module/overlay")) return {State::ok, "overlayfs", "available", ""};
  const auto loaded = run({.args = {"modprobe", "overlay"}});
  const bool loads = loaded.ok() && loaded->ok();
  return {loads ? State::ok : State::failed, "overlayfs", loads ? "available" : "missing", loads ? "" : "the kernel needs CONFIG_OVERLAY_FS"};
}

Check check_programs() {
  std::vector<std::string> missing;
  const std::pair<const char*, const char*> programs[] = {{"runc", "runc"}, {"conmon", "conmon"}, {"nginx", "nginx-light"},
                                                          {"nft", "nftables"}, {"git", "git"}, {"mmdebstrap", "mmdebstrap"}};
  for (const auto& [program, package] : programs) {
    if (find_program(program).empty()) missing.emplace_back(package);
  }
  if (missing.empty()) return {State::ok, "programs", "runc, conmon, nginx, nft, git, mmdebstrap", ""};
  return {State::failed, "programs", "missing: " + join(missing, ", "), "apt-get install " + join(missing, " ")};
}

Check check_space(const Settings& settings) {
  std::string at = settings.data_dir;
  while (!exists(at) && at != "/" && at != ".") at = path_dir(at);
  struct statvfs info{};
  if (statvfs(at.c_str(), &info) != 0) return {State::warning, "disk", "unknown", "can't read " + at};
  const double gib = static_cast<double>(info.f_bavail) * static_cast<double>(info.f_frsize) / (1 << 30);
  const std::string found = std::to_string(static_cast<long>(gib)) + " GiB free at " + at;
  if (gib < 4) return {State::failed, "disk", found, "at least 4 GiB are needed; choose another place with --data-dir"};
  return {gib < 10 ? State::warning : State::ok, "disk", found, gib < 10 ? "10 GiB or more leave room for images" : ""};
}

Check check_memory() {
  const long mib = sysconf(_SC_AVPHYS_PAGES) / 256;
  const long total = sysconf(_SC_PHYS_PAGES) / 256;
  const bool good = total >= 900;
  return {good ? State::ok : State::warning, "memory", std::to_string(total) + " MiB, " + std::to_string(mib) + " free",
          good ? "" : "1 GiB or more is advised"};
}

Check check_ports(const Settings& settings) {
  const int pid = running_supervisor(settings.data_dir);
  if (pid != 0) return {State::ok, "ports", "held by this platform (process " + std::to_string(pid) + ")", ""};
  const auto free = check_ports_free(settings);
  if (!free.ok()) return {State::failed, "ports", free.error().message, "stop what listens there, or use the flag named"};
  const Ports& p = settings.ports;
  return {State::ok, "ports", std::to_string(p.api) + ", " + std::to_string(p.portal) + ", " + std::to_string(p.registry) + ", " +
                                  std::to_string(p.http) + ", " + std::to_string(p.https) + " are free", ""};
}

Check check_ranges(const Settings& settings) {
  for (const auto& [cidr, flag] : {std::pair{settings.pod_cidr, "--pod-cidr"}, {settings.service_cidr, "--service-cidr"}}) {
    if (cidr.empty() || exists(settings.data_dir + "/instance.json")) continue;
    const auto free = range_is_free(cidr, "c-none");
    if (!free.ok()) return {State::failed, "ranges", free.error().message, std::string("correct ") + flag};
    if (!*free) return {State::failed, "ranges", cidr + " is in use", std::string("choose another with ") + flag};
  }
  return {State::ok, "ranges", settings.pod_cidr.empty() ? "the first free pair is taken" : settings.pod_cidr + ", " + settings.service_cidr, ""};
}

Check check_null_device() {
  struct stat info{};
  const bool good = stat("/dev/null", &info) == 0 && S_ISCHR(info.st_mode) && info.st_rdev == makedev(1, 3) && (info.st_mode & 0666) == 0666;
  return {good ? State::ok : State::failed, "/dev/null", good ? "a device" : "not the null device",
          good ? "" : "rm -f /dev/null && mknod -m 666 /dev/null c 1 3"};
}

// Others who write firewall rules. Their tables are left alone; a FORWARD policy of drop would stop pods from reaching the outside.
Check check_firewalls() {
  std::vector<std::string> found;
  for (const char* program : {"dockerd", "ufw", "firewalld"}) {
    if (!find_program(program).empty()) found.emplace_back(program);
  }
  if (found.empty()) return {State::ok, "firewalls", "none besides nftables", ""};
  return {State::warning, "firewalls", join(found, ", ") + " installed", "if pods can't reach the outside, allow forwarding for the pod range"};
}

Check check_proxy() {
  for (const char* name : {"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"}) {
    if (const char* value = std::getenv(name); value && *value) {
      return {State::ok, "proxy", std::string(name) + " is set; pulls and downloads use it", ""};
    }
  }
  return {State::ok, "proxy", "none", ""};
}

}  // namespace

std::vector<Check> preflight(const Settings& settings) {
  return {check_root(),   check_kernel(),         check_cgroups(),        check_file_systems(), check_programs(),  check_space(settings),
          check_memory(), check_ports(settings),  check_ranges(settings), check_null_device(),  check_firewalls(), check_proxy()};
}

}  // namespace caisson::platform
