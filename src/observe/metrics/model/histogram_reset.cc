// SPDX-License-Identifier: Apache-2.0
// Counter resets: some bucket, or the whole count, is smaller than it was; or a bucket of before cannot be told any
// more, because the layout became finer.
#include <algorithm>

#include "observe/metrics/model/histogram.h"

namespace caisson::metrics {
namespace {

using namespace histogram_detail;

// Whether some bucket of `previous` has shrunk. Both ordered by index.
bool any_shrank(const HistogramBuckets& now, const HistogramBuckets& previous) {
  auto i = now.begin();
  for (const HistogramBucket& old : previous) {
    while (i != now.end() && i->index < old.index) ++i;
    const bool present = i != now.end() && i->index == old.index;
    if (present ? i->count < old.count : old.count != 0) return true;
  }
  return false;
}

// At `schema`, without the buckets that end at or below `threshold`.
HistogramBuckets beyond(const HistogramBuckets& buckets, std::int32_t from, std::int32_t schema, double threshold) {
  HistogramBuckets out;
  for (const HistogramBucket& b : buckets) {
    const std::int32_t index = from == schema ? b.index : target_index(b.index, from, schema);
    if (out.empty() && threshold != 0 && bucket_bound(index, schema, {}) <= threshold) continue;
    if (!out.empty() && out.back().index == index)
      out.back().count += b.count;
    else
      out.push_back({index, b.count});
  }
  return out;
}

HistogramBuckets at_bounds(const FloatHistogram& h, const std::vector<double>& bounds) {
  HistogramBuckets out;
  for (const HistogramBucket& b : h.positive) {
    const std::int32_t index = index_in(bounds, h.custom_bounds, b.index);
    if (!out.empty() && out.back().index == index)
      out.back().count += b.count;
    else
      out.push_back({index, b.count});
  }
  return out;
}

// The zero count of `h` if its zero bucket ended at `threshold`; nothing when that would cut a bucket with
// observations.
bool zero_count_at(const FloatHistogram& h, double threshold, double& zero) {
  KahanSum count{h.zero_count, 0};
  if (threshold != h.zero_threshold) {
    for (const HistogramBuckets* side : {&h.positive, &h.negative}) {
      for (const HistogramBucket& b : *side) {
        if (bucket_bound(b.index - 1, h.schema, {}) >= threshold) break;
        count.add(b.count);
        if (bucket_bound(b.index, h.schema, {}) <= threshold) continue;
        if (b.count != 0) return false;
        break;
      }
    }
  }
  zero = count.sum;
  return true;
}

}  // namespace

bool detect_reset(const FloatHistogram& h, const FloatHistogram& previous) {
  if (h.hint == ResetHint::reset) return true;
  if (h.hint == ResetHint::not_reset) return false;
  if (h.count < previous.count) return true;
  if (h.has_custom_bounds()) {
    if (!previous.has_custom_bounds()) return true;
    const std::vector<double> bounds = common_bounds(h.custom_bounds, previous.custom_bounds);
    return any_shrank(at_bounds(h, bounds), at_bounds(previous, bounds));
  }
  if (h.schema > previous.schema || h.zero_threshold < previous.zero_threshold) return true;
  double previous_zero = 0;
  if (!zero_count_at(previous, h.zero_threshold, previous_zero) || h.zero_count < previous_zero) return true;
  const auto shrank = [&](const HistogramBuckets& now, const HistogramBuckets& before) {
    return any_shrank(beyond(now, h.schema, h.schema, h.zero_threshold),
                      beyond(before, previous.schema, h.schema, h.zero_threshold));
  };
  return shrank(h.positive, previous.positive) || shrank(h.negative, previous.negative);
}

}  // namespace caisson::metrics
