// SPDX-License-Identifier: Apache-2.0
#include "artifact/container/sandbox.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <thread>

#include "artifact/container/root.h"
#include "core/base/file.h"

namespace caisson::container {
namespace {

bool is_namespace_file(const std::string& path) {
  struct statfs fs {};
  return ::statfs(path.c_str(), &fs) == 0 && fs.f_type == NSFS_MAGIC;
}

// `process`: "thread-self", or a process id.
Result<void> pin(const std::string& process, const char* name, const std::string& path) {
  if (path.empty()) return {};
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0444));
  if (!file) return errno_error("create " + path);
  const std::string source = "/proc/" + process + "/ns/" + name;
  if (::mount(source.c_str(), path.c_str(), nullptr, MS_BIND, nullptr) != 0)
    return errno_error("pin namespace at " + path);
  return {};
}

// 0 or an errno; system calls only.
int bring_loopback_up() {
  const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return errno;
  ifreq request{};
  request.ifr_name[0] = 'l', request.ifr_name[1] = 'o';
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  const int failed = ::ioctl(socket, SIOCSIFFLAGS, &request) == 0 ? 0 : errno;
  ::close(socket);
  return failed;
}

// 0 or an errno; system calls only. The caller's thread ends in the new namespaces.
int make_namespaces(const SandboxSpec& spec, const Sandbox& paths) {
  int flags = 0;
  if (!paths.network.empty()) flags |= CLONE_NEWNET;
  if (!paths.ipc.empty()) flags |= CLONE_NEWIPC;
  if (!paths.uts.empty()) flags |= CLONE_NEWUTS;
  if (::unshare(flags) != 0) return errno;
  const std::size_t length = std::min<std::size_t>(spec.hostname.size(), 63);
  if (!paths.uts.empty() && length > 0 && ::sethostname(spec.hostname.data(), length) != 0) return errno;
  return paths.network.empty() ? 0 : bring_loopback_up();
}

Result<void> pin_all(const std::string& process, const Sandbox& paths) {
  TRY(pin(process, "user", paths.user));
  TRY(pin(process, "net", paths.network));
  TRY(pin(process, "ipc", paths.ipc));
  return pin(process, "uts", paths.uts);
}

// On a thread of its own, as unshare(2) of these three is a thread's private matter; with a user namespace, which owns
// them, on a process of its own.
Result<void> make_and_pin(const SandboxSpec& spec, const Sandbox& paths) {
  if (spec.ids)
    return in_user_namespace(
        spec.ids, [&] { return make_namespaces(spec, paths); },
        [&](pid_t pid) { return pin_all(std::to_string(pid), paths); });
  Result<void> made;
  std::thread([&] {
    errno = make_namespaces(spec, paths);
    made = errno == 0 ? pin_all("thread-self", paths) : errno_error("make namespaces");
  }).join();
  return made;
}

Sandbox paths_of(const SandboxSpec& spec) {
  Sandbox paths;
  if (!spec.host_network) {
    paths.network = path_join(spec.directory, "net");
    paths.uts = path_join(spec.directory, "uts");
  }
  if (!spec.host_ipc) paths.ipc = path_join(spec.directory, "ipc");
  if (spec.ids) paths.user = path_join(spec.directory, "user");
  return paths;
}

}  // namespace

bool sandbox_is_live(const SandboxSpec& spec) {
  const Sandbox paths = paths_of(spec);
  for (const auto* path : {&paths.network, &paths.ipc, &paths.uts, &paths.user}) {
    if (!path->empty() && !is_namespace_file(*path)) return false;
  }
  return true;
}

Result<Sandbox> make_sandbox(const SandboxSpec& spec) {
  const Sandbox paths = paths_of(spec);
  if (sandbox_is_live(spec)) return paths;
  TRY(remove_sandbox(spec.directory));  // half made: a new set, so that all three belong together
  TRY(make_dirs(spec.directory));
  Result<void> made = make_and_pin(spec, paths);
  if (!made.ok()) {
    TRY(remove_sandbox(spec.directory));
    return std::move(made).error().in("sandbox " + spec.directory);
  }
  return paths;
}

Result<void> remove_sandbox(const std::string& directory) {
  for (const char* name : {"net", "ipc", "uts", "user"}) {
    const std::string path = path_join(directory, name);
    TRY(unmount(path));
    TRY(remove_file(path));
  }
  return {};
}

}  // namespace caisson::container
