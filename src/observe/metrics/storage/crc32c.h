// SPDX-License-Identifier: Apache-2.0
// CRC-32C (Castagnoli; RFC 3720, appendix B.4), by the processor's instruction where it has one. Any thread.
#pragma once
#include <cstdint>
#include <string_view>

namespace caisson::metrics {

// `before` is the sum of what stands before `bytes`: sums of parts give that of the whole.
std::uint32_t crc32c(std::string_view bytes, std::uint32_t before = 0);
// The same by tables, which every processor can.
std::uint32_t crc32c_by_tables(std::string_view bytes, std::uint32_t before = 0);

}  // namespace caisson::metrics
