// SPDX-License-Identifier: Apache-2.0
// The trim operators </ and >/. A bucket that the bound cuts keeps its estimated share; the sum is estimated anew from
// the middle of what is left of each bucket.
#include <cmath>
#include <limits>

#include "observe/metrics/model/histogram.h"

namespace caisson::metrics {
namespace {

struct Kept {
  double count = 0;
  double middle = 0;  // where these observations are taken to lie
};

double middle_of(double lower, double upper, bool positive, bool linear) {
  if (std::isinf(lower)) {
    if (std::isinf(upper)) return 0;
    return upper > 0 ? upper / 2 : upper;
  }
  if (std::isinf(upper)) return lower;
  if (linear) return (lower + upper) / 2;
  const double mean = std::sqrt(std::fabs(lower * upper));
  return positive ? mean : -mean;
}

double zero_if_infinite(double value) {
  return std::isinf(value) ? 0 : value;
}

// Of a bucket with an infinite bound, which the trim's bound cuts.
Kept cut_unbounded(const BucketRange& b, double bound, bool upper) {
  const bool finite_upper = !std::isinf(b.upper);
  if (std::isinf(b.lower) && b.lower < 0) {
    if (upper) {
      if (bound >= b.upper) return {b.count, 0};
      if (bound > 0 && b.upper > 0 && finite_upper) return {b.count * bound / b.upper, bound / 2};
      if (b.upper <= 0) return {b.count, bound};
      return {0, zero_if_infinite(b.upper)};
    }
    if (bound <= b.lower) return {b.count, 0};
    if (bound >= 0 && b.upper > bound && finite_upper) return {b.count * (1 - bound / b.upper), (bound + b.upper) / 2};
    return {0, zero_if_infinite(b.upper)};
  }
  if (!upper && bound >= b.lower) return {b.count, bound};
  return {0, zero_if_infinite(b.lower)};
}

Kept kept_of(const BucketRange& b, double bound, bool upper, bool positive, bool linear) {
  if (upper ? b.upper <= bound : b.lower >= bound) return {b.count, middle_of(b.lower, b.upper, positive, linear)};
  if (upper ? b.lower >= bound : b.upper <= bound) return {};
  if (!(upper ? b.lower < bound : b.upper > bound)) return {};  // the bound is NaN
  if (std::isinf(b.lower) || std::isinf(b.upper)) return cut_unbounded(b, bound, upper);
  const double below = b.count * fraction_below(b, bound, linear);
  return upper ? Kept{below, middle_of(b.lower, bound, positive, linear)}
               : Kept{b.count - below, middle_of(bound, b.upper, positive, linear)};
}

Kept kept_of_zero(const FloatHistogram& h, double bound, bool upper, bool has_negative, bool has_positive) {
  const double low = has_positive && !has_negative ? 0 : -h.zero_threshold;
  const double high = has_negative && !has_positive ? 0 : h.zero_threshold;
  const Kept all{h.zero_count, (low + high) / 2};
  if (bound <= low) return upper ? Kept{} : all;
  if (bound >= high) return upper ? all : Kept{};
  return upper ? Kept{h.zero_count * ((bound - low) / (high - low)), (low + bound) / 2}
               : Kept{h.zero_count * ((high - bound) / (high - low)), (bound + high) / 2};
}

}  // namespace

void trim_buckets(FloatHistogram& h, double bound, bool upper) {
  double count = 0, sum = 0;
  bool changed = false, any[2] = {false, false};
  const auto keep = [&](double& stored, const Kept& kept) {
    count += kept.count;
    sum += kept.middle * kept.count;
    if (stored != kept.count) changed = true;
    stored = kept.count;
  };
  for (const bool positive : {true, false}) {
    for (HistogramBucket& b : positive ? h.positive : h.negative) {
      if (b.count == 0) continue;
      any[positive] = true;
      const double inner = bucket_bound(b.index - 1, h.schema, h.custom_bounds);
      const double outer = bucket_bound(b.index, h.schema, h.custom_bounds);
      const BucketRange range = positive ? BucketRange{inner, outer, b.count} : BucketRange{-outer, -inner, b.count};
      keep(b.count, kept_of(range, bound, upper, positive, h.has_custom_bounds()));
    }
  }
  if (h.zero_count > 0) keep(h.zero_count, kept_of_zero(h, bound, upper, any[false], any[true]));
  if (!changed) return;
  h.count = count;
  h.sum = sum;
  compact(h);
}

}  // namespace caisson::metrics
