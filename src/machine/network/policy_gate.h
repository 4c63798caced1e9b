// SPDX-License-Identifier: Apache-2.0
// What the node asks of the network before the first container of a pod runs: that the NetworkPolicies which select the
// pod are in force for its address. So no pod is reachable, or reaches anything, for a moment that a policy forbids.
//
// Threads: any. network::Policies implements it.
#pragma once
#include <string>

#include "cluster/kube/object.h"
#include "core/base/result.h"

namespace caisson::network {

class PolicyGate {
 public:
  virtual ~PolicyGate() = default;
  // `ip`: the address that the pod was given and that its status does not tell yet. Returns at once when there is no
  // policy at all. Errors: nftables' own words; then nothing of the pod may run.
  virtual Result<void> admit(const kube::Object& pod, const std::string& ip) = 0;
};

}  // namespace caisson::network
