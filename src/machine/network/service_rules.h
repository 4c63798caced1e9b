// SPDX-License-Identifier: Apache-2.0
// From services to nftables text. The table is flat: a map from (address, protocol, port, slot) to the endpoint, 60
// slots for each port. A connection draws a slot at random; slot s belongs to endpoint s mod n. So a change of one
// service touches its own elements only, and is one transaction with every other change at hand. Services with
// sessionAffinity ClientIP draw the slot by a hash of the client's address, and give slots out by rendezvous hashing,
// so that another endpoint's end moves no client. What is routed to kNowhere (pod_network.h: addresses
// without a pod) is refused by a reset, so that a client whose connection outlived its pod learns it with its next
// packet. Pure functions; any thread.
#pragma once
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/kube/object.h"

namespace caisson::network {

// The elements that one service puts into the table; also the sum of many.
struct ServiceRules {
  std::map<std::string, std::string> cluster;  // map ep: "10.43.0.7 . tcp . 80 . 0x3" → "10.42.0.9 . 8080"
  std::map<std::string, std::string> node;     // map np: "tcp . 30080 . 0x3" → "10.42.0.9 . 8080"
  std::set<std::string> node_ports;            // "tcp . 30080"
  std::set<std::string> sticky, sticky_node;   // "10.43.0.7 . tcp . 80", "tcp . 30080"
  std::set<std::string> limited;        // "192.168.1.240 . tcp . 80": loadBalancerSourceRanges says who is let in …
  std::set<std::string> let_in;         // … "192.168.1.240 . tcp . 80 . 10.0.0.0-10.255.255.255"
  std::set<std::string> external;       // addresses from outside the service range
  std::set<std::string> addresses;      // of endpoints in use
  std::set<std::string> udp_addresses;  // of endpoints of UDP ports
  bool operator==(const ServiceRules&) const = default;
};
ServiceRules rules_of(const kube::Object& service, const std::vector<kube::Object>& slices);

struct TableOptions {
  std::string instance, pod_cidr, service_cidr, node_address;
  std::string table() const { return "ip caisson_" + instance; }
};
// Makes the table anew, empty of elements, in the same transaction that removes an old one.
std::string make_table(const TableOptions& options);
// Addresses that several services may have in common, and that appear or vanish with the last of them.
struct SharedAddresses {
  std::set<std::string> endpoints_added, endpoints_removed;
  std::set<std::string> external_added, external_removed;
};
// What turns the elements of `before` into those of `after`; empty when there is no difference.
std::string change_elements(const TableOptions& options, const ServiceRules& before, const ServiceRules& after,
                            const SharedAddresses& shared);

}  // namespace caisson::network
