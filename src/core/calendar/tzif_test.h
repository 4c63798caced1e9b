// SPDX-License-Identifier: Apache-2.0
// Time zone files for tests.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace caisson::calendar::testing {

inline constexpr const char* kBerlin = "CET-1CEST,M3.5.0,M10.5.0/3";

// A TZif file of version 2 with `transitions` (time, type) over two types, UTC+1 and UTC+2, and a POSIX rule at its
// end.
inline std::string tzif(const std::vector<std::pair<std::int64_t, int>>& transitions, const std::string& footer) {
  const auto number = [](std::int64_t value, int size) {
    std::string out;
    for (int i = size - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i));
    return out;
  };
  const auto header = [&](std::int64_t times, std::int64_t types, std::int64_t chars) {
    return "TZif2" + std::string(15, '\0') + number(0, 4) + number(0, 4) + number(0, 4) + number(times, 4) +
           number(types, 4) + number(chars, 4);
  };
  std::string out = header(0, 1, 4) + number(3600, 4) + std::string(2, '\0') + std::string("CET\0", 4);
  out += header(static_cast<std::int64_t>(transitions.size()), 2, 4);
  for (const auto& [time, type] : transitions) out += number(time, 8);
  for (const auto& [time, type] : transitions) out += static_cast<char>(type);
  for (const std::int64_t offset : {3600, 7200}) out += number(offset, 4) + std::string(2, '\0');
  return out + std::string("CET\0", 4) + "\n" + footer + "\n";
}

}  // namespace caisson::calendar::testing
