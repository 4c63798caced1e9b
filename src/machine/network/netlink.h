// SPDX-License-Identifier: Apache-2.0
// Links, addresses, routes and connection tracking by netlink, without ip(8) and conntrack(8). Specifications:
// rtnetlink(7), linux/rtnetlink.h, linux/netfilter/nfnetlink_conntrack.h. IPv4 only, as the room.
//
// A Netlink object is one socket: it stays in the network namespace in which it was opened. One thread at a time.
#pragma once
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/file.h"
#include "core/base/result.h"

namespace caisson::network {

// An IPv4 address in host byte order, and a range of them.
struct Cidr {
  std::uint32_t address = 0;
  int prefix = 32;
  std::uint32_t first() const { return prefix == 0 ? 0 : address & (~std::uint32_t(0) << (32 - prefix)); }
  std::uint64_t size() const { return std::uint64_t(1) << (32 - prefix); }
  bool contains(std::uint32_t ip) const { return ip - first() < size(); }
  bool overlaps(const Cidr& other) const { return contains(other.first()) || other.contains(first()); }
  std::string str() const;
  bool operator==(const Cidr&) const = default;
};
Result<std::uint32_t> parse_ipv4(std::string_view text);
std::string format_ipv4(std::uint32_t address);
Result<Cidr> parse_cidr(std::string_view text);  // "10.42.0.0/16"; a bare address is /32

// Runs `call` on a thread of its own that has entered the namespace: setns moves one thread, and this one never has to
// find back.
Result<void> run_in_namespace(const std::string& netns_path, const std::function<Result<void>()>& call);

struct Link {
  int index = 0;
  std::string name, alias;
  int mtu = 0;
  bool up = false;
};
struct Route {
  enum class Kind { unicast, unreachable } kind = Kind::unicast;
  Cidr to;                                // 0.0.0.0/0: default
  int link = 0;                           // index; 0: none
  std::uint32_t gateway = 0, source = 0;  // 0: none
};

class Netlink {
 public:
  static Result<Netlink> open();  // in the thread's namespace
  static Result<Netlink> open_in(const std::string& netns_path);

  Result<std::vector<Link>> links();
  Result<std::optional<Link>> find_link(std::string_view name);
  Result<void> add_bridge(const std::string& name);  // fine when there is one
  // `peer` appears in the namespace behind `netns_fd`. Errors: already_exists.
  Result<void> add_veth(const std::string& name, const std::string& peer, int netns_fd, int mtu);
  Result<void> set_up(int link);
  Result<void> set_alias(int link, const std::string& alias);                 // at most 255 bytes
  Result<void> remove_link(int link);                                         // fine when absent
  Result<void> add_address(int link, Cidr address, bool link_scope = false);  // fine when it is there
  Result<std::vector<Route>> routes();                                        // of the main table
  Result<void> set_route(const Route& route);                                 // adds or replaces
  Result<void> remove_route(const Route& route);                              // fine when absent

 private:
  explicit Netlink(UniqueFd fd) : fd_(std::move(fd)) {}
  Result<void> request(std::string message, std::initializer_list<int> tolerated = {});
  Result<void> dump(std::string message, const std::function<void(std::string_view)>& each);
  UniqueFd fd_;
  std::uint32_t sequence_ = 0;
};

// Forgets the UDP connections that translation sends to `endpoint` (an address that no longer serves): without this a
// client that keeps its port goes on talking to a dead pod. Gives how many there were.
Result<int> forget_udp_connections(std::uint32_t endpoint);

}  // namespace caisson::network
