// SPDX-License-Identifier: Apache-2.0
// From NetworkPolicies to the text of an nftables table of their own: pure functions; any thread. Follows
// networking.k8s.io/v1 NetworkPolicy of Kubernetes 1.33.
//
// A pod is isolated in a direction when a policy of that direction selects it; then only what a rule names passes, and
// the rest is refused at once (reset, or "administratively prohibited"), so that a client need not wait for a time-out.
// Pods that the same policies select share a chain. Answers of connections that were let in pass. What the node itself
// sends (probes, the ingress) always reaches its pods, as Kubernetes wants it.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "cluster/kube/object.h"
#include "machine/network/service_rules.h"

namespace caisson::network {

struct PolicyPod {
  std::string ns, ip;
  Value labels;
  std::map<std::string, int> ports;  // named ports: "tcp/http" → 8080
  int only_port = 0;                 // a stand-in for a service of the node: only this port of the address; 0: all
  bool operator==(const PolicyPod&) const = default;
};
// Nothing for a pod that has ended, or that has the node's own network. `ip`: of a pod whose status has none yet.
std::optional<PolicyPod> policy_pod(const kube::Object& pod, const std::string& ip = {});

struct PolicyWorld {
  std::vector<kube::Object> policies;
  std::vector<PolicyPod> pods;
  std::map<std::string, Value> namespace_labels;  // by name
};

std::string policy_table_name(const TableOptions& options);  // "ip caisson_<id>_policy"
// Replaces the table as a whole, in one transaction; removes it when no pod is isolated.
std::string make_policy_table(const TableOptions& options, const PolicyWorld& world);

}  // namespace caisson::network
