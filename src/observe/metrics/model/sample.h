// SPDX-License-Identifier: Apache-2.0
// Samples and series. Times are milliseconds since 1970. Values.
#pragma once
#include <bit>
#include <cstdint>
#include <vector>

#include "observe/metrics/model/histogram.h"
#include "observe/metrics/model/labels.h"

namespace caisson::metrics {

struct FloatPoint {
  std::int64_t t = 0;
  double v = 0;
  bool operator==(const FloatPoint&) const = default;
};

struct HistogramPoint {
  std::int64_t t = 0;
  HistogramPtr h;
};

// Each of the two lists is ordered by time; no time is in both.
struct Samples {
  std::vector<FloatPoint> floats;
  std::vector<HistogramPoint> histograms;
  bool empty() const { return floats.empty() && histograms.empty(); }
};

// The NaN that says: the series ended here.
inline constexpr std::uint64_t kStaleNanBits = 0x7FF0000000000002u;
inline double stale_nan() {
  return std::bit_cast<double>(kStaleNanBits);
}
inline bool is_stale_nan(double value) {
  return std::bit_cast<std::uint64_t>(value) == kStaleNanBits;
}

}  // namespace caisson::metrics
