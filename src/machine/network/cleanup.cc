// SPDX-License-Identifier: Apache-2.0
// What `caisson down` takes away of the network, found by the instance's id, so that it works after a crash as well.
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "machine/network/netlink.h"
#include "machine/network/nft.h"
#include "machine/network/nginx.h"
#include "machine/network/pod_network.h"
#include "machine/network/sysctl.h"

namespace caisson::network {
namespace {

bool is_bridge_of_instance(std::string_view name) {  // c + six hex digits + br
  return name.size() == 9 && name.front() == 'c' && name.ends_with("br") &&
         name.substr(1, 6).find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// The links are listed after ours are gone: another instance's bridge takes the record over, else the values are put
// back.
Result<void> put_back(Netlink& netlink, const HostRecord& record) {
  const std::vector<Link> links = TRY(netlink.links());
  for (const Link& link : links) {
    if (!is_bridge_of_instance(link.name)) continue;
    HostRecord theirs = parse_host_record(link.alias);
    for (const auto& [key, value] : record) {
      if (!key.starts_with(kSysctlPrefix)) continue;
      const std::string now = TRY(read_sysctl(key));
      // Ours is the host's own value only when it differs from what instances set; else the other one came first and
      // knows better.
      if (value != now) theirs[key] = value;
    }
    return netlink.set_alias(link.index, format_host_record(theirs));
  }
  for (const auto& [key, value] : record) {
    if (!key.starts_with(kSysctlPrefix)) continue;
    const std::string now = TRY(read_sysctl(key));
    if (now != value) TRY(write_sysctl(key, value));
  }
  return {};
}

Result<void> remove_links(const std::string& instance, const std::string& record_file) {
  Netlink netlink = TRY(Netlink::open());
  const std::vector<Link> links = TRY(netlink.links());
  HostRecord record;
  std::optional<Link> bridge;
  for (const Link& link : links)
    if (link.name == "c" + instance + "br") bridge = link;
  if (bridge) record = parse_host_record(bridge->alias);
  if (record.empty() && exists(record_file)) {
    const std::string text = TRY(read_file(record_file));
    record = parse_host_record(text);
  }
  for (const Link& link : links)
    if (link.name.starts_with("c" + instance + "v")) TRY(netlink.remove_link(link.index));
  if (const auto pods = record.find(std::string(kPodsKey)); bridge && pods != record.end()) {
    const Cidr range = TRY(parse_cidr(pods->second));
    TRY(netlink.remove_route({Route::Kind::unreachable, {range.first(), range.prefix}, 0, 0, 0}));
  }
  if (bridge) TRY(netlink.remove_link(bridge->index));  // and with it its addresses and the service route
  TRY(put_back(netlink, record));
  return remove_file(record_file);
}

Result<void> remove_table(const std::string& instance) {
  Result<Nft> opened = Nft::open();
  if (!opened.ok() && opened.error().code == ErrorCode::not_found)
    return {};  // without the library there never was a table
  Nft nft = TRY(std::move(opened));
  for (const char* suffix : {"", "_policy"}) {
    const std::string table = "ip caisson_" + instance + suffix;
    TRY(nft.run("add table " + table + "\ndelete table " + table + "\n"));
  }
  return {};
}

}  // namespace

Result<void> cleanup(const std::string& instance, const std::string& data_dir) {
  if (instance.empty()) return Error{ErrorCode::invalid, "clean up the network: no instance id"};
  std::optional<Error> first;
  const auto note = [&](Result<void> result, std::string_view doing) {
    if (!result.ok() && !first) first = std::move(result).error().in(doing);
  };
  note(stop_nginx(path_join(data_dir, "nginx")), "end nginx");
  note(remove_table(instance), "remove nftables table");
  note(remove_links(instance, path_join(data_dir, "network/host")), "remove links");
  note(remove_file(path_join(data_dir, "network/pods")), "forget pod addresses");
  if (first) return *std::move(first);
  return {};
}

}  // namespace caisson::network
