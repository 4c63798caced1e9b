// SPDX-License-Identifier: Apache-2.0
// Time zones as CEL names them: "UTC", "Europe/Berlin", "+09:30". Any thread.
#pragma once
#include <cstdint>
#include <string_view>

#include "core/base/result.h"

namespace caisson::cel {

// Seconds east of UTC at that time. Errors: bad_request "unknown time zone X".
Result<std::int64_t> zone_offset(std::string_view zone, std::int64_t unix_seconds);

}  // namespace caisson::cel
