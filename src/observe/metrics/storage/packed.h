// SPDX-License-Identifier: Apache-2.0
// Samples of a full chunk whose values are decimals, as most are: counts, bytes, seconds with some digits. They become
// integers of one scale, kept as differences in frames of 32: the smallest difference of a frame, and of each how much
// larger it is, in as many bits as the largest needs. What is not a decimal stays as chunk.h wrote it. After Afroozeh,
// Kuffo and Boncz, "ALP: Adaptive Lossless floating-Point Compression", SIGMOD 2023. Pure; any thread.
#pragma once
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "observe/metrics/model/sample.h"

namespace caisson::metrics {

// Nothing where a value is no decimal of at most nine digits behind the point, -0, not finite, or beyond 2^53 when it
// is scaled. REQUIRES: at least one point.
std::optional<std::string> pack(std::span<const FloatPoint> points);

// Appends the samples of mint..maxt, bit by bit what was packed. Errors: invalid when the bytes are not `count` packed
// samples.
Result<void> unpack(std::string_view bytes, std::uint32_t count, std::int64_t mint, std::int64_t maxt,
                    std::vector<FloatPoint>& into);

}  // namespace caisson::metrics
