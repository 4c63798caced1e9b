// SPDX-License-Identifier: Apache-2.0
// ip("…"): an address, a range "a-b" or a network "a/n", IPv4 or IPv6. Any thread.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/base/result.h"

namespace caisson::logs::logql {

using IpAddress = std::array<std::uint8_t, 17>;  // the family (4 or 6), then its bytes
std::optional<IpAddress> parse_ip(std::string_view text);

class IpRange {
 public:
  static Result<IpRange> parse(std::string_view text);  // Errors: bad_request
  bool holds(const IpAddress& address) const { return first_ <= address && address <= last_; }

 private:
  IpAddress first_{}, last_{};
};

// Whether an address of the range stands somewhere in the line.
bool contains_address(std::string_view line, const IpRange& range);

}  // namespace caisson::logs::logql
