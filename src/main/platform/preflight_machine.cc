// SPDX-License-Identifier: Apache-2.0
#include "main/platform/preflight_machine.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <set>

#include "core/base/file.h"
#include "core/base/process.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "main/platform/up.h"

namespace caisson::platform {
namespace {

constexpr long kCgroup2Magic = 0x63677270;
constexpr int kParentsMax = 8;
constexpr std::chrono::seconds kNftTimeMax{10};

std::string read_or_empty(const std::string& path) {
  auto text = read_file(path);
  return text.ok() ? std::move(text).value() : std::string();
}

bool is_pid(const std::string& name) {
  return !name.empty() && name.find_first_not_of("0123456789") == std::string::npos;
}

std::vector<std::string> processes() {
  const auto names = list_dir("/proc");
  std::vector<std::string> found;
  if (names.ok()) std::copy_if(names->begin(), names->end(), std::back_inserter(found), is_pid);
  return found;
}

std::string name_of(const std::string& pid) {
  return std::string(trim(read_or_empty("/proc/" + pid + "/comm")));
}

void look_at_kernel(Machine& m) {
  utsname name{};
  uname(&name);
  m.kernel = name.release;
  const std::string known = read_or_empty("/proc/filesystems");
  m.overlay = known.find("\toverlay\n") != std::string::npos || is_directory("/sys/module/overlay");
  if (!m.overlay) {
    // Not loaded yet: -n only asks whether it could be.
    const auto loadable = run({.args = {"modprobe", "-n", "overlay"}});
    m.overlay = loadable.ok() && loadable->ok();
  }
  struct stat info {};
  m.null_device = stat("/dev/null", &info) == 0 && S_ISCHR(info.st_mode) && info.st_rdev == makedev(1, 3) &&
                  (info.st_mode & 0666) == 0666;
}

void look_at_cgroups(Machine& m) {
  struct statfs info {};
  const std::string root = "/sys/fs/cgroup";
  if (statfs(root.c_str(), &info) != 0) {
    m.cgroups = Machine::Cgroups::none;
    return;
  }
  m.cgroups_read_only = (info.f_flags & ST_RDONLY) != 0;
  m.cgroups = info.f_type == kCgroup2Magic ? Machine::Cgroups::v2 : Machine::Cgroups::v1;
  if (m.cgroups == Machine::Cgroups::v2) {
    const std::string text = read_or_empty(root + "/cgroup.controllers");
    for (const auto name : split(trim(text), ' ')) m.controllers.emplace_back(name);
    return;
  }
  for (const char* name : {"cpu", "memory", "pids"}) {
    if (is_directory(root + "/" + name)) m.controllers.emplace_back(name);
  }
  if (m.controllers.empty()) m.cgroups = Machine::Cgroups::none;  // a tmpfs with nothing on it
}

bool loads(const char* library) {
  void* handle = dlopen(library, RTLD_LAZY | RTLD_LOCAL);
  if (handle != nullptr) dlclose(handle);
  return handle != nullptr;
}

void look_at_programs(Machine& m) {
  const std::pair<const char*, const char*> programs[] = {{"runc", "runc"},         {"conmon", "conmon"},
                                                          {"nginx", "nginx-light"}, {"nft", "nftables"},
                                                          {"git", "git"},           {"mmdebstrap", "mmdebstrap"}};
  for (const auto& [program, package] : programs) {
    if (find_program(program).empty()) m.missing_packages.emplace_back(package);
  }
  const bool lua = exists("/usr/lib/nginx/modules/ngx_http_lua_module.so") ||
                   exists("/usr/share/nginx/modules/ngx_http_lua_module.so") ||
                   exists("/usr/lib64/nginx/modules/ngx_http_lua_module.so");
  if (!lua) m.missing_packages.emplace_back("libnginx-mod-http-lua");
  if (!loads("libnftables.so.1")) m.missing_packages.emplace_back("libnftables1");
}

// What overlayfs can't have as its upper directory (kernel Documentation/filesystems/overlayfs, "Upper directory").
std::string unfit_file_system(long magic) {
  switch (magic) {
    case 0x794c7630:
      return "overlay";
    case 0x6969:
      return "nfs";
    case 0x65735546:
      return "fuse";
    case 0xf15f:
      return "ecryptfs";
    case 0xff534d42:
    case 0xfe534d42:
      return "cifs";
    case 0x4d44:
      return "vfat";
    case 0x01021997:
      return "9p";
    default:
      return "";
  }
}

void look_at_disk(Machine& m, const std::string& data_dir) {
  m.disk = data_dir;
  while (!is_directory(m.disk) && m.disk != "/" && m.disk != ".") m.disk = path_dir(m.disk);
  struct statfs info {};
  if (statfs(m.disk.c_str(), &info) != 0) return;
  m.disk_free_bytes = static_cast<std::uint64_t>(info.f_bavail) * static_cast<std::uint64_t>(info.f_frsize);
  m.file_system = unfit_file_system(info.f_type);
  m.disk_noexec = (info.f_flags & ST_NOEXEC) != 0;
}

// "MemAvailable:   123 kB"
std::uint64_t memory_line(std::string_view text, std::string_view key) {
  for (const auto line : split(text, '\n')) {
    if (!line.starts_with(key)) continue;
    const auto value = trim(line.substr(key.size()));
    return static_cast<std::uint64_t>(parse_int(value.substr(0, value.find(' '))).value_or(0)) * 1024;
  }
  return 0;
}

void look_at_memory(Machine& m) {
  const std::string text = read_or_empty("/proc/meminfo");
  m.memory_bytes = memory_line(text, "MemTotal:");
  m.memory_available_bytes = memory_line(text, "MemAvailable:");
}

// Which process has the socket. Only root may see those of others.
std::string holder_of(std::uint64_t inode) {
  const std::string wanted = "socket:[" + std::to_string(inode) + "]";
  for (const std::string& pid : processes()) {
    const std::string fds = "/proc/" + pid + "/fd";
    const auto names = list_dir(fds);
    if (!names.ok()) continue;
    for (const auto& fd : *names) {
      char target[64] = {};
      const ssize_t n = ::readlink((fds + "/" + fd).c_str(), target, sizeof target - 1);
      if (n > 0 && wanted == std::string_view(target, static_cast<std::size_t>(n)))
        return name_of(pid) + " (process " + pid + ")";
    }
  }
  return "";
}

void look_at_ports(Machine& m, const Settings& settings) {
  m.supervisor = running_supervisor(settings.data_dir);
  if (m.supervisor != 0) return;
  const auto taken = ports_taken(settings);
  if (!taken.ok()) {
    m.port_error = taken.error().message;
    return;
  }
  if (taken->empty()) return;
  std::vector<Listener> listeners = parse_listeners(read_or_empty("/proc/net/tcp"));
  for (auto& listener : parse_listeners(read_or_empty("/proc/net/tcp6"))) listeners.push_back(std::move(listener));
  for (const PortTaken& port : *taken) {
    const auto found =
        std::find_if(listeners.begin(), listeners.end(), [&](const Listener& l) { return l.port == port.port; });
    const bool heard = found != listeners.end();
    if (port.reason == EACCES && !m.root && !heard) continue;  // a low port: root may bind it
    m.ports_taken.push_back({port.port, port.flag, std::strerror(port.reason), heard ? holder_of(found->inode) : ""});
  }
}

// The ranges that `up` would take, or has.
void look_at_ranges(Machine& m, Settings settings) {
  if (const auto settled = settle_ranges(settings); !settled.ok()) m.range_error = settled.error().message;
  m.pod_cidr = settings.pod_cidr;
  m.service_cidr = settings.service_cidr;
}

// Rules of the old iptables are not in nftables' list.
void look_at_old_iptables(Machine& m) {
  if (trim(read_or_empty("/proc/net/ip_tables_names")).empty() || find_program("iptables-legacy-save").empty()) return;
  const auto saved = run({.args = {"iptables-legacy-save", "-t", "filter"}, .time_max = kNftTimeMax});
  if (!saved.ok() || !saved->ok()) return;
  for (const auto& [hook, forward] : {std::pair{"FORWARD", true}, {"INPUT", false}}) {
    if (saved->out.find(std::string(":") + hook + " DROP") == std::string::npos) continue;
    Barrier barrier{Barrier::Owner::other, "ip", "filter", hook, forward, false};
    if (saved->out.find(":DOCKER-USER ") != std::string::npos && forward) barrier.owner = Barrier::Owner::docker;
    if (saved->out.find(":ufw-") != std::string::npos) barrier.owner = Barrier::Owner::ufw;
    barrier.opened = names_range(saved->out, barrier, m.pod_cidr);
    m.barriers.push_back(std::move(barrier));
  }
}

void look_at_firewalls(Machine& m) {
  if (!m.root || find_program("nft").empty()) return;
  const auto chains = run({.args = {"nft", "-j", "list", "chains"}, .time_max = kNftTimeMax});
  if (!chains.ok() || !chains->ok()) {
    m.nft_error = chains.ok() ? std::string(trim(chains->err)) : chains.error().message;
    return;
  }
  m.barriers = parse_barriers(chains->out);
  for (Barrier& barrier : m.barriers) {
    const auto table = run({.args = {"nft", "list", "table", barrier.family, barrier.table}, .time_max = kNftTimeMax});
    barrier.opened = table.ok() && table->ok() && names_range(table->out, barrier, m.pod_cidr);
  }
  look_at_old_iptables(m);
}

void look_at_neighbours(Machine& m, const std::string& data_dir) {
  std::set<std::string> found;
  for (const std::string& pid : processes()) {
    const std::string name = name_of(pid);
    if (name != "dockerd" && name != "nginx" && name != "firewalld" && name != "kubelet" && name != "k3s-server")
      continue;
    if (name == "nginx") {
      const std::string line = read_or_empty("/proc/" + pid + "/cmdline");
      if (line.find("master process") == std::string::npos || line.find(data_dir + "/") != std::string::npos) continue;
    }
    found.insert(name);
  }
  if (read_or_empty("/etc/ufw/ufw.conf").find("\nENABLED=yes") != std::string::npos) found.insert("ufw");
  m.neighbours.assign(found.begin(), found.end());
}

// The environment of sudo itself is its caller's, before sudo cleans it.
std::string proxy_in_sudo() {
  std::string pid = std::to_string(::getppid());
  for (int i = 0; i < kParentsMax && pid != "0" && pid != "1"; ++i) {
    if (name_of(pid) == "sudo") {
      for (const auto entry : split(read_or_empty("/proc/" + pid + "/environ"), '\0')) {
        const auto equals = entry.find('=');
        if (equals == std::string_view::npos || equals + 1 == entry.size()) continue;
        const std::string name = to_lower(entry.substr(0, equals));
        if (name == "http_proxy" || name == "https_proxy") return std::string(entry.substr(0, equals));
      }
    }
    const std::string stat = read_or_empty("/proc/" + pid + "/stat");  // "pid (name) state ppid"
    const auto after = stat.rfind(')');
    const auto fields =
        split(after == std::string::npos ? std::string_view() : std::string_view(stat).substr(after), ' ');
    if (fields.size() < 3) break;
    pid = std::string(fields[2]);
  }
  return "";
}

void look_at_proxy(Machine& m) {
  for (const char* name : {"http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"}) {
    if (const char* value = std::getenv(name); value != nullptr && *value != '\0')
      m.proxies.emplace(to_lower(name), value);
  }
  if (!m.proxies.contains("http_proxy") && !m.proxies.contains("https_proxy")) m.proxy_before_sudo = proxy_in_sudo();
}

Barrier::Owner owner_of(const std::string& table, const std::set<std::string>& chains, bool forward) {
  if (table == "firewalld") return Barrier::Owner::firewalld;
  if (chains.contains("ufw-before-input")) return Barrier::Owner::ufw;
  if (chains.contains("DOCKER-USER") && forward) return Barrier::Owner::docker;
  return Barrier::Owner::other;
}

}  // namespace

std::vector<Listener> parse_listeners(std::string_view text) {
  std::vector<Listener> found;
  for (const auto line : split(text, '\n')) {
    std::vector<std::string_view> fields;  // sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode
    for (const auto field : split(line, ' ')) {
      if (!field.empty()) fields.push_back(field);
    }
    if (fields.size() < 10 || fields[3] != "0A") continue;
    const auto colon = fields[1].rfind(':');
    if (colon == std::string_view::npos) continue;
    const int port = static_cast<int>(std::strtol(std::string(fields[1].substr(colon + 1)).c_str(), nullptr, 16));
    found.push_back(
        {std::string(fields[1].substr(0, colon)), port, static_cast<std::uint64_t>(parse_int(fields[9]).value_or(0))});
  }
  return found;
}

std::vector<Barrier> parse_barriers(std::string_view text) {
  const auto document = json::parse(text);
  if (!document.ok()) return {};
  std::map<std::string, std::set<std::string>> chains;  // by family and table
  for (const Value& item : (*document)["nftables"].items()) {
    const Value& chain = item["chain"];
    if (chain.is_map()) chains[chain["family"].str() + " " + chain["table"].str()].insert(chain["name"].str());
  }
  std::vector<Barrier> found;
  for (const Value& item : (*document)["nftables"].items()) {
    const Value& chain = item["chain"];
    const std::string hook = chain["hook"].str(), family = chain["family"].str(), table = chain["table"].str();
    if ((hook != "forward" && hook != "input") || (family != "ip" && family != "inet") || table.starts_with("caisson_"))
      continue;
    // firewalld's chains accept by policy and end with a rule that rejects.
    if (chain["policy"].as_string() != "drop" && table != "firewalld") continue;
    const bool forward = hook == "forward";
    found.push_back(
        {owner_of(table, chains[family + " " + table], forward), family, table, chain["name"].str(), forward, false});
  }
  return found;
}

bool names_range(std::string_view table_text, const Barrier& barrier, const std::string& cidr) {
  const auto has = [table_text](const std::string& words) { return table_text.find(words) != std::string_view::npos; };
  const bool from = has("saddr " + cidr) || has("-s " + cidr), to = has("daddr " + cidr) || has("-d " + cidr);
  // firewalld's zones are of sources alone.
  return from && (to || !barrier.forward || barrier.owner == Barrier::Owner::firewalld);
}

Machine read_machine(const Settings& settings) {
  Machine m;
  m.root = geteuid() == 0;
  look_at_kernel(m);
  look_at_cgroups(m);
  look_at_programs(m);
  look_at_disk(m, settings.data_dir);
  look_at_memory(m);
  look_at_ports(m, settings);
  look_at_ranges(m, settings);
  look_at_firewalls(m);
  look_at_neighbours(m, settings.data_dir);
  look_at_proxy(m);
  return m;
}

}  // namespace caisson::platform
