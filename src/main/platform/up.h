// SPDX-License-Identifier: Apache-2.0
// The supervisor behind `caisson up`: prepares the instance and its keys, starts the server (its own user) and the
// agent (root) as two processes of this binary, restarts what dies, and ends both on SIGTERM or SIGINT. Pods, ingress
// and connections outlive all three.
#pragma once
#include <functional>
#include <string>

#include "core/base/clock.h"
#include "main/platform/instance.h"

namespace caisson::platform {

using Progress = std::function<void(const std::string& line)>;

struct UpOptions {
  Settings settings;
  bool detach = false;  // return when the platform is ready; the supervisor goes on in the background
  std::string program;  // this binary
  Progress progress;
};

// Blocks until a signal ends it, or with `detach` until ready. Errors: forbidden (not root), conflict (range or port in
// use, already running), what a preflight check found.
Result<void> up(const UpOptions& options);

// The supervisor's process id, or 0 when none runs for this data directory.
int running_supervisor(const std::string& data_dir);

struct DownOptions {
  std::string data_dir;
  bool purge = false;  // the data too
  Duration grace{};    // what containers get between SIGTERM and SIGKILL
  Progress progress;
};
// Stops the processes and all pods, then removes by instance id every mount, namespace, cgroup, link, table and
// process, also those that a crash left.
Result<void> down(const DownOptions& options);

// The two processes. They return when told to stop.
Result<void> run_server(const Instance& instance);
Result<void> run_agent(const Instance& instance);
// The agent of a node beside the first (nodes.h).
Result<void> run_node_agent(const Instance& instance, const std::string& name);
// Whether an agent answers on its socket.
bool agent_answers(const std::string& socket);

}  // namespace caisson::platform
