// SPDX-License-Identifier: Apache-2.0
// rate, increase and delta: the difference over the samples of the range, extrapolated to its ends where the series
// seems to go on there; irate and idelta: the difference of the last two samples.
#include <algorithm>

#include "observe/metrics/promql/range_function.h"

namespace caisson::metrics::promql {
namespace {

// Of histograms: last - first, plus what each reset lost. False when the samples do not go together.
bool histogram_increase(const RangeInput& in, bool is_counter, FloatHistogram& out) {
  const auto points = in.histograms;
  const FloatHistogram* first = points.front().h.get();
  const FloatHistogram& last = *points.back().h;
  if (is_counter && (first->hint == ResetHint::gauge || last.hint == ResetHint::gauge))
    in.notes->not_a_counter(in.metric, in.at);
  FloatHistogram empty;  // what a counter that was reset before the second sample began with
  bool custom = first->has_custom_bounds();
  if (is_counter && detect_reset(*points[1].h, *first)) {
    empty.schema = points[1].h->schema;
    empty.custom_bounds = points[1].h->custom_bounds;
    custom = points[1].h->has_custom_bounds();
    first = &empty;
  }
  if (last.has_custom_bounds() != custom) {
    in.notes->mixed_exponential_custom(in.metric, in.at);
    return false;
  }
  std::int32_t schema = std::min(last.schema, first->schema);
  if (is_counter) {
    for (const HistogramPoint& p : points.subspan(1, points.size() - 2)) {
      if (p.h->hint == ResetHint::gauge) in.notes->not_a_counter(in.metric, in.at);
      schema = std::min(schema, p.h->schema);
      if (p.h->has_custom_bounds() != custom) {
        in.notes->mixed_exponential_custom(in.metric, in.at);
        return false;
      }
    }
  }
  out = last;
  if (!custom && schema < out.schema) reduce_resolution(out, schema);
  const auto combine = [&](const FloatHistogram& other, bool plus) {
    const auto notes = plus ? add(out, other) : subtract(out, other);
    if (!notes.ok()) {
      in.notes->mixed_exponential_custom(in.metric, in.at);
      return false;
    }
    if (notes->bounds_reconciled) in.notes->bounds_reconciled(plus ? "addition" : "subtraction", in.at);
    return true;
  };
  if (!combine(*first, false)) return false;
  if (is_counter) {
    const FloatHistogram* previous = first;
    for (const HistogramPoint& p : points.subspan(1)) {
      if (detect_reset(*p.h, *previous) && !combine(*previous, true)) return false;
      previous = p.h.get();
    }
  } else if (points.front().h->hint != ResetHint::gauge || last.hint != ResetHint::gauge) {
    in.notes->not_a_gauge(in.metric, in.at);
  }
  out.hint = ResetHint::gauge;
  compact(out);
  return true;
}

double float_increase(const RangeInput& in, bool is_counter) {
  const auto points = in.floats;
  double result = points.back().v - points.front().v;
  if (!is_counter || in.never_falls) return result;
  for (std::size_t i = 1; i < points.size(); ++i)
    if (points[i].v < points[i - 1].v) result += points[i - 1].v;
  return result;
}

// How much longer the range is taken to be than from the first to the last sample: to its ends when those are near,
// else by half an interval; but never so far back that a counter would be negative.
double extrapolation(const RangeInput& in, bool is_counter, std::int64_t first, std::int64_t last, std::size_t count,
                     double value, double first_value) {
  const double sampled = static_cast<double>(last - first) / 1000;
  double to_start = static_cast<double>(first - in.range_start) / 1000;
  double to_end = static_cast<double>(in.range_end - last) / 1000;
  const double average = sampled / static_cast<double>(count - 1);
  const double threshold = average * 1.1;
  if (to_start >= threshold) to_start = average / 2;
  if (is_counter && value > 0 && first_value >= 0) to_start = std::min(to_start, sampled * (first_value / value));
  if (to_end >= threshold) to_end = average / 2;
  return sampled == 0 ? 1 : (sampled + to_start + to_end) / sampled;
}

void extrapolated(const RangeInput& in, bool is_counter, bool is_rate, RangeValue& out) {
  if (!in.histograms.empty() && !in.floats.empty()) return in.notes->mixed_floats_histograms(in.metric, in.at);
  if (in.anchored || in.smoothed) return extended_rate(in, is_counter, is_rate, out);
  if (in.histograms.size() > 1) {
    FloatHistogram h;
    if (!histogram_increase(in, is_counter, h)) return;
    const HistogramPoint& first = in.histograms.front();
    double factor =
        extrapolation(in, is_counter, first.t, in.histograms.back().t, in.histograms.size(), h.count, first.h->count);
    if (is_rate) factor /= in.range_seconds;
    scale(h, factor);
    out.set(std::move(h));
  } else if (in.floats.size() > 1) {
    const double value = float_increase(in, is_counter);
    const FloatPoint& first = in.floats.front();
    double factor = extrapolation(in, is_counter, first.t, in.floats.back().t, in.floats.size(), value, first.v);
    if (is_rate) factor /= in.range_seconds;
    out.set(value * factor);
  }
}

struct LastSample {
  std::int64_t t;
  double v;
  const FloatHistogram* h;
};

// The last two samples of both kinds, the older first. REQUIRES: there are two.
std::pair<LastSample, LastSample> last_two(const RangeInput& in) {
  std::vector<LastSample> latest;
  for (std::size_t i = 0; i < std::min<std::size_t>(2, in.floats.size()); ++i) {
    const FloatPoint& p = in.floats[in.floats.size() - 1 - i];
    latest.push_back({p.t, p.v, nullptr});
  }
  for (std::size_t i = 0; i < std::min<std::size_t>(2, in.histograms.size()); ++i) {
    const HistogramPoint& p = in.histograms[in.histograms.size() - 1 - i];
    latest.push_back({p.t, 0, p.h.get()});
  }
  std::sort(latest.begin(), latest.end(), [](const LastSample& a, const LastSample& b) { return a.t > b.t; });
  return {latest[1], latest[0]};
}

void instant(const RangeInput& in, bool is_rate, RangeValue& out) {
  if (in.floats.size() + in.histograms.size() < 2) return;
  const auto [older, newer] = last_two(in);
  const double seconds = static_cast<double>(newer.t - older.t) / 1000;
  if (seconds == 0) return;
  if (!older.h && !newer.h) {
    const double value = is_rate && newer.v < older.v ? newer.v : newer.v - older.v;
    return out.set(is_rate ? value / seconds : value);
  }
  if (!older.h || !newer.h) return in.notes->mixed_floats_histograms(in.metric, in.at);
  const bool any_counter = newer.h->hint != ResetHint::gauge || older.h->hint != ResetHint::gauge;
  const bool any_gauge = newer.h->hint == ResetHint::gauge || older.h->hint == ResetHint::gauge;
  if (is_rate && any_gauge) in.notes->not_a_counter(in.metric, in.at);
  if (!is_rate && any_counter) in.notes->not_a_gauge(in.metric, in.at);
  FloatHistogram h = *newer.h;
  if (!is_rate || !detect_reset(*newer.h, *older.h)) {
    const auto notes = subtract(h, *older.h);
    if (!notes.ok()) return in.notes->mixed_exponential_custom(in.metric, in.at);
    if (notes->bounds_reconciled) in.notes->bounds_reconciled("subtraction", in.at);
  }
  h.hint = ResetHint::gauge;
  compact(h);
  if (is_rate) divide(h, seconds);
  out.set(std::move(h));
}

}  // namespace

void range_rate(const RangeInput& in, RangeValue& out) {
  extrapolated(in, true, true, out);
}
void range_increase(const RangeInput& in, RangeValue& out) {
  extrapolated(in, true, false, out);
}
void range_delta(const RangeInput& in, RangeValue& out) {
  extrapolated(in, false, false, out);
}
void range_irate(const RangeInput& in, RangeValue& out) {
  instant(in, true, out);
}
void range_idelta(const RangeInput& in, RangeValue& out) {
  instant(in, false, out);
}

}  // namespace caisson::metrics::promql
