// SPDX-License-Identifier: Apache-2.0
// Selectors and subqueries. A step at t looks at t, or at @, less the offset; it takes the newest sample that is
// younger than the lookback and no stale marker.
#include <algorithm>

#include "observe/metrics/promql/evaluator.h"

namespace caisson::metrics::promql {
namespace {

// The times that the steps of a window look at.
struct Looked {
  std::int64_t first;
  std::int64_t last;
  bool fixed;  // by @: one time for all steps
};

Looked looked_at(const TimeShift& shift, const Window& window) {
  if (shift.timestamp) return {*shift.timestamp - shift.offset_ms, *shift.timestamp - shift.offset_ms, true};
  return {window.start - shift.offset_ms, window.last() - shift.offset_ms, false};
}

// The newest sample at or before `t`; advances as t does.
class Latest {
 public:
  explicit Latest(const Samples& samples) : samples_(samples) {}

  // Its time in `found`; false when it is older than `oldest`, stale or absent.
  bool find(std::int64_t t, std::int64_t oldest, std::int64_t& found, double& v, const HistogramPtr*& h) {
    while (f_ < samples_.floats.size() && samples_.floats[f_].t <= t) ++f_;
    while (h_ < samples_.histograms.size() && samples_.histograms[h_].t <= t) ++h_;
    const bool has_float = f_ > 0, has_histogram = h_ > 0;
    if (!has_float && !has_histogram) return false;
    if (has_float && (!has_histogram || samples_.floats[f_ - 1].t > samples_.histograms[h_ - 1].t)) {
      const FloatPoint& p = samples_.floats[f_ - 1];
      found = p.t;
      v = p.v;
      h = nullptr;
      return p.t > oldest && !is_stale_nan(p.v);
    }
    const HistogramPoint& p = samples_.histograms[h_ - 1];
    found = p.t;
    h = &p.h;
    return p.t > oldest && !is_stale_nan(p.h->sum);
  }

