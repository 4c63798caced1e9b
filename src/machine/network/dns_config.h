// SPDX-License-Identifier: Apache-2.0
// What people add to cluster DNS: names of their own, stub domains, other resolvers. Read from the ConfigMaps where
// clusters keep it: kube-system/coredns (Corefile, and k3s' NodeHosts) and kube-system/coredns-custom (*.server,
// *.override). Of a Corefile's plugins hosts, forward and "rewrite name [exact]" have a meaning here; those whose work
// is done anyway are passed over; any other is named. Pure functions; any thread. Source: CoreDNS 1.12, its plugins'
// pages.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/document/value.h"
#include "machine/network/dns_zone.h"

namespace caisson::network::dns {

struct Config {
  std::map<std::string, std::vector<std::uint32_t>> hosts;  // by lower-case name
  std::map<std::uint32_t, std::string> names;               // the first name of an address
  std::map<std::string, std::vector<std::string>>
      stubs;                                    // zone → resolvers "10.0.0.1" or "10.0.0.1:5353"; "" is the root
  std::map<std::string, std::string> rewrites;  // name → the name that is meant
  std::vector<std::string> problems;            // in words for an Event
  bool operator==(const Config&) const = default;
};
// `data`: of the two ConfigMaps; null where there is none.
Config read_config(const Value& coredns, const Value& custom);

// The answer for a name that the cluster's zone does not know, and to whom it goes when it is forwarded.
struct Lookup {
  ZoneAnswer answer;
  std::string meant;  // after a rewrite; the name itself without
};
Lookup look_up(const Config& config, const std::string& name, std::uint16_t type);

}  // namespace caisson::network::dns
