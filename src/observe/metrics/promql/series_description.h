// SPDX-License-Identifier: Apache-2.0
// Series as unit tests of rules write them: up{job="x"} 0+1x5 _ stale {{schema:0 count:3 sum:2 buckets:[1 2]}}. Source:
// Prometheus' documentation, unit testing for rules. Pure function; any thread.
#pragma once
#include <optional>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "observe/metrics/model/sample.h"

namespace caisson::metrics::promql {

struct SequenceValue {
  bool omitted = false;  // _
  double v = 0;
  HistogramPtr h;         // null: a float
  bool has_hint = false;  // counter_reset_hint was written
};

struct SeriesDescription {
  Labels labels;
  std::vector<SequenceValue> values;
};

inline constexpr std::size_t kSequenceMax = 1'000'000;

// Errors: bad_request.
Result<SeriesDescription> parse_series(std::string_view text);
Result<std::vector<SequenceValue>> parse_sequence(std::string_view text);

}  // namespace caisson::metrics::promql
