// SPDX-License-Identifier: Apache-2.0
// Which ports a port-forward leads to. Pure functions; internal to this folder and its tests.
#pragma once
#include "main/cli/kubectl/kubectl.h"

namespace caisson::cli::kubectl {

// "8080:80", ":http" (a random local port), "80" (`same`: the local port is the remote one).
struct PortPair {
  int local = 0;  // 0: any
  std::string remote;
  bool same = false;
  bool operator==(const PortPair&) const = default;
};
Result<PortPair> parse_ports(std::string_view text);

// The container's port behind a number or a name: of the pod's own ports, or with `service` of the Service's, through
// its targetPort. Errors: kubectl's text.
Result<int> remote_port(const Value& service, const Value& pod, std::string_view word);

}  // namespace caisson::cli::kubectl
