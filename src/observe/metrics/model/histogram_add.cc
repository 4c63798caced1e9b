// SPDX-License-Identifier: Apache-2.0
// Sums and differences: the zero buckets are widened to the wider one, the resolution is lowered to the lower one,
// custom bounds are reduced to the common ones, then the buckets are merged by index. One algorithm, with and without
// compensation.
#include <algorithm>
#include <cmath>
#include <limits>

#include "observe/metrics/model/histogram.h"

namespace caisson::metrics {
namespace histogram_detail {

std::int32_t target_index(std::int32_t index, std::int32_t from_schema, std::int32_t to_schema) {
  return ((index - 1) >> (from_schema - to_schema)) + 1;
}

std::vector<double> common_bounds(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> common;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(common));
  return common;
}

std::int32_t index_in(const std::vector<double>& bounds, const std::vector<double>& from, std::int32_t index) {
  if (static_cast<std::size_t>(index) >= from.size()) return static_cast<std::int32_t>(bounds.size());
  return static_cast<std::int32_t>(std::lower_bound(bounds.begin(), bounds.end(), from[index]) - bounds.begin());
}

}  // namespace histogram_detail

namespace {

using namespace histogram_detail;

// A bucket with what its sum lost to rounding.
struct ExactBucket {
  std::int32_t index;
  KahanSum count;
};
using ExactBuckets = std::vector<ExactBucket>;

// A histogram under summation: `lost` is null in plain additions, where nothing is compensated.
struct Operand {
  FloatHistogram& h;
  FloatHistogram* lost;
};

void accumulate(ExactBucket& into, const KahanSum& count, bool compensate) {
  if (!compensate) {
    into.count.sum += count.sum;
    return;
  }
  into.count.add(count.sum);
  if (count.lost != 0) into.count.add(count.lost);
}

ExactBuckets exact(const HistogramBuckets& buckets, const HistogramBuckets* lost) {
  ExactBuckets out;
  out.reserve(buckets.size());
  for (std::size_t i = 0; i < buckets.size(); ++i)
    out.push_back({buckets[i].index, {buckets[i].count, lost ? (*lost)[i].count : 0}});
  return out;
}

void store(const ExactBuckets& from, HistogramBuckets& buckets, HistogramBuckets* lost) {
  buckets.clear();
  if (lost) lost->clear();
  for (const ExactBucket& b : from) {
    buckets.push_back({b.index, b.count.sum});
    if (lost) lost->push_back({b.index, b.count.lost});
  }
}

// Moves every bucket to index `to(index)`, which must not decrease.
template <class To>
ExactBuckets moved(const ExactBuckets& buckets, bool compensate, To to) {
  ExactBuckets out;
  for (const ExactBucket& b : buckets) {
    const std::int32_t index = to(b.index);
    if (!out.empty() && out.back().index == index)
      accumulate(out.back(), b.count, compensate);
    else
      out.push_back({index, b.count});
  }
  return out;
}

ExactBuckets merged(const ExactBuckets& a, const ExactBuckets& b, bool negate, bool compensate) {
  ExactBuckets out;
  out.reserve(a.size() + b.size());
  auto i = a.begin();
  for (const ExactBucket& other : b) {
    while (i != a.end() && i->index < other.index) out.push_back(*i++);
    const KahanSum count = negate ? KahanSum{-other.count.sum, -other.count.lost} : other.count;
    if (i != a.end() && i->index == other.index) {
      out.push_back(*i++);
      accumulate(out.back(), count, compensate);
    } else {
      out.push_back({other.index, count});
    }
  }
  out.insert(out.end(), i, a.end());
  return out;
}

// The zero count after widening to at least `threshold`, which grows to the end of a bucket that it would cut.
KahanSum widened_zero(const FloatHistogram& h, const FloatHistogram* lost, double& threshold) {
  KahanSum zero{h.zero_count, lost ? lost->zero_count : 0};
  if (threshold == h.zero_threshold) return zero;
  // Takes in the buckets of one side; true when it moved the threshold outward.
  const auto take = [&](const HistogramBuckets& buckets, const HistogramBuckets* rests) {
    for (std::size_t i = 0; i < buckets.size(); ++i) {
      if (bucket_bound(buckets[i].index - 1, h.schema, {}) >= threshold) return false;
      zero.add(buckets[i].count);
      if (rests) zero.add((*rests)[i].count);
      const double outer = bucket_bound(buckets[i].index, h.schema, {});
      if (outer > threshold) {
        if (buckets[i].count == 0) return false;
        threshold = outer;
        return true;
      }
    }
    return false;
  };
  do {
    zero = {h.zero_count, zero.lost};
    take(h.positive, lost ? &lost->positive : nullptr);
  } while (take(h.negative, lost ? &lost->negative : nullptr));
  return zero;
}

void drop_within_zero(HistogramBuckets& buckets, HistogramBuckets* lost, const FloatHistogram& h) {
  std::size_t within = 0;
  while (within < buckets.size() && bucket_bound(buckets[within].index - 1, h.schema, {}) < h.zero_threshold) ++within;
  buckets.erase(buckets.begin(), buckets.begin() + within);
  if (lost) lost->erase(lost->begin(), lost->begin() + within);
}

// Brings both to one zero threshold. Returns the zero count of `other` at that threshold.
KahanSum reconcile_zero(Operand a, const FloatHistogram& other) {
  KahanSum count{other.zero_count, 0};
  double threshold = other.zero_threshold;
  while (threshold != a.h.zero_threshold) {
    if (a.h.zero_threshold > threshold) {
      threshold = a.h.zero_threshold;
      count = widened_zero(other, nullptr, threshold);
    }
    if (threshold > a.h.zero_threshold) {
      const KahanSum zero = widened_zero(a.h, a.lost, threshold);
      a.h.zero_count = zero.sum;
      if (a.lost) a.lost->zero_count = zero.lost;
      a.h.zero_threshold = threshold;
      drop_within_zero(a.h.positive, a.lost ? &a.lost->positive : nullptr, a.h);
      drop_within_zero(a.h.negative, a.lost ? &a.lost->negative : nullptr, a.h);
    }
  }
  return count;
}

bool adjust_hint(FloatHistogram& h, const FloatHistogram& other) {
  if (other.hint == h.hint || h.hint == ResetHint::gauge) return false;
  if (other.hint == ResetHint::gauge) {
    h.hint = ResetHint::gauge;
    return false;
  }
  const bool collision = h.hint != ResetHint::unknown && other.hint != ResetHint::unknown;
  h.hint = ResetHint::unknown;
  return collision;
}

void combine_number(double& into, double* lost, KahanSum value, bool negate) {
  if (negate) value = {-value.sum, -value.lost};
  if (!lost) {
    into += value.sum;
    return;
  }
  KahanSum total{into, *lost};
  total.add(value.sum);
  if (value.lost != 0) total.add(value.lost);
  into = total.sum;
  *lost = total.lost;
}

void combine_custom(Operand a, const FloatHistogram& b, bool negate, HistogramNotes& notes) {
  ExactBuckets mine = exact(a.h.positive, a.lost ? &a.lost->positive : nullptr);
  ExactBuckets theirs = exact(b.positive, nullptr);
  const bool same_bounds = a.h.custom_bounds == b.custom_bounds;
  if (!same_bounds) {
    notes.bounds_reconciled = true;
    const std::vector<double> bounds = common_bounds(a.h.custom_bounds, b.custom_bounds);
    mine = moved(mine, true, [&](std::int32_t i) { return index_in(bounds, a.h.custom_bounds, i); });
    theirs = moved(theirs, true, [&](std::int32_t i) { return index_in(bounds, b.custom_bounds, i); });
    a.h.custom_bounds = bounds;
    if (a.lost) a.lost->custom_bounds = bounds;
  }
  ExactBuckets sum = merged(mine, theirs, negate, a.lost != nullptr || !same_bounds);
  if (!same_bounds) std::erase_if(sum, [](const ExactBucket& x) { return x.count.sum == 0 && x.count.lost == 0; });
  store(sum, a.h.positive, a.lost ? &a.lost->positive : nullptr);
}

void combine_side(HistogramBuckets& mine, HistogramBuckets* lost, std::int32_t my_schema, const HistogramBuckets& other,
                  std::int32_t other_schema, double zero_threshold, bool negate) {
  const std::int32_t schema = std::min(my_schema, other_schema);
  const auto at_schema = [&](const ExactBuckets& buckets, std::int32_t from) {
    if (from == schema) return buckets;
    return moved(buckets, lost != nullptr, [&](std::int32_t i) { return target_index(i, from, schema); });
  };
  ExactBuckets theirs = at_schema(exact(other, nullptr), other_schema);
  std::size_t within = 0;  // already in the zero bucket
  while (within < theirs.size() && bucket_bound(theirs[within].index, schema, {}) <= zero_threshold) ++within;
  theirs.erase(theirs.begin(), theirs.begin() + within);
  store(merged(at_schema(exact(mine, lost), my_schema), theirs, negate, lost != nullptr), mine, lost);
}

Result<HistogramNotes> combine(Operand a, const FloatHistogram& b, bool negate) {
  if (a.h.has_custom_bounds() != b.has_custom_bounds())
    return Error{ErrorCode::invalid,
                 "cannot apply this operation on histograms with a mix of exponential and custom bucket schemas"};
  HistogramNotes notes;
  notes.reset_collision = adjust_hint(a.h, b);
  if (!a.h.has_custom_bounds())
    combine_number(a.h.zero_count, a.lost ? &a.lost->zero_count : nullptr, reconcile_zero(a, b), negate);
  combine_number(a.h.count, a.lost ? &a.lost->count : nullptr, {b.count, 0}, negate);
  combine_number(a.h.sum, a.lost ? &a.lost->sum : nullptr, {b.sum, 0}, negate);
  if (a.h.has_custom_bounds()) {
    combine_custom(a, b, negate, notes);
    return notes;
  }
  combine_side(a.h.positive, a.lost ? &a.lost->positive : nullptr, a.h.schema, b.positive, b.schema, a.h.zero_threshold,
               negate);
  combine_side(a.h.negative, a.lost ? &a.lost->negative : nullptr, a.h.schema, b.negative, b.schema, a.h.zero_threshold,
               negate);
  a.h.schema = std::min(a.h.schema, b.schema);
  if (a.lost) {
    a.lost->schema = a.h.schema;
    a.lost->zero_threshold = a.h.zero_threshold;
  }
  return notes;
}

}  // namespace

