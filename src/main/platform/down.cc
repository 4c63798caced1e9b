// SPDX-License-Identifier: Apache-2.0
// `caisson down`: first the processes, then by instance id whatever they (or a crash) left on the host.
#include <signal.h>
#include <unistd.h>

#include <thread>

#include "artifact/container/cleanup.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/process.h"
#include "core/document/json.h"
#include "core/http/client.h"
#include "machine/network/pod_network.h"
#include "main/platform/nodes.h"
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

// Pods end by priority while server and agents can still take them out of Services and run their hooks; a third of the
// time is kept for critical ones. An agent that does not answer leaves its pods to what comes after. Gives those that
// still run.
std::vector<std::string> end_pods(const Instance& instance, Duration grace) {
  const auto nodes = nodes_of(instance);
  if (!nodes.ok()) return {};
  const auto ms = std::chrono::duration_cast<milliseconds>(grace).count();
  const std::string url =
      "http://unix/shutdown?usualMs=" + std::to_string(ms * 2 / 3) + "&criticalMs=" + std::to_string(ms - ms * 2 / 3);
  std::vector<std::vector<std::string>> running(nodes->size());
  std::vector<std::thread> asking;
  for (std::size_t i = 0; i < nodes->size(); ++i) {
    if (!agent_answers((*nodes)[i].socket)) continue;
    asking.emplace_back([&, i] {
      const http::Client agent({.unix_socket = (*nodes)[i].socket});
      const auto answer = agent.send({.method = "POST", .url = url, .time_max = grace + seconds(15)});
      const auto told = answer.ok() ? json::parse(answer->body) : Result<Value>(answer.error());
      if (!told.ok()) log::warning("node not shut down", {{"node", (*nodes)[i].name}, {"error", told.error()}});
      if (!told.ok()) return;
      for (const Value& pod : (*told)["running"].items()) running[i].push_back(pod.str());
    });
  }
  for (std::thread& one : asking) one.join();
  std::vector<std::string> all;
  for (const auto& some : running) all.insert(all.end(), some.begin(), some.end());
  return all;
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
  if (options.grace > Duration::zero()) {
    say("ending pods");
    for (const std::string& pod : end_pods(instance, options.grace)) say("pod " + pod + " did not end in time");
  }
  say("stopping server and agent");
  TRY(stop_supervisor(options.data_dir));
  stop_orphans(options.data_dir);
  say("stopping pods");
  std::vector<std::string> of_nodes;  // also of nodes that there are no more
  for (int number = 2; number <= kNodesMax; ++number) {
    const std::string directory = instance.path("nodes/" + std::to_string(number));
    if (!exists(directory)) continue;
    of_nodes.push_back(directory + "/containers");
    TRY(remove_file(directory + "/network/pods"));
  }
  const auto containers = container::cleanup({.cgroup_root = "/caisson-" + instance.id,
                                              .state_root = instance.path("containers"),
                                              .directories = {options.data_dir},
                                              .grace = options.grace,
                                              .more_state_roots = std::move(of_nodes)});
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
