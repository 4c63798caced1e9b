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
  if (!is_counter) return result;
  for (std::size_t i = 1; i < points.size(); ++i)
    if (points[i].v < points[i - 1].v) result += points[i - 1].v;
  return result;
}

// Where the samples of a window lie in it. Milliseconds.
struct Sampled {
  std::int64_t from_start = 0, to_end = 0;  // from the window's start to the first, from the last to its end
  std::int64_t span = 0;
  std::size_t count = 0;
  bool operator==(const Sampled&) const = default;
};

// What a difference between first and last sample is to be multiplied by: the range is taken to be longer than they
// are apart, to its ends when those are near, else by half an interval; but never so far back that a counter would be
// negative. Targets are asked at regular times, so most windows are like the one before: what does not depend on values
// is kept.
class Extrapolation {
 public:
  Extrapolation(bool is_counter, double divisor) : is_counter_(is_counter), divisor_(divisor) {}

  // REQUIRES: two samples at least.
  double factor(const Sampled& where, double difference, double first_value) {
    if (where != where_) measure(where);
    if (!is_counter_ || !(difference > 0 && first_value >= 0)) return factor_;
    if (first_value >= difference && to_start_ <= sampled_) return factor_;  // zero is further back than that
    const double to_zero = sampled_ * (first_value / difference);
    return to_zero < to_start_ ? extended(to_zero) : factor_;
  }

 private:
  void measure(const Sampled& where) {
    where_ = where;
    sampled_ = static_cast<double>(where.span) / 1000;
    const double average = sampled_ / static_cast<double>(where.count - 1), threshold = average * 1.1;
    to_start_ = static_cast<double>(where.from_start) / 1000;
    to_end_ = static_cast<double>(where.to_end) / 1000;
    if (to_start_ >= threshold) to_start_ = average / 2;
    if (to_end_ >= threshold) to_end_ = average / 2;
    factor_ = extended(to_start_);
  }
  double extended(double to_start) const {
    return (sampled_ == 0 ? 1 : (sampled_ + to_start + to_end_) / sampled_) / divisor_;
  }

  const bool is_counter_;
  const double divisor_;
  Sampled where_;
  double sampled_ = 0, to_start_ = 0, to_end_ = 0;  // seconds
  double factor_ = 0;
};

template <class Point>
Sampled sampled(std::span<const Point> points, std::int64_t range_start, std::int64_t range_end) {
  const std::int64_t first = points.front().t, last = points.back().t;
  return {first - range_start, range_end - last, last - first, points.size()};
}

void extrapolated(const RangeInput& in, bool is_counter, bool is_rate, RangeValue& out) {
  if (!in.histograms.empty() && !in.floats.empty()) return in.notes->mixed_floats_histograms(in.metric, in.at);
  if (in.anchored || in.smoothed) return extended_rate(in, is_counter, is_rate, out);
  Extrapolation extrapolation(is_counter, is_rate ? in.range_seconds : 1);
  if (in.histograms.size() > 1) {
    FloatHistogram h;
    if (!histogram_increase(in, is_counter, h)) return;
    scale(h, extrapolation.factor(sampled(in.histograms, in.range_start, in.range_end), h.count,
                                  in.histograms.front().h->count));
    out.set(std::move(h));
  } else if (in.floats.size() > 1) {
    const double value = float_increase(in, is_counter);
    out.set(value * extrapolation.factor(sampled(in.floats, in.range_start, in.range_end), value, in.floats.front().v));
  }
}

void extrapolated_floats(std::span<const FloatPoint> floats, const RangeSteps& steps, bool is_counter, bool is_rate,
                         std::vector<FloatPoint>& out) {
  std::vector<std::size_t> falls;  // samples that are below the one before
  if (is_counter)
    for (std::size_t i = 1; i < floats.size(); ++i)
      if (floats[i].v < floats[i - 1].v) falls.push_back(i);
  Extrapolation extrapolation(is_counter, is_rate ? static_cast<double>(steps.range_ms) / 1000 : 1);
  std::size_t begin = 0, end = 0, fall = 0;
  std::int64_t t = steps.time, range_end = steps.end;
  for (std::size_t i = 0; i < steps.count; ++i, t += steps.step, range_end += steps.end_step) {
    const std::int64_t range_start = range_end - steps.range_ms;
    while (end < floats.size() && floats[end].t <= range_end) ++end;
    while (begin < end && floats[begin].t <= range_start) ++begin;
    if (end - begin < 2) continue;
    const auto part = floats.subspan(begin, end - begin);
    double value = part.back().v - part.front().v;
    while (fall < falls.size() && falls[fall] <= begin) ++fall;
    for (std::size_t k = fall; k < falls.size() && falls[k] < end; ++k) value += floats[falls[k] - 1].v;
    out.push_back({t, value * extrapolation.factor(sampled(part, range_start, range_end), value, part.front().v)});
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
void rate_of_floats(std::span<const FloatPoint> floats, const RangeSteps& steps, std::vector<FloatPoint>& out) {
  extrapolated_floats(floats, steps, true, true, out);
}
void increase_of_floats(std::span<const FloatPoint> floats, const RangeSteps& steps, std::vector<FloatPoint>& out) {
  extrapolated_floats(floats, steps, true, false, out);
}
void delta_of_floats(std::span<const FloatPoint> floats, const RangeSteps& steps, std::vector<FloatPoint>& out) {
  extrapolated_floats(floats, steps, false, false, out);
}
void range_irate(const RangeInput& in, RangeValue& out) {
  instant(in, true, out);
}
void range_idelta(const RangeInput& in, RangeValue& out) {
  instant(in, false, out);
}

}  // namespace caisson::metrics::promql
