// SPDX-License-Identifier: Apache-2.0
// Answers of the host's resolvers, as packets. One thread at a time.
#pragma once
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "machine/network/dns_message.h"

namespace caisson::network::dns {

class Cache {
 public:
  using Clock = std::chrono::steady_clock;
  // `query` as sent by the asker: what asks for the same in the same way (case and id apart) gets the same answer.
  std::optional<std::string> find(std::string_view query, const Query& parsed, Clock::time_point now) const;
  void put(std::string_view query, std::string_view packet, const Reply& reply, Clock::time_point now);

 private:
  struct Entry {
    std::string packet;
    std::vector<std::size_t> ttl_at;
    Clock::time_point stored, ends;
  };
  std::map<std::string, Entry> entries_;
};

}  // namespace caisson::network::dns
