// SPDX-License-Identifier: Apache-2.0
// `caisson down`: first the processes, then by instance id whatever they (or a crash) left on the host.
#include <signal.h>
#include <unistd.h>

#include <thread>

#include "artifact/container/cleanup.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/process.h"
#include "machine/network/pod_network.h"
#include "main/platform/up.h"

namespace caisson::platform {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Asks the supervisor to end; it ends the server and the agent.
Result<void> stop_supervisor(const std::string& data_dir) {
  const int pid = running_supervisor(data_dir);
  if (pid == 0) return {};
  if (::kill(pid, SIGTERM) != 0 && errno != ESRCH)
    return errno_error("signal the supervisor (process " + std::to_string(pid) + ")");
  const Duration end = system_clock().monotonic() + seconds(20);
  while (running_supervisor(data_dir) != 0) {
    if (system_clock().monotonic() > end) {
      ::kill(pid, SIGKILL);
      break;
    }
    std::this_thread::sleep_for(milliseconds(10));  // its lock is the condition; a lock can't be polled
  }
  return {};
}

// The server and agent of a supervisor that was killed: they are found by their command line, which names the data
// directory.
void stop_orphans(const std::string& data_dir) {
  const auto processes = list_dir("/proc");
  if (!processes.ok()) return;
  for (const std::string& entry : *processes) {
    if (entry.find_first_not_of("0123456789") != std::string::npos) continue;
    const auto line = read_file("/proc/" + entry + "/cmdline", 1 << 16);
    if (!line.ok()) continue;
    const std::string wanted = std::string("--data-dir") + '\0' + data_dir + '\0';
    const bool ours = line->ends_with(wanted) && (line->find(std::string("\0server\0", 8)) != std::string::npos ||
                                                  line->find(std::string("\0agent\0", 7)) != std::string::npos);
    if (ours) ::kill(std::stoi(entry), SIGKILL);
  }
}

}  // namespace

Result<void> down(const DownOptions& options) {
  if (::geteuid() != 0)
    return Error{ErrorCode::forbidden,
                 "'caisson down' removes containers and networks and needs root: run it with sudo"};
  const Instance instance = TRY(load_instance(options.data_dir));
  const auto say = [&](const std::string& line) {
    if (options.progress) options.progress(line);
  };
  say("stopping server and agent");
  TRY(stop_supervisor(options.data_dir));
  stop_orphans(options.data_dir);
  say("stopping pods");
  const auto containers = container::cleanup({.cgroup_root = "/caisson-" + instance.id,
                                              .state_root = instance.path("containers"),
                                              .directories = {options.data_dir},
                                              .grace = options.grace});
  // What one part could not remove must not keep the other from trying.
  say("removing networks");
  const auto networks = network::cleanup(instance.id, options.data_dir);
  if (!containers.ok()) return containers.error();
  TRY(Result<void>(networks));
  if (options.purge) {
    say("removing " + options.data_dir);
    TRY(remove_tree(options.data_dir));
  }
  return {};
}

}  // namespace caisson::platform
