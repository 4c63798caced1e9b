// SPDX-License-Identifier: Apache-2.0
// Namespaces that a group of containers shares: network, IPC and UTS, pinned by bind mounts of /proc/self/ns/* on
// files, so that no pause process is needed and they outlive this program. Any thread.
#pragma once
#include <string>

#include "artifact/container/user_namespace.h"
#include "core/base/result.h"

namespace caisson::container {

struct SandboxSpec {
  std::string directory;      // gets the files net, ipc, uts, user
  std::string hostname;       // at most 63 characters; empty keeps the host's
  bool host_network = false;  // then there is no `net`, and the UTS namespace is the host's too
  bool host_ipc = false;
  IdRange ids;  // of a user namespace of its own, which then owns the others: `user`
};

struct Sandbox {
  std::string network, ipc, uts, user;  // paths for ContainerSpec::namespaces; empty: the host's
};

// Makes what is missing; calling it again gives the same sandbox. Brings the loopback link up.
Result<Sandbox> make_sandbox(const SandboxSpec& spec);
// Unpins; the kernel frees the namespaces with their last process. Fine when absent.
Result<void> remove_sandbox(const std::string& directory);
// Whether the pinned namespaces are (still) there, e.g. not after a reboot.
bool sandbox_is_live(const SandboxSpec& spec);

}  // namespace caisson::container
