// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/promql/histogram_quantile.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace caisson::metrics::promql {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kSmallDelta = 1e-12;  // differences that are the rounding of a rate
const double kNan = std::nan("");

bool almost_equal(double a, double b) {
  if (a == b || (std::isnan(a) && std::isnan(b))) return true;
  const double sum = std::fabs(a) + std::fabs(b), difference = std::fabs(a - b);
  constexpr double kLeastNormal = std::numeric_limits<double>::min();
  if (a == 0 || b == 0 || sum < kLeastNormal) return difference < kSmallDelta * kLeastNormal;
  return difference / std::min(sum, std::numeric_limits<double>::max()) < kSmallDelta;
}

// Sorted, one per bound. False without +Inf.
bool arrange(std::vector<ClassicBucket>& buckets) {
  const auto lower = [](const ClassicBucket& a, const ClassicBucket& b) { return a.upper < b.upper; };
  if (!std::is_sorted(buckets.begin(), buckets.end(), lower)) std::stable_sort(buckets.begin(), buckets.end(), lower);
  if (buckets.empty() || buckets.back().upper != kInfinity) return false;
  std::size_t kept = 0;
  for (std::size_t i = 1; i < buckets.size(); ++i) {
    if (buckets[i].upper == buckets[kept].upper)
      buckets[kept].count += buckets[i].count;
    else
      buckets[++kept] = buckets[i];
  }
  buckets.resize(kept + 1);
  return true;
}

Monotonicity make_monotonic(std::vector<ClassicBucket>& buckets) {
  Monotonicity repaired{false, kInfinity, -kInfinity, 0};
  double previous = buckets[0].count;
  for (std::size_t i = 1; i < buckets.size(); ++i) {
    const double current = buckets[i].count;
    if (current == previous) continue;
    if (almost_equal(previous, current)) {
      buckets[i].count = previous;
    } else if (current < previous) {
      buckets[i].count = previous;
      repaired = {true, std::min(repaired.lowest, buckets[i].upper), std::max(repaired.highest, buckets[i].upper),
                  std::max(repaired.difference, previous - current)};
    } else {
      previous = current;
    }
  }
  return repaired;
}

// The rank of two values among cumulated counts; each is set at the first bucket that reaches it.
struct Ranks {
  double lower_at, upper_at;
  double lower_rank = 0, upper_rank = 0;
  bool has_lower = false, has_upper = false;

  bool done() const { return has_lower && has_upper; }
  void begin(double bound, double rank) {
    if (!has_lower && bound >= lower_at) lower_rank = rank, has_lower = true;
    if (!has_upper && bound >= upper_at) upper_rank = rank, has_upper = true;
  }
  template <class RankAt>
  void within(double from, double to, RankAt rank_at) {
    if (!has_lower && from < lower_at && to > lower_at) lower_rank = rank_at(lower_at), has_lower = true;
    if (!has_upper && from < upper_at && to > upper_at) upper_rank = rank_at(upper_at), has_upper = true;
  }
  double between(double count) const {
    const double low = !has_lower || lower_rank > count ? count : lower_rank;
    const double high = !has_upper || upper_rank > count ? count : upper_rank;
    return high - low;
  }
};

// One-sided histograms have nothing beyond zero: their zero bucket ends there.
void cut_zero_bucket(BucketRange& b, const FloatHistogram& h) {
  if (h.negative.empty() && !h.positive.empty())
    b.lower = 0;
  else if (h.positive.empty() && !h.negative.empty())
    b.upper = 0;
}

}  // namespace

double classic_quantile(double q, std::vector<ClassicBucket>& buckets, Monotonicity& repaired) {
  if (std::isnan(q)) return kNan;
  if (q < 0) return -kInfinity;
  if (q > 1) return kInfinity;
  if (!arrange(buckets)) return kNan;
  repaired = make_monotonic(buckets);
  if (buckets.size() < 2 || buckets.back().count == 0) return kNan;
  double rank = q * buckets.back().count;
  std::size_t b = 0;
  {
    std::size_t high = buckets.size() - 1;  // binary search, as NaN counts decide the same way then
    while (b < high) {
      const std::size_t middle = (b + high) / 2;
      if (buckets[middle].count >= rank)
        high = middle;
      else
        b = middle + 1;
    }
  }
  if (b == buckets.size() - 1) return buckets[b - 1].upper;
  if (b == 0 && buckets[0].upper <= 0) return buckets[0].upper;
  const double start = b == 0 ? 0 : buckets[b - 1].upper, before = b == 0 ? 0 : buckets[b - 1].count;
  const double end = buckets[b].upper, count = buckets[b].count - before;
  rank -= before;
  return start + (end - start) * (rank / count);
}

