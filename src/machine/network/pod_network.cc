// SPDX-License-Identifier: Apache-2.0
// See pod_network.h. Everything here is made by idempotent steps, so that open() and attach() complete what a crash
// left half made.
#include "machine/network/pod_network.h"

#include <fcntl.h>

#include <cstdio>

#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "machine/network/ipam.h"
#include "machine/network/netlink.h"
#include "machine/network/sysctl.h"

namespace caisson::network {
namespace {

constexpr std::uint32_t kGateway = 0xa9fe0101;  // 169.254.1.1
constexpr std::string_view kForwarding = "net.ipv4.ip_forward";

std::string bridge_name(std::string_view instance) {
  return "c" + std::string(instance) + "br";
}
std::string veth_prefix(std::string_view instance) {
  return "c" + std::string(instance) + "v";
}

Error overlap(const char* what, const Cidr& range, const Route& route, const std::vector<Link>& links) {
  std::string by = "an unreachable route";
  for (const Link& link : links)
    if (link.index == route.link) by = "link " + link.name;
  return {ErrorCode::already_exists, std::string(what) + " range " + range.str() + " overlaps this host's route to " +
                                         route.to.str() + " (" + by + ")"};
}

// Refuses ranges that this host routes elsewhere. Routes of this instance's own links don't count, nor does the
// unreachable route that an earlier version made for its pods.
Result<void> check_ranges(Netlink& netlink, std::string_view instance, const Cidr& pods, const Cidr& services) {
  const std::vector<Link> links = TRY(netlink.links());
  bool have_bridge = false;
  std::map<int, bool> own;
  for (const Link& link : links) {
    if (link.name == bridge_name(instance)) have_bridge = own[link.index] = true;
    if (link.name.starts_with(veth_prefix(instance))) own[link.index] = true;
  }
  const std::vector<Route> routes = TRY(netlink.routes());
  for (const Route& route : routes) {
    if (route.to.prefix == 0 || own[route.link]) continue;
    if (have_bridge && route.kind == Route::Kind::unreachable && route.to == Cidr{pods.first(), pods.prefix}) continue;
    if (route.to.overlaps(pods)) return overlap("pod", pods, route, links);
    if (route.to.overlaps(services)) return overlap("service", services, route, links);
  }
  return {};
}

Result<int> choose_mtu(Netlink& netlink) {
  const std::vector<Route> routes = TRY(netlink.routes());
  const std::vector<Link> links = TRY(netlink.links());
  for (const Route& route : routes)
    for (const Link& link : links)
      if (route.to.prefix == 0 && link.index == route.link && link.mtu >= 576) return link.mtu;
  return 1500;
}

// Former values on disk first, then the change.
Result<void> set_host_sysctls(Netlink& netlink, const Link& bridge, const std::string& file, const Cidr& pods) {
  HostRecord record = parse_host_record(bridge.alias);
  if (record.empty()) {
    record[std::string(kPodsKey)] = pods.str();
    record[std::string(kForwarding)] = TRY(read_sysctl(std::string(kForwarding)));
  }
  TRY(write_file(file, format_host_record(record)));
  TRY(netlink.set_alias(bridge.index, format_host_record(record)));
  const std::string now = TRY(read_sysctl(std::string(kForwarding)));
  if (now == "1") return {};
  return write_sysctl(std::string(kForwarding), "1");
}

Result<void> set_link_sysctl(const std::string& link, const char* family, const char* name, const char* value) {
  Result<void> written = write_sysctl(std::string("net.") + family + ".conf." + link + "." + name, value);
  if (!written.ok() && written.error().code == ErrorCode::not_found) return {};  // a kernel without that protocol
  return written;
}

}  // namespace

struct PodNetwork::Impl {
  Options options;
  Cidr pods, services;
  std::uint32_t host = 0;  // what pods see of this host, whichever node they are on
  std::uint32_t node = 0;  // of this node; the host's for the first
  int mtu = 1500;
  std::string node_text, bridge_text;
  mutable std::mutex mutex;  // of ipam
  std::optional<Ipam> ipam;  // GUARDED_BY(mutex)

