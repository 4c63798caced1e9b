// SPDX-License-Identifier: Apache-2.0
// What people write for the network as text: rules of routes, Corefiles, ranges of addresses. Any bytes are read or
// refused.
#include "core/base/check.h"
#include "machine/network/address_pools.h"
#include "machine/network/dns_config.h"
#include "machine/network/route_match.h"

namespace network = caisson::network;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto match = network::parse_route_match(text); match.ok()) {
    // One line of a table whose fields are separated by tabs.
    CHECK(match->expression.find_first_of("\t\n\r") == std::string::npos);
    CHECK(!match->expression.empty());
  }
  if (const auto range = network::parse_range(text); range.ok()) CHECK(range->first <= range->last);
  const caisson::Value coredns{{"Corefile", text}, {"NodeHosts", text}};
  const network::dns::Config config = network::dns::read_config(coredns, {});
  CHECK(config == network::dns::read_config(coredns, {}));
  for (const auto& [name, addresses] : config.hosts) CHECK(!addresses.empty());
  return 0;
}
