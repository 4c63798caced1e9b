// SPDX-License-Identifier: Apache-2.0
// Native histograms on the wire: buckets as spans and deltas or counts, in messages whose field numbers differ between
// remote write (prometheus.WriteRequest, io.prometheus.write.v2) and exposition (io.prometheus.client) but whose shape
// is one. Pure functions; any thread.
#pragma once
#include "core/base/protobuf.h"
#include "observe/metrics/model/histogram.h"

namespace caisson::metrics {

// Where a message keeps the parts of a native histogram.
struct HistogramFields {
  std::uint32_t count_int, count_float, sum, schema, zero_threshold, zero_count_int, zero_count_float;
  std::uint32_t negative_spans, negative_deltas, negative_counts, positive_spans, positive_deltas, positive_counts;
  std::uint32_t custom_bounds;  // 0: the message has none
};
inline constexpr HistogramFields kRemoteHistogram{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 16};
inline constexpr HistogramFields kClientHistogram{1, 4, 2, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0};

// Collects a histogram from the fields of its message; take() has each offered.
class HistogramReader {
 public:
  explicit HistogramReader(const HistogramFields& fields) : fields_(fields) {}
  Result<void> take(const protobuf::Reader& field);
  bool is_native() const { return native_; }  // it has spans or a zero bucket's threshold
  // Errors: bad_request: spans and counts that do not fit together, what validate() refuses.
  Result<FloatHistogram> histogram() const;

 private:
  struct Span {
    std::int32_t offset = 0;
    std::uint32_t length = 0;
  };
  struct Side {
    std::vector<Span> spans;
    std::vector<std::int64_t> deltas;
    std::vector<double> counts;
  };
  Result<void> take_span(const protobuf::Reader& field, Side& side);
  static Result<HistogramBuckets> buckets(const Side& side, bool with_counts);

  const HistogramFields& fields_;
  FloatHistogram head_;
  bool has_float_count_ = false, native_ = false;
  Side positive_, negative_;
};

// The fields of `h`, with float counts.
void write_histogram(protobuf::Writer& out, const FloatHistogram& h, const HistogramFields& fields);

}  // namespace caisson::metrics
