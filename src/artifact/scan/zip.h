// SPDX-License-Identifier: Apache-2.0
// Zip archives in memory, by their central directory: jars, wheels, OSV's exports. Stored and deflated members; ZIP64
// and encrypted ones are refused by name. Source: PKWARE APPNOTE 6.3.10. Pure; any thread.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace caisson::scan {

struct ZipMember {
  std::string name;
  std::uint64_t size_bytes = 0, packed_bytes = 0;
  std::uint32_t crc = 0;
  std::uint16_t method = 0, flags = 0;
  std::size_t header_at = 0;
};

// Errors: bad_request when it is no zip or its directory is broken; too_large above a million members.
Result<std::vector<ZipMember>> zip_members(std::string_view archive);
// Errors: bad_request; too_large when the member, unpacked, has more than `size_bytes_max` bytes (whatever it claims).
Result<std::string> zip_read(std::string_view archive, const ZipMember& member, std::size_t size_bytes_max);

}  // namespace caisson::scan
