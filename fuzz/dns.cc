// SPDX-License-Identifier: Apache-2.0
// A query that is read can be answered, and the answer is read again; nothing else may happen with any bytes.
#include "core/base/check.h"
#include "machine/network/dns_message.h"

namespace dns = caisson::network::dns;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view packet(reinterpret_cast<const char*>(data), size);
  (void)dns::parse_reply(packet).ok();
  const auto query = dns::parse_query(packet);
  if (!query.ok()) return 0;
  dns::Answer answer;
  answer.answers.push_back(dns::make_a((*query).name, 5, 0x0a2a0001));
  const auto reply = dns::parse_reply(dns::make_response(*query, answer, 65535));
  CHECK(reply.ok());
  CHECK((*reply).id == (*query).id);
  CHECK((*reply).question == (*query).question);
  return 0;
}
