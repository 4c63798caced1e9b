// SPDX-License-Identifier: Apache-2.0
// Native histograms with floating-point counts (Prometheus' native histograms, schemas -4..8 with exponential buckets,
// -53 with custom bounds) and their arithmetic. Buckets are kept sparse, ordered by index; spans exist only in wire
// formats. Index i of an exponential schema s covers (2^(2^-s*(i-1)), 2^(2^-s*i)]; of custom bounds it is the i-th
// bound, the last one +Inf. Values; any thread.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "observe/metrics/model/kahan.h"

namespace caisson::metrics {

enum class ResetHint : std::uint8_t { unknown, reset, not_reset, gauge };

inline constexpr std::int32_t kCustomBoundsSchema = -53;

struct HistogramBucket {
  std::int32_t index = 0;
  double count = 0;
  bool operator==(const HistogramBucket&) const = default;
};
using HistogramBuckets = std::vector<HistogramBucket>;

struct FloatHistogram {
  ResetHint hint = ResetHint::unknown;
  std::int32_t schema = 0;
  double zero_threshold = 0;
  double zero_count = 0;
  double count = 0;
  double sum = 0;
  HistogramBuckets positive;
  HistogramBuckets negative;
  std::vector<double> custom_bounds;  // of schema -53 only, without +Inf

  bool has_custom_bounds() const { return schema == kCustomBoundsSchema; }
};
using HistogramPtr = std::shared_ptr<const FloatHistogram>;

// A bucket with its bounds. `linear`: values within are taken as evenly spread (custom bounds, the zero bucket),
// otherwise evenly on a logarithmic scale.
struct BucketRange {
  double lower;
  double upper;
  double count;
};

double bucket_bound(std::int32_t index, std::int32_t schema,
                    const std::vector<double>& custom_bounds);  // the upper one
std::vector<BucketRange> buckets_ascending(
    const FloatHistogram& h);  // negative, zero, positive; those beyond zero cut at it
// The share of the bucket that lies below `value`, which is within its finite bounds.
double fraction_below(const BucketRange& bucket, double value, bool linear);

// What an addition met on its way.
struct HistogramNotes {
  bool reset_collision = false;    // one side said reset, the other not_reset
  bool bounds_reconciled = false;  // custom bounds differed; the common ones were kept
};

// a += b, a -= b. Errors: invalid when one has exponential and the other custom buckets.
Result<HistogramNotes> add(FloatHistogram& a, const FloatHistogram& b);
Result<HistogramNotes> subtract(FloatHistogram& a, const FloatHistogram& b);
void scale(FloatHistogram& h, double factor);
void divide(FloatHistogram& h, double divisor);                  // by zero: no buckets, counts infinite or NaN
void compact(FloatHistogram& h);                                 // empty buckets go
void reduce_resolution(FloatHistogram& h, std::int32_t schema);  // REQUIRES: exponential, schema <= h.schema
bool has_overflow(const FloatHistogram& h);

// Bit for bit, but for empty buckets and the hint.
bool equals(const FloatHistogram& a, const FloatHistogram& b);
// Whether a counter went back between `previous` and `h`.
bool detect_reset(const FloatHistogram& h, const FloatHistogram& previous);
// Keeps what lies below (upper) or above (lower) `bound`: the operators </ and >/.
void trim_buckets(FloatHistogram& h, double bound, bool upper);
// Errors: invalid, which says what is wrong: negative counts, bounds out of order, a schema that is not known.
Result<void> validate(const FloatHistogram& h);

std::string histogram_string(const FloatHistogram& h);  // {count:3, sum:2, (1,2]:3}

// A sum of histograms with compensation for every bucket.
struct HistogramSum {
  FloatHistogram sum;
  FloatHistogram lost;  // same layout as sum

  explicit HistogramSum(const FloatHistogram& first);
  Result<HistogramNotes> add(const FloatHistogram& other);
  void scale(double factor);
  void divide(double divisor);
  FloatHistogram value() const;
};

// Parts shared by histogram*.cc.
namespace histogram_detail {
std::int32_t target_index(std::int32_t index, std::int32_t from_schema, std::int32_t to_schema);
std::vector<double> common_bounds(const std::vector<double>& a, const std::vector<double>& b);
// The bucket of `bounds` that holds bucket `index` of `from`.
std::int32_t index_in(const std::vector<double>& bounds, const std::vector<double>& from, std::int32_t index);
}  // namespace histogram_detail

}  // namespace caisson::metrics
