// SPDX-License-Identifier: Apache-2.0
// What the node asks of the network before it ends a pod: does anything still send it new connections? A pod is
// signalled only after services and ingress have let go of it, so that a rolling update loses no request.
//
// Threads: any. network::Services and network::Ingress implement it.
#pragma once
#include <string_view>
#include <vector>

#include "core/base/clock.h"

namespace caisson::network {

class Withdrawal {
 public:
  virtual ~Withdrawal() = default;
  // No rule or upstream that is in force now names the address. False until the first rules of this process are in
  // force.
  virtual bool withdrawn(std::string_view pod_ip) const = 0;
  // Blocks until withdrawn and until the requests are answered that the ingress has under way there, at most time_max;
  // gives whether the address is withdrawn.
  virtual bool wait_withdrawn(std::string_view pod_ip, Duration time_max) const = 0;
};

}  // namespace caisson::network
