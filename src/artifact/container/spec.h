// SPDX-License-Identifier: Apache-2.0
// What a container is to be, and the pure function that turns it into an OCI runtime configuration
// (runtime-spec 1.0.2). Any thread.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "artifact/container/cgroup.h"
#include "artifact/container/user_namespace.h"
#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::container {

struct User {
  std::uint32_t uid = 0, gid = 0;
  std::vector<std::uint32_t> additional_gids;
  bool operator==(const User&) const = default;
};

struct Mount {
  std::string source;  // of a bind: a path; else what the type wants
  std::string target;  // absolute, in the container
  bool read_only = false;
  std::string type = "bind";         // "tmpfs", "proc" …
  std::vector<std::string> options;  // besides rbind and ro|rw: "nosuid", "rslave" …
  bool operator==(const Mount&) const = default;
};

struct Namespaces {
  std::string network, ipc, uts, pid;  // paths of pinned namespaces; empty: see below
  std::string user;                    // path of the user namespace that owns them, with `ids`; empty: the host's
  IdRange ids;
  bool host_network = false;  // with an empty path: the host's; otherwise a new one
  bool host_ipc = false, host_uts = false, host_pid = false;
  bool operator==(const Namespaces&) const = default;
};

struct Device {
  std::string path;
  char type = 'c';  // or 'b'
  std::int64_t major = 0, minor = 0;
  std::uint32_t mode = 0600, uid = 0, gid = 0;
  bool operator==(const Device&) const = default;
};

struct ContainerSpec {
  std::string id;    // unique in the instance; [a-zA-Z0-9_.-], at most 128 characters
  std::string root;  // a mounted root (root.h)
  bool read_only_root = false;
  std::vector<std::string> args;  // at least one
  std::vector<std::pair<std::string, std::string>> env;
  std::string cwd = "/";  // made in the root when absent
  User user;
  bool terminal = false;
  bool keep_stdin = false;    // stdin stays open for attach; otherwise it reads end of file
  bool stdin_once = false;    // with keep_stdin: the first attachment's end of input is the container's
  std::vector<Mount> mounts;  // besides /proc, /dev, /sys …; sorted by depth before use
  Namespaces namespaces;
  std::vector<std::string> capabilities;  // full names
  bool no_new_privileges = true;
  bool privileged = false;  // all capabilities, all devices, nothing masked, writable /sys
  Value seccomp;            // linux.seccomp; null: unconfined
  std::string cgroup;       // below the instance's cgroup: "pod<uid>/<id>"; empty: the id
  CgroupLimits limits;
  std::vector<Device> devices;     // besides the usual ones; create() fills in the host's for a privileged container
  std::int64_t oom_score_adj = 0;  // clamped to what this process may set
  std::int64_t shm_size_bytes = 64 << 20;
  std::string log_path;                                     // CRI log lines; empty: none are kept
  std::vector<std::pair<std::string, std::string>> labels;  // kept with the container and given back by list()
};

// What this process may give to others; probed once.
struct HostLimits {
  bool may_lower_oom_score = true;           // CAP_SYS_RESOURCE
  std::int64_t oom_score_adj = 0;            // this process's own
  std::uint64_t open_files_max = 1'048'576;  // the hard limit
  bool operator==(const HostLimits&) const = default;
};
const HostLimits& host_limits();

// config.json. `cgroups_path` is absolute. Pure.
Value runtime_config(const ContainerSpec& spec, const std::string& cgroups_path, const HostLimits& limits);

// The member `process` for another process in a container with this configuration: its user, capabilities, limits and
// environment, with what differs. Pure.
struct ExecSpec {
  std::vector<std::string> args;
  std::vector<std::pair<std::string, std::string>> env;  // added
  std::string cwd;                                       // empty: the container's
  std::optional<User> user;
  bool terminal = false;
};
Value exec_process(const Value& config, const ExecSpec& exec);

// Numeric user of an image's USER ("", "1000", "1000:1000", "www-data", "app:app") by the root's own /etc/passwd and
// /etc/group, with its supplementary groups. Reads below `root` without following links out of it. Errors: not_found,
// which names the user.
Result<User> resolve_user(const std::string& root, std::string_view user);
// A path in a root, resolved as the container would see it: links are followed inside the root only. Gives the host's
// path; the last parts may be absent.
Result<std::string> resolve_in_root(const std::string& root, std::string_view path);

}  // namespace caisson::container
