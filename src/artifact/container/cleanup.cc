// SPDX-License-Identifier: Apache-2.0
#include "artifact/container/cleanup.h"

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "artifact/container/bundle.h"
#include "artifact/container/cgroup.h"
#include "artifact/container/root.h"
#include "core/base/text.h"

namespace caisson::container {
namespace {

constexpr int kMonitorEndMs = 2'000;

// Monitors of this instance, found by their command line: conmon -b <state_root>/c/<id> …
std::vector<pid_t> monitors_of(const std::vector<std::string>& state_roots) {
  std::vector<pid_t> found;
  const auto names = list_dir("/proc");
  if (!names.ok()) return found;
  for (const auto& name : *names) {
    const auto pid = parse_int(name);
    if (!pid) continue;
    const auto line = read_file("/proc/" + name + "/cmdline");
    if (!line.ok()) continue;
    const auto args = split(*line, '\0');
    if (path_base(args[0]) != "conmon") continue;
    for (const auto arg : args) {
      const bool ours = std::any_of(state_roots.begin(), state_roots.end(),
                                    [arg](const std::string& root) { return arg.starts_with(root + "/c/"); });
      if (!ours) continue;
      found.push_back(static_cast<pid_t>(*pid));
      break;
    }
  }
  return found;
}

// Their containers are dead: they write exit codes and end; who does not is killed.
void end_monitors(const std::vector<pid_t>& pids) {
  for (const pid_t pid : pids) {
    const UniqueFd process = open_process(pid);
    if (!process) continue;
    pollfd one{process.get(), POLLIN, 0};
    if (::poll(&one, 1, kMonitorEndMs) != 0) continue;
    ::syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0);
    ::poll(&one, 1, kMonitorEndMs);
  }
}

// Whether SIGTERM ends it sooner or later. The kernel drops a signal to the init of a pid namespace that has no handler
// for it (pid_namespaces(7)), so that one would be waited for in vain.
bool heeds_sigterm(pid_t pid) {
  const auto status = read_file("/proc/" + std::to_string(pid) + "/status");
  if (!status.ok()) return false;
  bool init = false, caught = false;
  for (const auto line : split(*status, '\n')) {
    if (line.starts_with("NSpid:")) {
      const auto numbers = split(trim(line), '\t');
      init = numbers.size() > 2 && numbers.back() == "1";
    } else if (line.starts_with("SigCgt:")) {
      const std::string mask(trim(line.substr(7)));
      caught = (std::strtoull(mask.c_str(), nullptr, 16) >> (SIGTERM - 1) & 1) != 0;
    }
  }
  return !init || caught;
}

void end_gently(const Cgroup& root, Duration grace) {
  std::vector<UniqueFd> waited;
  for (const pid_t pid : root.processes()) {
    UniqueFd process = open_process(pid);
    if (!process) continue;
    ::syscall(SYS_pidfd_send_signal, process.get(), SIGTERM, nullptr, 0);
    if (heeds_sigterm(pid)) waited.push_back(std::move(process));
  }
  const Duration end = system_clock().monotonic() + grace;
  for (const UniqueFd& process : waited) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - system_clock().monotonic()).count();
    if (left <= 0) return;
    pollfd one{process.get(), POLLIN, 0};
    ::poll(&one, 1, static_cast<int>(left));
  }
}

}  // namespace

Result<CleanupReport> cleanup(const CleanupOptions& options) {
  CleanupReport report;
  const Cgroup root(options.cgroup_root);
  std::vector<std::string> state_roots = options.more_state_roots;
  state_roots.push_back(options.state_root);
  const auto monitors = monitors_of(state_roots);
  report.processes = static_cast<int>(root.processes().size() + monitors.size());
  if (options.grace > Duration::zero()) end_gently(root, options.grace);
  const int left = root.kill_all();
  if (left > 0)
    return Error{ErrorCode::unavailable,
                 std::to_string(left) + " processes in cgroup " + options.cgroup_root + " do not end"};
  end_monitors(monitors);
  for (const auto& directory : options.directories) {
    if (exists(directory)) report.mounts += TRY(unmount_below(directory));
  }
  if (root.exists()) {
    TRY(root.remove());
    ++report.cgroups;
  }
  for (const auto& state_root : state_roots) {
    if (!exists(state_root + "/c")) continue;
    const auto ids = TRY(list_dir(state_root + "/c"));
    report.containers += static_cast<int>(ids.size());
    for (const char* part : {"/c", "/exits", "/runc"}) TRY(remove_tree(state_root + part));
  }
  return report;
}

}  // namespace caisson::container
