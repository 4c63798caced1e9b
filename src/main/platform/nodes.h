// SPDX-License-Identifier: Apache-2.0
// The nodes of an instance: agents of one machine, each with a name, a part of the pod range, a cgroup, a directory and
// a socket of its own, so that drain, spreading, taints and the loss of a node can be used on a laptop. All are in the
// host's network namespace. The first node's agent also does what there is one of on a machine: network, DNS, ingress,
// images, builds; the others ask it by <data>/run/machine.sock (machine_service.h). An instance of one node is laid out
// as ever.
#pragma once
#include <string>
#include <vector>

#include "main/platform/instance.h"

namespace caisson::platform {

struct NodePlace {
  int number = 1;
  std::string name;       // of the Node object: the setting nodeName; the others "<nodeName>-2", "<nodeName>-3" …
  std::string directory;  // pods/, containers/, network/, manifests/: <data>; the others <data>/nodes/<n>
  std::string pod_cidr;   // the range in equal parts, in order
  std::string address;    // the first of its part
  std::string cgroup;     // /caisson-<id>; the others /caisson-<id>/node<n>, so that ending the first ends all
  std::string socket;     // <data>/run/agent.sock; the others <data>/run/agent-<n>.sock
  // The API for this node's agent, which is told by it who asks: <data>/run/api.sock; the others …/api-<n>.sock.
  std::string api_socket;
  bool first = true;

  // There while the node's agent is not to run: `caisson node stop`.
  std::string stop_mark() const { return directory + "/stopped"; }
};

// Errors: bad_request when the pod range has no room for so many nodes.
Result<std::vector<NodePlace>> nodes_of(const Instance& instance);
// Errors: not_found, which names the nodes that there are.
Result<NodePlace> find_node(const Instance& instance, const std::string& name);
// Whether `name` is one that a node of the instance could have beyond its first, and which ("n-3": 3); 0: it is not.
int node_number(const Instance& instance, std::string_view name);

// What `caisson node stop NAME` and `start NAME` do: the agent ends, and is not started again until `start`, also not
// by the next `caisson up`. Its pods' processes go on, as on a machine that lost its connection. Both return when it is
// so. Errors: not_found; bad_request for the first node; unavailable when the platform does not run; timeout.
Result<void> stop_node(const Instance& instance, const std::string& name);
Result<void> start_node(const Instance& instance, const std::string& name);

}  // namespace caisson::platform
