// SPDX-License-Identifier: Apache-2.0
#include "main/platform/nodes.h"

#include <signal.h>

#include <bit>
#include <thread>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "machine/network/netlink.h"
#include "main/platform/up.h"

namespace caisson::platform {
namespace {

constexpr int kSmallestPart = 27;  // prefix: 29 pods
constexpr Duration kChangeMax = std::chrono::seconds(30);

// The supervisor looks at the marks when it is told; the agent's answers are what shows that it has acted.
Result<void> change(const Instance& instance, const NodePlace& node, bool running) {
  const int supervisor = running_supervisor(instance.settings.data_dir);
  if (supervisor == 0)
    return Error{ErrorCode::unavailable, "the platform in " + instance.settings.data_dir + " does not run"};
  if (::kill(supervisor, SIGHUP) != 0) return errno_error("tell the supervisor");
  const Duration end = system_clock().monotonic() + kChangeMax;
  while (agent_answers(node.socket) != running) {
    if (system_clock().monotonic() > end)
      return Error{ErrorCode::timeout, "the agent of node " + node.name +
                                           (running ? " does not answer" : " does not end") + "; see " +
                                           instance.path("logs/caisson.log")};
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // a socket that nobody listens on can't be waited for
  }
  return {};
}

Result<NodePlace> node_to_change(const Instance& instance, const std::string& name) {
  NodePlace node = TRY(find_node(instance, name));
  if (node.first)
    return Error{ErrorCode::bad_request, "node " + name +
                                             " does the network, DNS and ingress of the platform: stop another "
                                             "node, or all with 'caisson down'"};
  return node;
}

}  // namespace

Result<std::vector<NodePlace>> nodes_of(const Instance& instance) {
  const network::Cidr range = TRY(network::parse_cidr(instance.settings.pod_cidr));
  const auto count = static_cast<unsigned>(std::max(instance.settings.nodes, 1));
  const int prefix = range.prefix + std::bit_width(count - 1);
  if (count > 1 && prefix > kSmallestPart)
    return Error{ErrorCode::bad_request, "pod range " + instance.settings.pod_cidr + " has no room for " +
                                             std::to_string(count) + " nodes; choose a larger one with --pod-cidr"};
  std::vector<NodePlace> nodes;
  for (unsigned i = 0; i < count; ++i) {
    const network::Cidr part{range.first() + static_cast<std::uint32_t>(i * (std::uint64_t{1} << (32 - prefix))),
                             prefix};
    const std::string number = std::to_string(i + 1);
    const bool first = i == 0;
    nodes.push_back({.number = static_cast<int>(i + 1),
                     .name = instance.settings.node_name + (first ? "" : "-" + number),
                     .directory = first ? instance.settings.data_dir : instance.path("nodes/" + number),
                     .pod_cidr = part.str(),
                     .address = network::format_ipv4(part.first() + 1),
                     .cgroup = "/caisson-" + instance.id + (first ? "" : "/node" + number),
                     .socket = instance.path(first ? "run/agent.sock" : "run/agent-" + number + ".sock"),
                     .api_socket = instance.path(first ? "run/api.sock" : "run/api-" + number + ".sock"),
                     .first = first});
  }
  return nodes;
}

Result<NodePlace> find_node(const Instance& instance, const std::string& name) {
  const auto nodes = TRY(nodes_of(instance));
  std::vector<std::string> names;
  for (const NodePlace& node : nodes) {
    if (node.name == name) return node;
    names.push_back(node.name);
  }
  return Error{ErrorCode::not_found,
               "no node " + name + " here; there " + (names.size() == 1 ? "is " : "are ") + join(names, ", ")};
}

int node_number(const Instance& instance, std::string_view name) {
  const std::string head = instance.settings.node_name + "-";
  const auto number = name.starts_with(head) ? parse_int(name.substr(head.size())) : std::nullopt;
  return number && *number >= 2 && *number <= kNodesMax ? static_cast<int>(*number) : 0;
}

Result<void> stop_node(const Instance& instance, const std::string& name) {
  const NodePlace node = TRY(node_to_change(instance, name));
  TRY(make_dirs(node.directory));
  TRY(write_file(node.stop_mark(), ""));
  return change(instance, node, false);
}

Result<void> start_node(const Instance& instance, const std::string& name) {
  const NodePlace node = TRY(node_to_change(instance, name));
  TRY(remove_file(node.stop_mark()));
  return change(instance, node, true);
}

}  // namespace caisson::platform