 private:
  const Samples& samples_;
  std::size_t f_ = 0, h_ = 0;
};

// The same for a series of floats alone, as nearly all are. `shift_ms`: how much earlier than its time a step looks.
// REQUIRES: there are samples.
void take_latest_floats(const std::vector<FloatPoint>& from, std::int64_t shift_ms, std::int64_t lookback_ms,
                        const Window& window, std::vector<FloatPoint>& into) {
  // Only steps within the lookback of some sample: what is written below is memory that the query holds.
  const Window seen{std::max(window.start, from.front().t + shift_ms),
                    std::min(window.end, from.back().t + lookback_ms + shift_ms), window.step};
  const std::size_t first = seen.start == window.start ? 0 : window.index(seen.start), steps = window.steps();
  into.resize(seen.steps() == 0 ? 0 : std::min(steps - first, seen.steps() + 1));
  FloatPoint* out = into.data();
  std::size_t next = 0;
  for (std::size_t i = first; i < first + into.size(); ++i) {
    const std::int64_t t = window.time(i), look = t - shift_ms;
    while (next < from.size() && from[next].t <= look) ++next;
    if (next == 0) continue;
    const FloatPoint& p = from[next - 1];
    *out = {t, p.v};
    out += static_cast<int>(p.t > look - lookback_ms && !is_stale_nan(p.v));
  }
  into.resize(static_cast<std::size_t>(out - into.data()));
}

}  // namespace

void keep_stats(Samples& samples) {
  HistogramPtr previous;
  for (HistogramPoint& p : samples.histograms) {
    const HistogramPtr whole = p.h;
    if (is_stale_nan(whole->sum)) continue;
    FloatHistogram stats;
    stats.hint = whole->hint;
    if (stats.hint == ResetHint::unknown && previous)
      stats.hint = detect_reset(*whole, *previous) ? ResetHint::reset : ResetHint::not_reset;
    stats.schema = whole->schema;
    stats.count = whole->count;
    stats.sum = whole->sum;
    p.h = std::make_shared<const FloatHistogram>(std::move(stats));
    previous = whole;
  }
}

Result<Evaluator::StoredList> Evaluator::select(std::span<const Matcher> matchers, std::int64_t mint,
                                                std::int64_t maxt) {
  StoredList list = TRY(storage_.select(matchers, mint, maxt));
  if (list.size() > options_.series_max)
    return Error{ErrorCode::too_large, "query selects more than " + std::to_string(options_.series_max) + " series"};
  return list;
}

Result<Matrix> Evaluator::selector(const VectorSelector& node, const Window& window, bool sample_times) {
  if (node.smoothed) return smoothed(node, window);
  const Looked at = looked_at(node.shift, window);
  const StoredList stored = TRY(select(node.matchers, at.first - options_.lookback_ms + 1, at.last));
  return instant_values(stored, node.shift, window, sample_times, node.stats_only);
}

Result<Matrix> Evaluator::instant_values(const StoredList& stored, const TimeShift& shift, const Window& window,
                                         bool sample_times, bool stats_only) {
  const Looked at = looked_at(shift, window);
  const std::size_t steps = window.steps();
  Matrix matrix;
  Samples samples;
  for (const auto& one : stored) {
    TRY(tick());
    samples.floats.clear();
    samples.histograms.clear();
    TRY(one->read(at.first - options_.lookback_ms + 1, at.last, samples));
    if (samples.empty()) continue;
    if (stats_only) keep_stats(samples);
    Series series{one->labels(), {}, {}, false};
    Latest latest(samples);
    const bool only_floats = samples.histograms.empty() && !at.fixed && !sample_times;
    if (only_floats)
      take_latest_floats(samples.floats, window.start - at.first, options_.lookback_ms, window, series.floats);
    else
      series.floats.reserve(samples.floats.empty() ? 0 : steps);
    for (std::size_t i = 0; i < steps && !only_floats; ++i) {
      const std::int64_t t = at.fixed ? at.first : window.time(i) - shift.offset_ms;
      std::int64_t found = 0;
      double v = 0;
      const HistogramPtr* h = nullptr;
      if (!latest.find(t, t - options_.lookback_ms, found, v, h)) continue;
      if (sample_times)
        series.floats.push_back({window.time(i), static_cast<double>(found)});
      else if (h)
        series.histograms.push_back({window.time(i), *h});
      else
        series.floats.push_back({window.time(i), v});
    }
    if (series.floats.empty() && series.histograms.empty()) continue;
    TRY(hold(series.floats.size() + series.histograms.size()));
    matrix.push_back(std::move(series));
  }
  return matrix;
}

namespace {

// Index of the first point at or after `t`.
template <class Point>
std::size_t first_from(const std::vector<Point>& points, std::int64_t t) {
  return std::lower_bound(points.begin(), points.end(), t, [](const Point& p, std::int64_t at) { return p.t < at; }) -
         points.begin();
}

void drop_stale(Samples& samples) {
  std::erase_if(samples.floats, [](const FloatPoint& p) { return is_stale_nan(p.v); });
  std::erase_if(samples.histograms, [](const HistogramPoint& p) { return is_stale_nan(p.h->sum); });
}

}  // namespace

Result<Matrix> Evaluator::smoothed(const VectorSelector& node, const Window& window) {
  const Looked at = looked_at(node.shift, window);
  const std::int64_t lookback = options_.lookback_ms;
  const StoredList stored = TRY(select(node.matchers, at.first - lookback + 1, at.last + lookback));
  Matrix matrix;
  Samples samples;
  for (const auto& one : stored) {
    TRY(tick());
    samples.floats.clear();
    samples.histograms.clear();
    TRY(one->read(at.first - lookback + 1, at.last + lookback, samples));
    drop_stale(samples);
    Series series{one->labels(), {}, {}, false};
    const std::string_view metric = series.labels.get(kMetricName);
    for (std::size_t step = 0; step < window.steps(); ++step) {
      const std::int64_t out = window.time(step), t = at.fixed ? at.first : out - node.shift.offset_ms;
      const auto& f = samples.floats;
      const auto& h = samples.histograms;
      const std::size_t f_begin = first_from(f, t - lookback + 1), f_end = first_from(f, t + lookback + 1);
      const std::size_t h_begin = first_from(h, t - lookback + 1), h_end = first_from(h, t + lookback + 1);
      if (f_begin < f_end && h_begin < h_end) {
        notes_.mixed_floats_histograms(metric, node.at);
        continue;
      }
      if (h_begin < h_end) {
        const std::size_t i = first_from(h, t);
        if (i < h_end && h[i].t == t) {
          series.histograms.push_back({out, h[i].h});
        } else if (i > h_begin && i < h_end) {
          const HistogramPoint &before = h[i - 1], &after = h[i];
          if (before.h->has_custom_bounds() != after.h->has_custom_bounds()) {
            notes_.mixed_exponential_custom(metric, node.at);
            continue;
          }
          const bool counter = before.h->hint != ResetHint::gauge || after.h->hint != ResetHint::gauge;
          auto value = interpolated(before, after, t, counter, notes_, node.at);
          if (value.ok())
            series.histograms.push_back({out, std::make_shared<const FloatHistogram>(std::move(value).value())});
          else
            notes_.mixed_exponential_custom(metric, node.at);
        } else if (i > h_begin) {
          FloatHistogram last = *h[i - 1].h;
          last.hint = ResetHint::unknown;
          series.histograms.push_back({out, std::make_shared<const FloatHistogram>(std::move(last))});
        }
        continue;
      }
      const std::size_t i = first_from(f, t);
      if (i < f_end && f[i].t == t)
        series.floats.push_back({out, f[i].v});
      else if (i > f_begin && i < f_end)
        series.floats.push_back({out, interpolated(f[i - 1], f[i], t, false)});
      else if (i > f_begin)
        series.floats.push_back({out, f[i - 1].v});
    }
    if (series.floats.empty() && series.histograms.empty()) continue;
    TRY(hold(series.floats.size() + series.histograms.size()));
    matrix.push_back(std::move(series));
  }
  return matrix;
}

// The inner query runs at the multiples of its step within (first - range, last].
Result<Matrix> Evaluator::subquery(Subquery& node, const Window& window) {
  const Looked at = looked_at(node.shift, window);
  const std::int64_t step = node.step_ms > 0 ? node.step_ms : options_.subquery_step_ms;
  const std::int64_t from = at.first - node.range_ms;
  std::int64_t start = from / step * step;
  if (start <= from) start += step;
  const Window inner{start, at.last, step};
  if (inner.steps() > options_.steps_max)
    return Error{ErrorCode::too_large, "subquery has more than " + std::to_string(options_.steps_max) + " steps"};
  Matrix matrix = TRY(eval(*node.expr, inner));
  for (Series& series : matrix) {
    for (HistogramPoint& p : series.histograms) {
      if (p.h->hint != ResetHint::reset && p.h->hint != ResetHint::not_reset) continue;
      FloatHistogram h = *p.h;  // said of the neighbours it had in storage, not of those it has here
      h.hint = ResetHint::unknown;
      p.h = std::make_shared<const FloatHistogram>(std::move(h));
    }
  }
  return matrix;
}

}  // namespace caisson::metrics::promql
