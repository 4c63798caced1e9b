// SPDX-License-Identifier: Apache-2.0
// See external_routes.h.
#include "machine/network/external_routes.h"

namespace caisson::network {

Result<ExternalRoutes> ExternalRoutes::open(std::string bridge, const std::string& node_address) {
  Netlink netlink = TRY(Netlink::open());
  const std::uint32_t node = TRY(parse_ipv4(node_address));
  return ExternalRoutes(std::move(netlink), std::move(bridge), node);
}

Result<std::set<std::string>> ExternalRoutes::present(int link) {
  std::set<std::string> out;
  for (const Route& route : TRY(netlink_.routes()))
    if (route.link == link && route.to.prefix == 32 && route.source == node_) out.insert(format_ipv4(route.to.address));
  return out;
}

Result<void> ExternalRoutes::set(const std::set<std::string>& addresses) {
  if (set_ == addresses) return {};
  const auto bridge = TRY(netlink_.find_link(bridge_));
  if (!bridge && addresses.empty()) return {};
  if (!bridge) return Error{ErrorCode::not_found, "link " + bridge_ + " is not there"};
  const auto route_to = [&](std::uint32_t address) {
    return Route{Route::Kind::unicast, {address, 32}, bridge->index, 0, node_};
  };
  const std::set<std::string> before = set_ ? *set_ : TRY(present(bridge->index));
  set_.reset();
  for (const auto& address : before)
    if (!addresses.contains(address)) TRY(netlink_.remove_route(route_to(TRY(parse_ipv4(address)))));
  for (const auto& address : addresses)
    if (!before.contains(address)) TRY(netlink_.set_route(route_to(TRY(parse_ipv4(address)))));
  set_ = addresses;
  return {};
}

}  // namespace caisson::network
