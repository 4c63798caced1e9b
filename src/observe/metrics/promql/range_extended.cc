// SPDX-License-Identifier: Apache-2.0
// rate, increase and delta of anchored and smoothed range selectors: the values at both ends of the range are taken
// from the sample before (anchored) or interpolated (smoothed), so that nothing is extrapolated.
#include <algorithm>

#include "observe/metrics/promql/range_function.h"

namespace caisson::metrics::promql {
namespace {

// The samples that count: from the last at or before the start to the first at or after the end.
struct Extent {
  std::size_t first;
  std::size_t last;
};

template <class Point>
Extent extent_of(std::span<const Point> points, std::int64_t start, std::int64_t end, bool smoothed) {
  std::size_t last = points.size() - 1, after = 0;
  while (after < last && points[after].t <= start) ++after;
  if (smoothed) {
    std::size_t reached = 0;
    while (reached < last && points[reached].t < end) ++reached;
    last = reached;
  }
  return {after == 0 ? 0 : after - 1, last};
}

double left_value(std::span<const FloatPoint> points, std::size_t first, std::int64_t start, bool smoothed,
                  bool is_counter) {
  if (points[first].t >= start || !smoothed) return points[first].v;
  return interpolated(points[first], points[first + 1], start, is_counter);
}

double right_value(std::span<const FloatPoint> points, std::size_t last, std::int64_t end, bool smoothed,
                   bool is_counter) {
  if (points[last].t <= end || last == 0) return points[last].v;
  return smoothed ? interpolated(points[last - 1], points[last], end, is_counter) : points[last - 1].v;
}

double lost_in_resets(std::span<const FloatPoint> between, double left, double right) {
  double lost = 0, previous = left;
  for (const FloatPoint& p : between) {
    if (p.v < previous) lost += previous;
    previous = p.v;
  }
  return right < previous ? lost + previous : lost;
}

void extended_floats_rate(const RangeInput& in, bool is_counter, bool is_rate, RangeValue& out) {
  const auto points = in.floats;
  const Extent extent = extent_of(points, in.range_start, in.range_end, in.smoothed);
  if (points[extent.last].t <= in.range_start) return;
  if (in.smoothed && points[extent.first].t > in.range_end) return;
  const double left = left_value(points, extent.first, in.range_start, in.smoothed, is_counter);
  const double right = right_value(points, extent.last, in.range_end, in.smoothed, is_counter);
  double value = right - left;
  if (is_counter) {
    const std::size_t begin = extent.first + (points[extent.first].t <= in.range_start ? 1 : 0);
    const std::size_t end = extent.last + (points[extent.last].t >= in.range_end ? 0 : 1);
    value += lost_in_resets(begin < end ? points.subspan(begin, end - begin) : points.first(0), left, right);
  }
  out.set(is_rate ? value / in.range_seconds : value);
}

// Adds or subtracts with notes; false when the two do not go together.
bool combine(const RangeInput& in, FloatHistogram& into, const FloatHistogram& other, bool plus) {
  const auto notes = plus ? add(into, other) : subtract(into, other);
  if (!notes.ok()) {
    in.notes->mixed_exponential_custom(in.metric, in.at);
    return false;
  }
  if (notes->bounds_reconciled) in.notes->bounds_reconciled(plus ? "addition" : "subtraction", in.at);
  return true;
}

bool add_lost_in_resets(const RangeInput& in, const Extent& extent, const FloatHistogram& left,
                        const FloatHistogram& right, FloatHistogram& result) {
  const auto points = in.histograms;
  const FloatHistogram* previous = &left;
  std::size_t begin = extent.first + 1;
  if (in.smoothed && points[extent.first].t < in.range_start &&
      detect_reset(*points[extent.first + 1].h, *points[extent.first].h)) {
    previous = points[extent.first + 1].h.get();
    ++begin;
  }
  if (begin > extent.last) return true;
  FloatHistogram lost;
  bool any = false;
  const auto lose = [&](const FloatHistogram& h) {
    if (any) return combine(in, lost, h, true);
    any = true;
    lost = h;
    return true;
  };
  for (std::size_t i = begin; i < extent.last; ++i) {
    if (detect_reset(*points[i].h, *previous) && !lose(*previous)) return false;
    previous = points[i].h.get();
  }
  if (detect_reset(right, *previous) && !lose(*previous)) return false;
  return !any || combine(in, result, lost, true);
}

bool go_together(const RangeInput& in, std::span<const HistogramPoint> points, bool is_counter) {
  for (const HistogramPoint& p : points) {
    if (p.h->has_custom_bounds() != points[0].h->has_custom_bounds()) {
      in.notes->mixed_exponential_custom(in.metric, in.at);
      return false;
    }
    if (is_counter && p.h->hint == ResetHint::gauge) in.notes->not_a_counter(in.metric, in.at);
  }
  return true;
}

void extended_histogram_rate(const RangeInput& in, bool is_counter, bool is_rate, RangeValue& out) {
  const auto points = in.histograms;
  const Extent extent = extent_of(points, in.range_start, in.range_end, in.smoothed);
  if (points[extent.last].t <= in.range_start) return;
  if (in.smoothed && points[extent.first].t > in.range_end) return;
  if (!go_together(in, points.subspan(extent.first, extent.last - extent.first + 1), is_counter)) return;
  const bool left_between = in.smoothed && points[extent.first].t < in.range_start;
  const bool right_between = in.smoothed && extent.last > 0 && points[extent.last].t > in.range_end;
  const auto left = left_between ? interpolated(points[extent.first], points[extent.first + 1], in.range_start,
                                                is_counter, *in.notes, in.at)
                                 : Result<FloatHistogram>(*points[extent.first].h);
  const auto right = right_between ? interpolated(points[extent.last - 1], points[extent.last], in.range_end,
                                                  is_counter, *in.notes, in.at)
                                   : Result<FloatHistogram>(*points[extent.last].h);
  if (!left.ok() || !right.ok()) return in.notes->mixed_exponential_custom(in.metric, in.at);
  if (!is_counter && (left->hint != ResetHint::gauge || right->hint != ResetHint::gauge))
    in.notes->not_a_gauge(in.metric, in.at);
  FloatHistogram result = *right;
  if (!combine(in, result, *left, false)) return;
  if (is_counter && !add_lost_in_resets(in, extent, *left, *right, result)) return;
  if (is_rate) divide(result, in.range_seconds);
  result.hint = ResetHint::gauge;
  compact(result);
  out.set(std::move(result));
}

}  // namespace

double interpolated(const FloatPoint& a, const FloatPoint& b, std::int64_t t, bool is_counter) {
  const double from = is_counter && b.v < a.v ? 0 : a.v;
  return from + (b.v - from) * static_cast<double>(t - a.t) / static_cast<double>(b.t - a.t);
}

Result<FloatHistogram> interpolated(const HistogramPoint& a, const HistogramPoint& b, std::int64_t t, bool is_counter,
                                    Annotations& notes, PositionRange at) {
  if (t == a.t) return *a.h;
  FloatHistogram result = *b.h;
  if (t == b.t) return result;
  const double fraction = static_cast<double>(t - a.t) / static_cast<double>(b.t - a.t);
  if (is_counter && detect_reset(*b.h, *a.h)) {
    scale(result, fraction);
    return result;
  }
  if (TRY(subtract(result, *a.h)).bounds_reconciled) notes.bounds_reconciled("subtraction", at);
  scale(result, fraction);
  if (TRY(add(result, *a.h)).bounds_reconciled) notes.bounds_reconciled("addition", at);
  return result;
}

void extended_rate(const RangeInput& in, bool is_counter, bool is_rate, RangeValue& out) {
  if (!in.histograms.empty())
    extended_histogram_rate(in, is_counter, is_rate, out);
  else if (!in.floats.empty())
    extended_floats_rate(in, is_counter, is_rate, out);
}

std::vector<FloatPoint> extended_floats(std::span<const FloatPoint> floats, std::int64_t start, std::int64_t end,
                                        bool smoothed) {
  if (floats.empty()) return {};
  const Extent extent = extent_of(floats, start, end, smoothed);
  if (floats[extent.last].t <= start) return {};
  std::vector<FloatPoint> out{{start, left_value(floats, extent.first, start, smoothed, false)}};
  for (std::size_t i = extent.first; i <= extent.last; ++i)
    if (floats[i].t > start && floats[i].t < end) out.push_back(floats[i]);
  out.push_back({end, right_value(floats, extent.last, end, smoothed, false)});
  return out;
}

}  // namespace caisson::metrics::promql
