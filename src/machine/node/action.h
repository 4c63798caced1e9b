// SPDX-License-Identifier: Apache-2.0
// What probes and lifecycle hooks do: exec, httpGet, tcpSocket, grpc, sleep. http, tcp and grpc go from the host to the
// pod's address. Any thread; blocks for at most the time given.
#pragma once
#include <string>

#include "artifact/container/containers.h"
#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::node {

struct ActionTarget {
  container::Containers* containers = nullptr;
  std::string container_id, pod_ip;
  Value container;  // its spec: named ports are looked up here
};
struct ActionResult {
  bool success = false;
  std::string message;  // why not, in the kubelet's words
};

// Errors: invalid for a handler that is none (or of a kind that is not supported), which no repetition mends.
Result<ActionResult> run_action(const ActionTarget& target, const Value& handler, Duration time_max);

// "http" or 8080 as a number. Errors: invalid for a name that no port of the container has.
Result<int> port_number(const Value& container, const Value& port);

}  // namespace caisson::node
