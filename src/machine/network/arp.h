// SPDX-License-Identifier: Apache-2.0
// Announces addresses on Ethernet links: answers ARP requests for them with the link's own hardware address, and tells
// everybody when one is new here (gratuitous ARP), so that switches and neighbours forget who had it before. The
// addresses are no addresses of this host; what arrives for them is translated before it is routed. Source: RFC 826,
// RFC 5227 section 3; MetalLB's layer-2 mode, whose five announcements a second apart these are.
//
// Works in the network namespace of the thread that starts it. Threads: any.
#pragma once
#include <map>
#include <memory>
#include <set>
#include <string>

#include "core/base/result.h"

namespace caisson::network {

// Address in host byte order → links by name; an empty set is every Ethernet link that is up.
using Announcements = std::map<std::uint32_t, std::set<std::string>>;

class ArpAnnouncer {
 public:
  // Costs nothing until there is something to announce. `own_links`: how names of links begin that never take part
  // (those of pods).
  static std::unique_ptr<ArpAnnouncer> make(std::string own_links);
  virtual ~ArpAnnouncer() = default;  // falls silent
  // What is announced from now on; new addresses are told at once. Errors: forbidden without CAP_NET_RAW.
  virtual Result<void> announce(Announcements announcements) = 0;
};

}  // namespace caisson::network