  std::string veth_name(std::uint32_t address) const {
    return veth_prefix(options.instance) + std::to_string(address - pods.first());
  }
  Result<void> make_bridge(Netlink& netlink);
  Result<void> join_bridge(Netlink& netlink);
  Result<void> connect(const std::string& netns_path, std::uint32_t address);
  Result<void> configure_pod_end(const std::string& netns_path, std::uint32_t address);
  Result<void> configure_host_end(Netlink& netlink, const std::string& name, std::uint32_t address);
  Result<void> disconnect(std::uint32_t address);
};

Result<void> PodNetwork::Impl::make_bridge(Netlink& netlink) {
  TRY(netlink.add_bridge(bridge_text));
  const std::optional<Link> bridge = TRY(netlink.find_link(bridge_text));
  if (!bridge) return Error{ErrorCode::internal, "bridge " + bridge_text + " vanished"};
  TRY(set_link_sysctl(bridge_text, "ipv6", "disable_ipv6", "1"));
  TRY(set_host_sysctls(netlink, *bridge, path_join(options.state_dir, "host"), pods));
  TRY(netlink.set_up(bridge->index));
  TRY(netlink.add_address(bridge->index, {host, 32}));
  TRY(netlink.add_address(bridge->index, {kGateway, 32}, true));
  // The output hook translates after routing, so the service range needs a route that gives the source address.
  TRY(netlink.set_route({Route::Kind::unicast, {services.first(), services.prefix}, bridge->index, 0, host}));
  // An unreachable route would do for new connections only: it drops what a kept one sends without a word. The link
  // would not do as a mark: a packet of this host that was translated still has that of its first route.
  // route_localnet, as pods' links have it: else what came by NodePort at 127.0.0.1 ends before the table sees it.
  TRY(set_link_sysctl(bridge_text, "ipv4", "route_localnet", "1"));
  const std::uint32_t nowhere = TRY(parse_ipv4(kNowhere));
  TRY(netlink.set_route({Route::Kind::unicast, {nowhere, 32}, bridge->index, 0, 0}));
  return netlink.set_route({Route::Kind::unicast, {pods.first(), pods.prefix}, bridge->index, nowhere, host});
}

Result<void> PodNetwork::Impl::join_bridge(Netlink& netlink) {
  const std::optional<Link> bridge = TRY(netlink.find_link(bridge_text));
  if (!bridge) return Error{ErrorCode::unavailable, "bridge " + bridge_text + " is not there: the first node makes it"};
  return netlink.add_address(bridge->index, {node, 32});
}

Result<PodNetwork> PodNetwork::open(const Options& options) {
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  impl->pods = TRY(parse_cidr(options.pod_cidr).in("pod range"));
  impl->services = TRY(parse_cidr(options.service_cidr).in("service range"));
  if (impl->pods.prefix > 24 || impl->pods.prefix < 12 || impl->services.prefix > 24 || impl->services.prefix < 12)
    return Error{ErrorCode::invalid, "pod and service ranges need a prefix from /12 to /24"};
  if (impl->pods.overlaps(impl->services)) return Error{ErrorCode::invalid, "pod and service ranges overlap"};
  const Cidr part =
      options.node_cidr.empty() ? impl->pods : TRY(parse_cidr(options.node_cidr).in("pod range of the node"));
  if (part.prefix < impl->pods.prefix || part.prefix > 28 || !impl->pods.contains(part.first()))
    return Error{ErrorCode::invalid, "pod range " + part.str() + " of the node is no part of " + impl->pods.str() +
                                         " with at least 16 addresses"};
  impl->host = impl->pods.first() + 1;
  impl->node = part.first() + 1;
  impl->node_text = format_ipv4(impl->node);
  impl->bridge_text = bridge_name(options.instance);
  TRY(make_dirs(options.state_dir, 0700));
  impl->ipam = TRY(Ipam::open(path_join(options.state_dir, "pods"), part));
  Netlink netlink = TRY(Netlink::open());
  TRY(check_ranges(netlink, options.instance, impl->pods, impl->services));
  impl->mtu = options.mtu ? options.mtu : TRY(choose_mtu(netlink));
  const bool first = impl->node == impl->host;
  TRY((first ? impl->make_bridge(netlink) : impl->join_bridge(netlink)).in("pod network"));
  return PodNetwork(std::move(impl));
}

Result<void> PodNetwork::Impl::configure_pod_end(const std::string& netns_path, std::uint32_t address) {
  Netlink inside = TRY(Netlink::open_in(netns_path));
  const std::optional<Link> lo = TRY(inside.find_link("lo"));
  const std::optional<Link> eth0 = TRY(inside.find_link("eth0"));
  if (!lo || !eth0) return Error{ErrorCode::internal, "lo or eth0 is missing in " + netns_path};
  TRY(inside.set_up(lo->index));
  TRY(inside.add_address(eth0->index, {address, 32}));
  TRY(inside.set_up(eth0->index));
  TRY(inside.set_route({Route::Kind::unicast, {kGateway, 32}, eth0->index, 0, 0}));
  return inside.set_route({Route::Kind::unicast, {0, 0}, eth0->index, kGateway, 0});
}

Result<void> PodNetwork::Impl::configure_host_end(Netlink& netlink, const std::string& name, std::uint32_t address) {
  const std::optional<Link> link = TRY(netlink.find_link(name));
  if (!link) return Error{ErrorCode::internal, "link " + name + " vanished"};
  TRY(set_link_sysctl(name, "ipv6", "disable_ipv6", "1"));
  TRY(set_link_sysctl(name, "ipv4", "rp_filter", "1"));  // a pod can't send with another's address
  TRY(set_link_sysctl(name, "ipv4", "route_localnet",
                      "1"));  // NodePort at 127.0.0.1; the table's input chain guards loopback
  TRY(netlink.set_up(link->index));
  return netlink.set_route({Route::Kind::unicast, {address, 32}, link->index, 0, host});
}

Result<void> PodNetwork::Impl::connect(const std::string& netns_path, std::uint32_t address) {
  Netlink netlink = TRY(Netlink::open());
  Netlink inside = TRY(Netlink::open_in(netns_path));
  const std::string name = veth_name(address);
  const std::optional<Link> host_end = TRY(netlink.find_link(name));
  const std::optional<Link> pod_end = TRY(inside.find_link("eth0"));
  if (host_end && !pod_end) TRY(netlink.remove_link(host_end->index));  // its peer is in a sandbox that is no more
  if (!pod_end) {
    UniqueFd ns(::open(netns_path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!ns) return errno_error("open network namespace " + netns_path);
    TRY(netlink.add_veth(name, "eth0", ns.get(), mtu));
    // As container runtimes do: a process that isn't root may listen on port 80 of its own pod.
    TRY(run_in_namespace(netns_path, [] { return write_sysctl("net.ipv4.ip_unprivileged_port_start", "0"); }));
  }
  TRY(configure_host_end(netlink, name, address));
  return configure_pod_end(netns_path, address);
}

Result<void> PodNetwork::Impl::disconnect(std::uint32_t address) {
  Netlink netlink = TRY(Netlink::open());
  const std::optional<Link> link = TRY(netlink.find_link(veth_name(address)));
  if (!link) return {};
  return netlink.remove_link(link->index);
}

PodNetwork::PodNetwork(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PodNetwork::PodNetwork(PodNetwork&&) noexcept = default;
PodNetwork& PodNetwork::operator=(PodNetwork&&) noexcept = default;
PodNetwork::~PodNetwork() = default;

const std::string& PodNetwork::node_address() const {
  return impl_->node_text;
}
const std::string& PodNetwork::bridge() const {
  return impl_->bridge_text;
}

Result<std::string> PodNetwork::attach(std::string_view pod_uid, const std::string& netns_path,
                                       std::string_view want_ip) {
  const std::string doing = "attach pod " + std::string(pod_uid);
  if (pod_uid.empty() || pod_uid.find_first_of(" \n") != std::string_view::npos)
    return Error{ErrorCode::invalid, doing + ": not a uid"};
  std::optional<std::uint32_t> want;
  if (!want_ip.empty()) want = TRY(parse_ipv4(want_ip).in(doing));
  std::uint32_t address = 0;
  {
    const std::lock_guard lock(impl_->mutex);
    address = TRY(impl_->ipam->take(pod_uid, want).in(doing));
  }
  TRY(impl_->connect(netns_path, address).in(doing));
  return format_ipv4(address);
}

Result<void> PodNetwork::detach(std::string_view pod_uid) {
  const std::string doing = "detach pod " + std::string(pod_uid);
  std::optional<std::uint32_t> address;
  {
    const std::lock_guard lock(impl_->mutex);
    address = impl_->ipam->find(pod_uid);
  }
  if (!address) return {};
  TRY(impl_->disconnect(*address).in(doing));
  const std::lock_guard lock(impl_->mutex);
  return impl_->ipam->give_back(pod_uid).in(doing);
}

std::optional<std::string> PodNetwork::find(std::string_view pod_uid) const {
  const std::lock_guard lock(impl_->mutex);
  const auto address = impl_->ipam->find(pod_uid);
  if (!address) return std::nullopt;
  return format_ipv4(*address);
}

std::vector<std::pair<std::string, std::string>> PodNetwork::attached() const {
  const std::lock_guard lock(impl_->mutex);
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& [pod, address] : impl_->ipam->pods()) out.emplace_back(pod, format_ipv4(address));
  return out;
}

Result<void> PodNetwork::keep_only(const std::vector<std::string>& pod_uids) {
  for (const auto& [pod, address] : attached())
    if (std::find(pod_uids.begin(), pod_uids.end(), pod) == pod_uids.end()) TRY(detach(pod));
  return {};
}

}  // namespace caisson::network
