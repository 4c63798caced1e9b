// SPDX-License-Identifier: Apache-2.0
#include "artifact/container/spec.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <climits>

#include "artifact/container/capabilities.h"
#include "core/base/file.h"
#include "core/base/text.h"

namespace caisson::container {
namespace {

constexpr std::uint64_t kOpenFiles = 1'048'576;
constexpr std::string_view kDefaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr int kLinksMax = 40;  // as the kernel's own limit

// Docker's and containerd's lists.
const std::vector<std::string> kMaskedPaths = {"/proc/acpi",
                                               "/proc/asound",
                                               "/proc/kcore",
                                               "/proc/keys",
                                               "/proc/latency_stats",
                                               "/proc/timer_list",
                                               "/proc/timer_stats",
                                               "/proc/sched_debug",
                                               "/proc/scsi",
                                               "/sys/firmware",
                                               "/sys/devices/virtual/powercap"};
const std::vector<std::string> kReadOnlyPaths = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                                                 "/proc/sysrq-trigger"};

Value mount_entry(std::string_view target, std::string_view type, std::string_view source,
                  std::vector<std::string> options) {
  return Value{{"destination", target}, {"type", type}, {"source", source}, {"options", Value::list_of(options)}};
}

Value environment(const std::vector<std::pair<std::string, std::string>>& env, bool terminal) {
  std::vector<std::string> lines;
  bool has_path = false, has_term = false;
  for (const auto& [name, value] : env) {
    has_path |= name == "PATH";
    has_term |= name == "TERM";
    const std::string head = name + "=";
    std::erase_if(lines, [&head](const std::string& line) { return line.starts_with(head); });
    lines.push_back(head + value);
  }
  if (!has_path) lines.insert(lines.begin(), std::string(kDefaultPath));
  if (terminal && !has_term) lines.emplace_back("TERM=xterm");
  return Value::list_of(lines);
}

Value user_entry(const User& user) {
  Value out{{"uid", std::int64_t{user.uid}}, {"gid", std::int64_t{user.gid}}};
  if (user.additional_gids.empty()) return out;
  Value gids = Value::list();
  for (const auto gid : user.additional_gids) gids.push_back(std::int64_t{gid});
  out.set("additionalGids", std::move(gids));
  return out;
}

Value process_entry(const ContainerSpec& spec, const HostLimits& limits) {
  const Value capabilities = Value::list_of(spec.privileged ? all_capabilities() : spec.capabilities);
  const std::uint64_t files = std::min(kOpenFiles, limits.open_files_max);
  const std::int64_t oom =
      limits.may_lower_oom_score ? spec.oom_score_adj : std::max(spec.oom_score_adj, limits.oom_score_adj);
  Value process{
      {"terminal", spec.terminal},
      {"user", user_entry(spec.user)},
      {"args", Value::list_of(spec.args)},
      {"env", environment(spec.env, spec.terminal)},
      {"cwd", spec.cwd.empty() ? "/" : spec.cwd},
      {"capabilities", Value{{"bounding", capabilities}, {"effective", capabilities}, {"permitted", capabilities}}},
      {"noNewPrivileges", spec.no_new_privileges && !spec.privileged},
      {"oomScoreAdj", oom}};
  process.set("rlimits", Value(std::vector<Value>{Value{{"type", "RLIMIT_NOFILE"}, {"hard", files}, {"soft", files}}}));
  return process;
}

bool mounts_over(const ContainerSpec& spec, std::string_view target) {
  return std::any_of(spec.mounts.begin(), spec.mounts.end(),
                     [target](const Mount& m) { return path_clean(m.target) == target; });
}

Value mounts_of(const ContainerSpec& spec) {
  Value mounts = Value::list();
  const std::string sys_mode = spec.privileged ? "rw" : "ro";
  const auto add = [&](std::string_view target, std::string_view type, std::string_view source,
                       std::vector<std::string> options) {
    if (!mounts_over(spec, target)) mounts.push_back(mount_entry(target, type, source, std::move(options)));
  };
  add("/proc", "proc", "proc", {"nosuid", "noexec", "nodev"});
  add("/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"});
  add("/dev/pts", "devpts", "devpts", {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"});
  add("/dev/shm", "tmpfs", "shm",
      {"nosuid", "noexec", "nodev", "mode=1777", "size=" + std::to_string(spec.shm_size_bytes)});
  add("/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"});
  add("/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", sys_mode});
  add("/sys/fs/cgroup", "cgroup", "cgroup", {"nosuid", "noexec", "nodev", "relatime", sys_mode});
  std::vector<Mount> sorted = spec.mounts;  // a mount must come after the one it lies in
  std::stable_sort(sorted.begin(), sorted.end(), [](const Mount& a, const Mount& b) {
    const std::string left = path_clean(a.target), right = path_clean(b.target);
    return std::count(left.begin(), left.end(), '/') < std::count(right.begin(), right.end(), '/');
  });
  for (const auto& mount : sorted) {
    std::vector<std::string> options = mount.options;
    if (mount.type == "bind") {
      options.insert(options.begin(), "rbind");
      const bool says_propagation = std::any_of(options.begin(), options.end(), [](const std::string& o) {
        return o == "rprivate" || o == "rslave" || o == "rshared" || o == "private" || o == "slave" || o == "shared";
      });
      if (!says_propagation) options.emplace_back("rprivate");
    }
    options.emplace_back(mount.read_only ? "ro" : "rw");
    mounts.push_back(mount_entry(path_clean(mount.target), mount.type, mount.source, std::move(options)));
  }
  return mounts;
}

