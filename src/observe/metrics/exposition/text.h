// SPDX-License-Identifier: Apache-2.0
// What targets expose: Prometheus text format 0.0.4 and OpenMetrics text 1.0. Pure functions; any thread.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "observe/metrics/model/sample.h"

namespace caisson::metrics {

struct ExposedExemplar {
  Labels labels;
  double v = 0;
  std::optional<std::int64_t> t;
};

struct ExposedSample {
  Labels labels;  // the name among them
  double v = 0;
  std::optional<std::int64_t> t;  // milliseconds; absent: the time of the scrape
  std::optional<ExposedExemplar> exemplar;
  HistogramPtr h = nullptr;  // a native histogram instead of v
};

struct MetricMetadata {
  std::string name;
  std::string
      type;  // counter, gauge, histogram, summary, untyped, unknown, info, stateset, gaugehistogram; "" when not said
  std::string help;
  std::string unit;
};

struct Exposition {
  std::vector<ExposedSample> samples;
  std::vector<MetricMetadata> metadata;
};

struct ExpositionLimits {
  std::size_t samples_max = 500'000;
  std::size_t labels_max = 200;          // of one sample
  std::size_t label_bytes_max = 65'536;  // of one name or value
};

// Errors: bad_request "line 3: …"; too_large, which names the limit.
Result<Exposition> parse_text(std::string_view text, const ExpositionLimits& limits = {});
Result<Exposition> parse_open_metrics(std::string_view text, const ExpositionLimits& limits = {});
// By the Content-Type of the answer: text, or protobuf (protobuf.h, to which `classic_too` goes).
Result<Exposition> parse_exposition(std::string_view content_type, std::string_view text,
                                    const ExpositionLimits& limits = {}, bool classic_too = false);

// "0.5", "1": the values of le and quantile as they are stored, "0.5", "1.0", whatever the format wrote (Prometheus 3).
std::string normalized_bound(std::string_view value);

}  // namespace caisson::metrics
