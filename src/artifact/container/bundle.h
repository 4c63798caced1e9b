// SPDX-License-Identifier: Apache-2.0
// Private to the room: one container's directory, and how runc and conmon are called on it. Any thread.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "artifact/container/containers.h"
#include "core/base/process.h"

namespace caisson::container {

// Paths and programs of one instance.
struct Workshop {
  std::string state_root, cgroup_root, runc, conmon;

  std::string bundle(const std::string& id) const { return state_root + "/c/" + id; }
  std::string exits() const { return state_root + "/exits"; }
  std::string exit_file(const std::string& id) const { return exits() + "/" + id; }
  std::string cgroups_path(const ContainerSpec& spec) const {
    return cgroup_root + "/" + (spec.cgroup.empty() ? spec.id : spec.cgroup);
  }
  std::vector<std::string> runc_args(std::vector<std::string> args) const;  // with --root
};

// Of runc, a Go program that lives for some milliseconds: one thread that runs and no collection of garbage take a
// third of the time from its start (measured with eight others on two cores). No container sees them.
inline std::vector<std::pair<std::string, std::string>> runc_environment() {
  return {{"GOMAXPROCS", "1"}, {"GOGC", "off"}};
}

// What info.json keeps; `once` marks a run_once, which no restart takes up again.
struct BundleInfo {
  ContainerStatus status;
  std::uint64_t pid_start = 0;  // field 22 of /proc/PID/stat: tells a pid from a later one of the same number
  bool once = false;
};
Result<void> save_info(const Workshop& workshop, const BundleInfo& info);
Result<BundleInfo> load_info(const Workshop& workshop, const std::string& id);

Result<void> check_id(std::string_view id);
// Makes the directory with config.json. Errors: already_exists.
Result<void> make_bundle(const Workshop& workshop, const ContainerSpec& spec);

// Starts a monitor, which creates the container, and gives the container's pid. Errors: invalid in runc's words.
Result<pid_t> create_with_monitor(const Workshop& workshop, const ContainerSpec& spec);

// 0 when there is no such process.
std::uint64_t process_start_time(pid_t pid);
// A pidfd, or nothing when the process is gone or, with `start_time`, another one of that number.
UniqueFd open_process(pid_t pid, std::uint64_t start_time = 0);
std::optional<pid_t> read_pid(const std::string& file);

// Takes away everything of a container that may be there: processes, runc's state, cgroup, directory, exit file.
Result<void> wipe(const Workshop& workshop, const std::string& id, const std::string& cgroup);

// "time=… level=error msg=\"runc create failed: …\"" as a sentence.
std::string runc_words(std::string_view output);

}  // namespace caisson::container