double classic_fraction(double lower, double upper, std::vector<ClassicBucket>& buckets) {
  if (!arrange(buckets)) return kNan;
  const double count = buckets.back().count;
  if (count == 0 || std::isnan(lower) || std::isnan(upper)) return kNan;
  if (lower >= upper) return 0;
  Ranks ranks{lower, upper};
  double rank = 0, bound = buckets[0].upper <= 0 ? -kInfinity : 0;
  for (const ClassicBucket& b : buckets) {
    ranks.begin(bound, rank);
    if (ranks.done()) break;
    ranks.within(bound, b.upper, [&](double v) {
      return bound == -kInfinity ? b.count : rank + (b.count - rank) * (v - bound) / (b.upper - bound);
    });
    if (ranks.done()) break;
    rank = b.count;
    bound = b.upper;
  }
  return ranks.between(count) / count;
}

double native_quantile(double q, const FloatHistogram& h, NanNote& note) {
  if (q < 0) return -kInfinity;
  if (q > 1) return kInfinity;
  if (h.count == 0 || std::isnan(q)) return kNan;
  // Counted from the nearer end, unless NaN observations (which only the sum shows) stand beyond the upper one.
  const bool has_nan = std::isnan(h.sum), from_below = has_nan || q < 0.5;
  std::vector<BucketRange> buckets = buckets_ascending(h);
  if (!from_below) std::reverse(buckets.begin(), buckets.end());
  double rank = (from_below ? q : 1 - q) * h.count, count = 0;
  BucketRange b{0, 0, 0};
  std::size_t i = 0;
  for (; i < buckets.size(); ++i) {
    b = buckets[i];
    if (b.count == 0) continue;
    count += b.count;
    if (count >= rank) {
      ++i;
      break;
    }
  }
  if (h.has_custom_bounds()) {
    if (b.lower == -kInfinity) {
      if (b.upper <= 0) return b.upper;
      b.lower = 0;
    } else if (b.upper == kInfinity) {
      return b.lower;
    }
  } else if (b.lower < 0 && b.upper > 0) {
    cut_zero_bucket(b, h);
  }
  count = std::min(count, h.count);
  if (count < rank) {
    if (!has_nan) return b.upper;
    note = NanNote::result_is_nan;
    return kNan;
  }
  rank = from_below ? rank - (count - b.count) : count - rank;
  if (has_nan) {
    for (; i < buckets.size(); ++i) count += buckets[i].count;
    if (count < h.count) note = NanNote::skewed_higher;
  }
  const double fraction = rank / b.count;
  if (h.has_custom_bounds() || (b.lower <= 0 && b.upper >= 0)) return b.lower + (b.upper - b.lower) * fraction;
  const double lower = std::log2(std::fabs(b.lower)), upper = std::log2(std::fabs(b.upper));
  if (b.lower > 0) return std::exp2(lower + (upper - lower) * fraction);
  return -std::exp2(upper + (lower - upper) * (1 - fraction));
}

double native_fraction(double lower, double upper, const FloatHistogram& h, NanNote& note) {
  if (h.count == 0 || std::isnan(lower) || std::isnan(upper)) return kNan;
  if (lower >= upper) return 0;
  Ranks ranks{lower, upper};
  const std::vector<BucketRange> buckets = buckets_ascending(h);
  double rank = 0, total = 0;
  for (const BucketRange& b : buckets) total += b.count;
  for (BucketRange b : buckets) {
    const bool zero = !h.has_custom_bounds() && b.lower <= 0 && b.upper >= 0;
    if (zero) cut_zero_bucket(b, h);
    if (h.has_custom_bounds() && b.lower == -kInfinity && b.upper > 0) b.lower = 0;
    ranks.begin(b.lower, rank);
    if (ranks.done()) break;
    const bool linear = zero || h.has_custom_bounds();
    ranks.within(b.lower, b.upper, [&](double v) {
      if (linear && b.lower == -kInfinity) return b.count;
      return rank + b.count * fraction_below(b, v, linear);
    });
    if (ranks.done()) break;
    rank += b.count;
  }
  if (!std::isnan(h.sum)) return ranks.between(h.count) / h.count;
  if (total < h.count) note = NanNote::excluded;
  return ranks.between(total) / h.count;
}

}  // namespace caisson::metrics::promql
