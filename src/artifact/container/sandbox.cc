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

#include <thread>

#include "artifact/container/root.h"
#include "core/base/file.h"

namespace caisson::container {
namespace {

bool is_namespace_file(const std::string& path) {
  struct statfs fs {};
  return ::statfs(path.c_str(), &fs) == 0 && fs.f_type == NSFS_MAGIC;
}

Result<void> pin(const char* name, const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0444));
  if (!file) return errno_error("create " + path);
  const std::string source = std::string("/proc/thread-self/ns/") + name;
  if (::mount(source.c_str(), path.c_str(), nullptr, MS_BIND, nullptr) != 0)
    return errno_error("pin namespace at " + path);
  return {};
}

Result<void> bring_loopback_up() {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return errno_error("open a socket");
  ifreq request{};
  request.ifr_name[0] = 'l', request.ifr_name[1] = 'o';
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0) return errno_error("bring lo up");
  return {};
}

// Runs on a thread of its own, which ends in the new namespaces: unshare(2) of these three is a thread's private
// matter.
Result<void> make_and_pin(const SandboxSpec& spec, const Sandbox& paths) {
  int flags = 0;
  if (!paths.network.empty()) flags |= CLONE_NEWNET;
  if (!paths.ipc.empty()) flags |= CLONE_NEWIPC;
  if (!paths.uts.empty()) flags |= CLONE_NEWUTS;
  if (::unshare(flags) != 0) return errno_error("make namespaces");
  if (!paths.uts.empty() && !spec.hostname.empty()) {
    const std::string name = spec.hostname.substr(0, 63);
    if (::sethostname(name.data(), name.size()) != 0) return errno_error("set the host name");
  }
  if (!paths.network.empty()) TRY(bring_loopback_up());
  if (!paths.network.empty()) TRY(pin("net", paths.network));
  if (!paths.ipc.empty()) TRY(pin("ipc", paths.ipc));
  if (!paths.uts.empty()) TRY(pin("uts", paths.uts));
  return {};
}

Sandbox paths_of(const SandboxSpec& spec) {
  Sandbox paths;
  if (!spec.host_network) {
    paths.network = path_join(spec.directory, "net");
    paths.uts = path_join(spec.directory, "uts");
  }
  if (!spec.host_ipc) paths.ipc = path_join(spec.directory, "ipc");
  return paths;
}

}  // namespace

bool sandbox_is_live(const SandboxSpec& spec) {
  const Sandbox paths = paths_of(spec);
  for (const auto* path : {&paths.network, &paths.ipc, &paths.uts}) {
    if (!path->empty() && !is_namespace_file(*path)) return false;
  }
  return true;
}

Result<Sandbox> make_sandbox(const SandboxSpec& spec) {
  const Sandbox paths = paths_of(spec);
  if (sandbox_is_live(spec)) return paths;
  TRY(remove_sandbox(spec.directory));  // half made: a new set, so that all three belong together
  TRY(make_dirs(spec.directory));
  Result<void> made;
  std::thread([&] { made = make_and_pin(spec, paths); }).join();
  if (!made.ok()) {
    TRY(remove_sandbox(spec.directory));
    return std::move(made).error().in("sandbox " + spec.directory);
  }
  return paths;
}

Result<void> remove_sandbox(const std::string& directory) {
  for (const char* name : {"net", "ipc", "uts"}) {
    const std::string path = path_join(directory, name);
    TRY(unmount(path));
    TRY(remove_file(path));
  }
  return {};
}

}  // namespace caisson::container
