// SPDX-License-Identifier: Apache-2.0
// Routes by which this host itself reaches the external addresses of Services (load balancers', externalIPs): to the
// instance's bridge without ports, as the service range. Translation answers before the bridge is ever asked; without a
// route, a connect from a host without a default route would fail before it. One thread at a time.
#pragma once
#include <optional>
#include <set>
#include <string>

#include "core/base/result.h"
#include "machine/network/netlink.h"

namespace caisson::network {

class ExternalRoutes {
 public:
  // Works in the thread's network namespace.
  static Result<ExternalRoutes> open(std::string bridge, const std::string& node_address);
  // Makes the routes those to exactly these addresses; what a former agent left is found by the bridge.
  // Errors: not_found while the bridge is not there.
  Result<void> set(const std::set<std::string>& addresses);

 private:
  ExternalRoutes(Netlink netlink, std::string bridge, std::uint32_t node)
      : netlink_(std::move(netlink)), bridge_(std::move(bridge)), node_(node) {}
  Result<std::set<std::string>> present(int link);

  Netlink netlink_;
  std::string bridge_;
  std::uint32_t node_;
  std::optional<std::set<std::string>> set_;  // what was set last; nothing: not known
};

}  // namespace caisson::network
