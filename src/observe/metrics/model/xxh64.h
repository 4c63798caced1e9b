// SPDX-License-Identifier: Apache-2.0
// XXH64 with seed 0 (xxHash specification 0.1.1). Any thread.
#pragma once
#include <cstdint>
#include <string_view>

namespace caisson::metrics {

std::uint64_t xxh64(std::string_view bytes);

}  // namespace caisson::metrics