Result<HistogramNotes> add(FloatHistogram& a, const FloatHistogram& b) {
  return combine({a, nullptr}, b, false);
}
Result<HistogramNotes> subtract(FloatHistogram& a, const FloatHistogram& b) {
  return combine({a, nullptr}, b, true);
}

void reduce_resolution(FloatHistogram& h, std::int32_t schema) {
  for (HistogramBuckets* side : {&h.positive, &h.negative})
    store(moved(exact(*side, nullptr), false, [&](std::int32_t i) { return target_index(i, h.schema, schema); }), *side,
          nullptr);
  h.schema = schema;
}

HistogramSum::HistogramSum(const FloatHistogram& first) : sum(first), lost(first) {
  lost.count = lost.sum = lost.zero_count = 0;
  for (HistogramBucket& b : lost.positive) b.count = 0;
  for (HistogramBucket& b : lost.negative) b.count = 0;
}

Result<HistogramNotes> HistogramSum::add(const FloatHistogram& other) {
  return combine({sum, &lost}, other, false);
}

void HistogramSum::scale(double factor) {
  metrics::scale(sum, factor);
  metrics::scale(lost, factor);
}

void HistogramSum::divide(double divisor) {
  metrics::divide(sum, divisor);
  metrics::divide(lost, divisor);
}

FloatHistogram HistogramSum::value() const {
  FloatHistogram total = sum;
  total.count += lost.count;
  total.sum += lost.sum;
  total.zero_count += lost.zero_count;
  for (std::size_t i = 0; i < total.positive.size(); ++i) total.positive[i].count += lost.positive[i].count;
  for (std::size_t i = 0; i < total.negative.size(); ++i) total.negative[i].count += lost.negative[i].count;
  return total;
}

}  // namespace caisson::metrics