Value namespaces_of(const ContainerSpec& spec) {
  Value list = Value::list();
  const auto add = [&list](std::string_view type, const std::string& path, bool host) {
    if (host && path.empty()) return;
    Value one{{"type", type}};
    if (!path.empty()) one.set("path", path);
    list.push_back(std::move(one));
  };
  const Namespaces& ns = spec.namespaces;
  if (!ns.user.empty()) add("user", ns.user, false);
  add("mount", "", false);
  add("pid", ns.pid, ns.host_pid);
  add("network", ns.network, ns.host_network);
  add("ipc", ns.ipc, ns.host_ipc);
  add("uts", ns.uts, ns.host_uts);
  if (cgroup_version() == CgroupVersion::v2 && !spec.privileged) add("cgroup", "", false);
  return list;
}

Value resources_of(const ContainerSpec& spec) {
  Value resources = Value::map();
  const CgroupLimits& limits = spec.limits;
  if (limits.memory_bytes_max > 0) {
    resources.set("memory", Value{{"limit", limits.memory_bytes_max}, {"swap", limits.memory_bytes_max}});
  }
  Value cpu = Value::map();
  if (limits.cpu_shares > 0) cpu.set("shares", limits.cpu_shares);
  if (limits.cpu_quota_us > 0) cpu.set("quota", limits.cpu_quota_us).set("period", limits.cpu_period_us);
  if (!cpu.empty()) resources.set("cpu", cpu);
  if (limits.pids_max > 0) resources.set("pids", Value{{"limit", limits.pids_max}});
  resources.set("devices", Value(std::vector<Value>{Value{{"allow", spec.privileged}, {"access", "rwm"}}}));
  return resources;
}

Value devices_of(const ContainerSpec& spec) {
  Value list = Value::list();
  for (const auto& device : spec.devices) {
    list.push_back(Value{{"path", device.path},
                         {"type", std::string(1, device.type)},
                         {"major", device.major},
                         {"minor", device.minor},
                         {"fileMode", std::int64_t{device.mode}},
                         {"uid", std::int64_t{device.uid}},
                         {"gid", std::int64_t{device.gid}}});
  }
  return list;
}

std::optional<std::uint32_t> as_id(std::string_view text) {
  const auto number = parse_int(text);
  if (!number || *number < 0 || *number > INT32_MAX) return std::nullopt;
  return static_cast<std::uint32_t>(*number);
}

