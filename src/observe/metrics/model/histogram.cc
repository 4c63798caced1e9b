// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/model/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "observe/metrics/model/format.h"

namespace caisson::metrics {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

bool same_bits(double a, double b) {
  return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

bool same_buckets(const HistogramBuckets& a, const HistogramBuckets& b) {
  auto i = a.begin(), j = b.begin();
  while (true) {
    while (i != a.end() && i->count == 0) ++i;
    while (j != b.end() && j->count == 0) ++j;
    if (i == a.end() || j == b.end()) return i == a.end() && j == b.end();
    if (i->index != j->index || !same_bits(i->count, j->count)) return false;
    ++i, ++j;
  }
}

std::string range_string(const BucketRange& bucket, bool lower_inclusive, bool upper_inclusive) {
  return std::string(lower_inclusive ? "[" : "(") + format_general(bucket.lower) + "," + format_general(bucket.upper) +
         (upper_inclusive ? "]:" : "):") + format_general(bucket.count);
}

Result<void> check_counts(const HistogramBuckets& buckets, std::string_view side) {
  for (const HistogramBucket& bucket : buckets)
    if (bucket.count < 0)
      return Error{ErrorCode::invalid, std::string(side) + " side: bucket has a negative observation count"};
  return {};
}

}  // namespace

double bucket_bound(std::int32_t index, std::int32_t schema, const std::vector<double>& custom_bounds) {
  if (schema == kCustomBoundsSchema) {
    if (index < 0) return -kInfinity;
    return static_cast<std::size_t>(index) < custom_bounds.size() ? custom_bounds[index] : kInfinity;
  }
  // The last finite bucket would end at 2^1024, which no double holds; it ends at the greatest one.
  const auto power = [](double fraction, std::int64_t exponent) {
    if (fraction == 0.5 && exponent == 1025) return std::numeric_limits<double>::max();
    return std::ldexp(fraction, static_cast<int>(std::clamp<std::int64_t>(exponent, -5000, 5000)));
  };
  if (schema < 0) return power(0.5, (static_cast<std::int64_t>(index) << -schema) + 1);
  const std::int32_t part = index & ((1 << schema) - 1);
  const double fraction = part == 0 ? 0.5 : 0.5 * std::exp2(static_cast<double>(part) / (1 << schema));
  return power(fraction, (index >> schema) + 1);
}

std::vector<BucketRange> buckets_ascending(const FloatHistogram& h) {
  std::vector<BucketRange> out;
  out.reserve(h.negative.size() + h.positive.size() + 1);
  for (auto b = h.negative.rbegin(); b != h.negative.rend(); ++b) {
    const double upper = -bucket_bound(b->index - 1, h.schema, {});
    out.push_back({-bucket_bound(b->index, h.schema, {}),
                   upper < 0 && upper > -h.zero_threshold ? -h.zero_threshold : upper, b->count});
  }
  if (h.zero_count > 0) out.push_back({-h.zero_threshold, h.zero_threshold, h.zero_count});
  for (const HistogramBucket& b : h.positive) {
    const double lower = bucket_bound(b.index - 1, h.schema, h.custom_bounds);
    out.push_back({lower > 0 && lower < h.zero_threshold ? h.zero_threshold : lower,
                   bucket_bound(b.index, h.schema, h.custom_bounds), b.count});
  }
  return out;
}

double fraction_below(const BucketRange& bucket, double value, bool linear) {
  if (linear) return (value - bucket.lower) / (bucket.upper - bucket.lower);
  const double lower = std::log2(std::fabs(bucket.lower)), upper = std::log2(std::fabs(bucket.upper));
  const double at = std::log2(std::fabs(value));
  return value > 0 ? (at - lower) / (upper - lower) : 1 - (at - upper) / (lower - upper);
}

void scale(FloatHistogram& h, double factor) {
  h.zero_count *= factor;
  h.count *= factor;
  h.sum *= factor;
  for (HistogramBucket& b : h.positive) b.count *= factor;
  for (HistogramBucket& b : h.negative) b.count *= factor;
  if (factor < 0) h.hint = ResetHint::gauge;
}

void divide(FloatHistogram& h, double divisor) {
  h.zero_count /= divisor;
  h.count /= divisor;
  h.sum /= divisor;
  if (divisor == 0) {
    h.positive.clear();
    h.negative.clear();
    return;
  }
  for (HistogramBucket& b : h.positive) b.count /= divisor;
  for (HistogramBucket& b : h.negative) b.count /= divisor;
  if (divisor < 0) h.hint = ResetHint::gauge;
}

void compact(FloatHistogram& h) {
  const auto is_empty = [](const HistogramBucket& b) { return b.count == 0; };
  std::erase_if(h.positive, is_empty);
  std::erase_if(h.negative, is_empty);
}

bool has_overflow(const FloatHistogram& h) {
  const auto overflows = [](const HistogramBucket& b) { return std::isinf(b.count); };
  return std::isinf(h.zero_count) || std::isinf(h.count) || std::isinf(h.sum) ||
         std::any_of(h.positive.begin(), h.positive.end(), overflows) ||
         std::any_of(h.negative.begin(), h.negative.end(), overflows);
}

bool equals(const FloatHistogram& a, const FloatHistogram& b) {
  return a.schema == b.schema && same_bits(a.count, b.count) && same_bits(a.sum, b.sum) &&
         (!a.has_custom_bounds() || a.custom_bounds == b.custom_bounds) && a.zero_threshold == b.zero_threshold &&
         same_bits(a.zero_count, b.zero_count) && same_buckets(a.positive, b.positive) &&
         same_buckets(a.negative, b.negative);
}

Result<void> validate(const FloatHistogram& h) {
  if (h.has_custom_bounds()) {
    if (h.zero_count != 0 || h.zero_threshold != 0 || !h.negative.empty())
      return Error{ErrorCode::invalid, "custom buckets: no zero bucket and no negative buckets are allowed"};
    if (!std::is_sorted(h.custom_bounds.begin(), h.custom_bounds.end(), std::less_equal<>()))
      return Error{ErrorCode::invalid, "custom buckets: the bounds are not in ascending order"};
    if (!h.positive.empty() && static_cast<std::size_t>(h.positive.back().index) > h.custom_bounds.size())
      return Error{ErrorCode::invalid, "custom buckets: a bucket lies beyond the bounds"};
  } else if (h.schema < -4 || h.schema > 8) {
    return Error{ErrorCode::invalid, "histogram has an unknown schema " + std::to_string(h.schema)};
  } else if (!h.custom_bounds.empty()) {
    return Error{ErrorCode::invalid, "histogram with exponential schema must not have custom bounds"};
  }
  if (h.zero_count < 0) return Error{ErrorCode::invalid, "zero bucket has a negative observation count"};
  if (h.count < 0) return Error{ErrorCode::invalid, "observation count is negative"};
  TRY(check_counts(h.positive, "positive"));
  return check_counts(h.negative, "negative");
}

std::string histogram_string(const FloatHistogram& h) {
  std::string out = "{count:" + format_general(h.count) + ", sum:" + format_general(h.sum);
  for (auto b = h.negative.rbegin(); b != h.negative.rend(); ++b)
    if (b->count != 0)
      out += ", " +
             range_string({-bucket_bound(b->index, h.schema, {}), -bucket_bound(b->index - 1, h.schema, {}), b->count},
                          true, false);
  if (h.zero_count != 0) out += ", " + range_string({-h.zero_threshold, h.zero_threshold, h.zero_count}, true, true);
  for (const HistogramBucket& b : h.positive)
    if (b.count != 0)
      out += ", " + range_string({bucket_bound(b.index - 1, h.schema, h.custom_bounds),
                                  bucket_bound(b.index, h.schema, h.custom_bounds), b.count},
                                 h.has_custom_bounds() && b.index == 0, true);
  return out + "}";
}

}  // namespace caisson::metrics
