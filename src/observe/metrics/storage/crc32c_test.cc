// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/storage/crc32c.h"

#include <doctest/doctest.h>

#include <random>
#include <string>

namespace caisson::metrics {

TEST_CASE("CRC-32C has the values of RFC 3720, by tables and by the processor, in one piece and in several") {
  CHECK(crc32c("") == 0);
  CHECK(crc32c("123456789") == 0xE3069283u);
  CHECK(crc32c(std::string(32, '\0')) == 0x8A9136AAu);
  CHECK(crc32c(std::string(32, '\xFF')) == 0x62A8AB43u);
  std::mt19937 random(7);
  std::string bytes(300, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  const std::string_view all = bytes;
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    const std::uint32_t whole = crc32c(all.substr(0, size));
    CHECK(whole == crc32c_by_tables(all.substr(0, size)));
    const std::size_t part = random() % (size + 1);
    CHECK(whole == crc32c(all.substr(part, size - part), crc32c(all.substr(0, part))));
  }
}

}  // namespace caisson::metrics