// Lines of "a:b:c" of a file in the root; none when the file is absent.
std::vector<std::vector<std::string>> table_in(const std::string& root, std::string_view path) {
  std::vector<std::vector<std::string>> rows;
  const auto resolved = resolve_in_root(root, path);
  if (!resolved.ok()) return rows;
  const auto text = read_file(*resolved, 4u << 20);
  if (!text.ok()) return rows;
  for (const auto line : split(*text, '\n')) {
    std::vector<std::string> row;
    for (const auto field : split(line, ':')) row.emplace_back(field);
    if (row.size() >= 3) rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace

const HostLimits& host_limits() {
  static const HostLimits limits = [] {
    HostLimits found;
    const auto own = read_file("/proc/self/oom_score_adj");
    if (own.ok()) found.oom_score_adj = parse_int(trim(*own)).value_or(0);
    // Only a try tells: CAP_SYS_RESOURCE may be held and yet be of an outer user namespace.
    const UniqueFd file(::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
    const std::string lower = std::to_string(std::max<std::int64_t>(found.oom_score_adj - 1, -1000));
    found.may_lower_oom_score = file && ::write(file.get(), lower.data(), lower.size()) > 0;
    if (found.may_lower_oom_score) {
      const auto restored = write_all(file.get(), std::to_string(found.oom_score_adj));
      static_cast<void>(restored);  // raising it is always allowed
    }
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) == 0) found.open_files_max = files.rlim_max;
    return found;
  }();
  return limits;
}

// Whether the container's own mounts are to be seen outside: that takes a root that shares them, as runc's own root
// does not.
static bool shares_mounts(const ContainerSpec& spec) {
  return std::any_of(spec.mounts.begin(), spec.mounts.end(), [](const Mount& mount) {
    return std::find(mount.options.begin(), mount.options.end(), "rshared") != mount.options.end();
  });
}

Value runtime_config(const ContainerSpec& spec, const std::string& cgroups_path, const HostLimits& limits) {
  Value linux_part{
      {"namespaces", namespaces_of(spec)}, {"cgroupsPath", cgroups_path}, {"resources", resources_of(spec)}};
  if (spec.namespaces.ids) {
    const Value ids(std::vector<Value>{Value{
        {"containerID", 0}, {"hostID", std::int64_t{spec.namespaces.ids.first}}, {"size", std::int64_t{kUserRange}}}});
    linux_part.set("uidMappings", ids).set("gidMappings", ids);
  }
  if (shares_mounts(spec)) linux_part.set("rootfsPropagation", "rshared");
  if (!spec.devices.empty()) linux_part.set("devices", devices_of(spec));
  if (!spec.privileged) {
    linux_part.set("maskedPaths", Value::list_of(kMaskedPaths)).set("readonlyPaths", Value::list_of(kReadOnlyPaths));
    if (!spec.seccomp.is_null()) linux_part.set("seccomp", spec.seccomp);
  }
  return Value{{"ociVersion", "1.0.2"},
               {"process", process_entry(spec, limits)},
               {"root", Value{{"path", spec.root}, {"readonly", spec.read_only_root}}},
               {"mounts", mounts_of(spec)},
               {"linux", std::move(linux_part)}};
}

Value exec_process(const Value& config, const ExecSpec& exec) {
  Value process = config["process"];
  process.set("terminal", exec.terminal).set("args", Value::list_of(exec.args));
  if (!exec.cwd.empty()) process.set("cwd", exec.cwd);
  if (exec.user) process.set("user", user_entry(*exec.user));
  std::vector<std::pair<std::string, std::string>> env;
  for (const auto& line : process["env"].items()) {
    const std::string_view text = line.as_string();
    const std::size_t equals = text.find('=');
    if (equals != text.npos) env.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  env.insert(env.end(), exec.env.begin(), exec.env.end());
  process.set("env", environment(env, exec.terminal));
  return process;
}

Result<User> resolve_user(const std::string& root, std::string_view text) {
  const std::size_t colon = text.find(':');
  const std::string_view name = text.substr(0, colon);
  const std::string_view group = colon == text.npos ? std::string_view() : text.substr(colon + 1);
  User user;
  std::string user_name;
  const auto accounts = table_in(root, "/etc/passwd");
  const auto number = as_id(name);
  const auto account = std::find_if(accounts.begin(), accounts.end(), [&](const auto& row) {
    return row.size() >= 4 &&
           (row[0] == name || (number && as_id(row[2]) == number) || (name.empty() && row[2] == "0"));
  });
  if (account != accounts.end()) {
    user_name = (*account)[0];
    user.uid = as_id((*account)[2]).value_or(0);
    user.gid = as_id((*account)[3]).value_or(0);
  } else if (number) {
    user.uid = *number;
  } else if (!name.empty()) {
    return Error{ErrorCode::not_found, "no user \"" + std::string(name) + "\" in the image's /etc/passwd"};
  }
  const auto groups = table_in(root, "/etc/group");
  if (!group.empty()) {
    const auto gid = as_id(group);
    const auto row = std::find_if(groups.begin(), groups.end(), [&](const auto& r) { return r[0] == group; });
    if (row != groups.end()) {
      user.gid = as_id((*row)[2]).value_or(0);
    } else if (gid) {
      user.gid = *gid;
    } else {
      return Error{ErrorCode::not_found, "no group \"" + std::string(group) + "\" in the image's /etc/group"};
    }
    return user;
  }
  for (const auto& row : groups) {
    if (row.size() < 4 || user_name.empty()) continue;
    const auto members = split(row[3], ',');
    const auto gid = as_id(row[2]);
    if (gid && *gid != user.gid && std::find(members.begin(), members.end(), user_name) != members.end()) {
      user.additional_gids.push_back(*gid);
    }
  }
  return user;
}

Result<std::string> resolve_in_root(const std::string& root, std::string_view path) {
  std::string pending(path), resolved;  // resolved: below root, without links, "" or "/a/b"
  int links = 0;
  while (!pending.empty()) {
    const std::size_t slash = pending.find('/');
    const std::string part = pending.substr(0, slash);
    pending = slash == pending.npos ? "" : pending.substr(slash + 1);
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      resolved.erase(std::min(resolved.rfind('/'), resolved.size()));
      continue;
    }
    const std::string next = resolved + "/" + part;
    char target[PATH_MAX];
    const ssize_t length = ::readlink((root + next).c_str(), target, sizeof target);
    if (length < 0) {
      resolved = next;
      continue;
    }
    if (++links > kLinksMax) return Error{ErrorCode::bad_request, std::string(path) + ": too many symbolic links"};
    const std::string_view link(target, static_cast<std::size_t>(length));
    if (link.starts_with('/')) resolved.clear();
    pending = std::string(link) + "/" + pending;
  }
  return root + resolved;
}

}  // namespace caisson::container
