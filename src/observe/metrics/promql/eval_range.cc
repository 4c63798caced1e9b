// SPDX-License-Identifier: Apache-2.0
// Calls over a range vector. A series is read once for the whole window; each step sees a part of its arrays.
#include <algorithm>

#include "core/base/text.h"
#include "observe/metrics/model/format.h"
#include "observe/metrics/promql/evaluator.h"

namespace caisson::metrics::promql {

// Where the samples come from: the storage, or a subquery's result.
struct Evaluator::RangeSource {
  TimeShift* shift = nullptr;
  std::int64_t range_ms = 0;
  bool anchored = false, smoothed = false;
  std::int64_t before_ms = 0, after_ms = 0;  // what is read beyond the range
  PositionRange at;
  StoredList stored;
  Matrix computed;
  bool is_computed = false;
  bool stats_only = false;

  std::int64_t end_of(std::int64_t t) const { return (shift->timestamp ? *shift->timestamp : t) - shift->offset_ms; }
  std::size_t size() const { return is_computed ? computed.size() : stored.size(); }
};

namespace {

bool is_any_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

Result<void> check_modifier(const VectorSelector& selector, std::string_view function) {
  if (selector.anchored && !is_any_of(function, {"changes", "delta", "increase", "rate", "resets"}))
    return Error{ErrorCode::bad_request,
                 "anchored modifier can only be used with: changes, delta, increase, rate, resets - not with " +
                     std::string(function)};
  if (selector.smoothed && !is_any_of(function, {"delta", "increase", "rate"}))
    return Error{ErrorCode::bad_request,
                 "smoothed modifier can only be used with: delta, increase, rate - not with " + std::string(function)};
  return {};
}

Result<void> check_smoothing(std::span<const std::vector<double>> factors) {
  static constexpr std::string_view kNames[] = {"smoothing factor. Expected: 0 < sf < 1",
                                                "trend factor. Expected: 0 < tf < 1"};
  for (std::size_t i = 0; i < factors.size() && i < 2; ++i)
    for (const double factor : factors[i])
      if (!(factor > 0 && factor < 1)) {
        char buffer[64];
        std::snprintf(buffer, sizeof buffer, "%f", factor);
        return Error{ErrorCode::bad_request, "invalid " + std::string(kNames[i]) + ", got: " + buffer};
      }
  return {};
}

bool looks_like_counter(std::string_view name) {
  return name.ends_with("_total") || name.ends_with("_sum") || name.ends_with("_count") || name.ends_with("_bucket");
}

// A part of a list that moves forward: the points within (after, until].
template <class Point>
class MovingPart {
 public:
  explicit MovingPart(const std::vector<Point>& points) : points_(points) {}
  std::span<const Point> within(std::int64_t after, std::int64_t until) {
    while (end_ < points_.size() && points_[end_].t <= until) ++end_;
    while (begin_ < end_ && points_[begin_].t <= after) ++begin_;
    return {points_.data() + begin_, end_ - begin_};
  }

 private:
  const std::vector<Point>& points_;
  std::size_t begin_ = 0, end_ = 0;
};

}  // namespace

Result<Evaluator::RangeSource> Evaluator::range_source(Expr& arg, const Window& window) {
  RangeSource source;
  source.at = arg.at;
  if (auto* node = as<Subquery>(&arg)) {
    source.shift = &node->shift;
    source.range_ms = node->range_ms;
    source.is_computed = true;
    source.computed = TRY(subquery(*node, window));
    return source;
  }
  auto& matrix = static_cast<MatrixSelector&>(arg);
  auto& selector = static_cast<VectorSelector&>(*matrix.selector);
  source.shift = &selector.shift;
  source.range_ms = matrix.range_ms;
  source.anchored = selector.anchored;
  source.smoothed = selector.smoothed;
  source.stats_only = selector.stats_only;
  if (source.anchored || source.smoothed) source.before_ms = options_.lookback_ms;
  if (source.smoothed) source.after_ms = options_.lookback_ms;
  source.stored = TRY(select(selector.matchers, source.end_of(window.start) - source.range_ms - source.before_ms + 1,
                             source.end_of(window.last()) + source.after_ms));
  return source;
}

Result<Matrix> Evaluator::range_call(Call& node, std::size_t matrix_arg, const Window& window) {
  const std::string_view name = node.function->name;
  const RangeKernel kernel = find_range_kernel(name);
  if (!kernel.step) return Error{ErrorCode::internal, "function " + quote(name) + " is not implemented"};
  if (auto* matrix = as<MatrixSelector>(node.args[matrix_arg].get()))
    TRY(check_modifier(static_cast<VectorSelector&>(*matrix->selector), name));
  std::vector<std::vector<double>> scalars;
  for (std::size_t i = 0; i < node.args.size(); ++i)
    if (i != matrix_arg) scalars.push_back(TRY(scalar_arg(*node.args[i], window)));
  const RangeSource source = TRY(range_source(*node.args[matrix_arg], window));
  if (name == "double_exponential_smoothing" && source.size() > 0) TRY(check_smoothing(scalars));

  Matrix out;
  Samples samples;
  const bool keeps_name = name == "last_over_time" || name == "first_over_time";
  for (std::size_t i = 0; i < source.size(); ++i) {
    TRY(tick());
    samples.floats.clear();
    samples.histograms.clear();
    Series series;
    series.drop_name = !keeps_name;
    if (source.is_computed) {
      const Series& computed = source.computed[i];
      series.labels = computed.labels;
      series.drop_name |= computed.drop_name;
      samples = {computed.floats, computed.histograms};
    } else {
      series.labels = source.stored[i]->labels();
      TRY(source.stored[i]->read(source.end_of(window.start) - source.range_ms - source.before_ms + 1,
                                 source.end_of(window.last()) + source.after_ms, samples));
      std::erase_if(samples.floats, [](const FloatPoint& p) { return is_stale_nan(p.v); });
      std::erase_if(samples.histograms, [](const HistogramPoint& p) { return is_stale_nan(p.h->sum); });
      if (source.stats_only) keep_stats(samples);
    }
    if (samples.empty()) continue;
    if (held_ + samples.floats.size() > options_.samples_max) TRY(hold(samples.floats.size()));
    range_series(node, kernel, source, samples, series.labels, scalars, window, series);
    if (series.floats.empty() && series.histograms.empty()) continue;
    TRY(hold(series.floats.size() + series.histograms.size()));
    out.push_back(std::move(series));
  }
  if (name == "absent_over_time") return absent_over_time(*node.args[0], out, window);
  return out;
}

void Evaluator::range_series(Call& node, const RangeKernel& kernel, const RangeSource& source, const Samples& samples,
                             const Labels& labels, std::span<const std::vector<double>> scalars, const Window& window,
                             Series& out) {
  const std::size_t steps = window.steps();
  out.floats.reserve(samples.floats.empty() ? 0 : steps);
  if (kernel.floats && samples.histograms.empty() && !source.anchored && !source.smoothed)
    kernel.floats(samples.floats,
                  {window.start, window.step, steps, source.end_of(window.start),
                   source.shift->timestamp ? 0 : window.step, source.range_ms},
                  out.floats);
  else
    range_steps(node, kernel.step, source, samples, labels, scalars, window, out);
  const std::string_view name = node.function->name, metric = labels.get(kMetricName);
  if ((name == "rate" || name == "increase") && !out.floats.empty() && !metric.empty() && !looks_like_counter(metric))
    notes_.info("metric might not be a counter, name does not end in _total/_sum/_count/_bucket: " + quote(metric),
                node.args[0]->at);
}

void Evaluator::range_steps(Call& node, RangeFunction function, const RangeSource& source, const Samples& samples,
                            const Labels& labels, std::span<const std::vector<double>> scalars, const Window& window,
                            Series& out) {
  MovingPart floats(samples.floats);
  MovingPart histograms(samples.histograms);
  double at_step[4] = {};
  RangeInput in{};
  in.range_seconds = static_cast<double>(source.range_ms) / 1000;
  in.anchored = source.anchored;
  in.smoothed = source.smoothed;
  in.scalars = {at_step, std::min<std::size_t>(scalars.size(), std::size(at_step))};
  in.metric = labels.get(kMetricName);
  in.at = node.args[0]->at;
  in.scalar_at = node.args.back()->at;
  in.notes = &notes_;
  const std::vector<double> sums = exact_sums(node.function->name, samples.floats);
  for (std::size_t i = 0; i < window.steps(); ++i) {
    in.t = window.time(i);
    in.range_end = source.end_of(in.t);
    in.range_start = in.range_end - source.range_ms;
    in.floats = floats.within(in.range_start - source.before_ms, in.range_end + source.after_ms);
    if (!sums.empty()) in.sums = sums.data() + (in.floats.data() - samples.floats.data());
    in.histograms = histograms.within(in.range_start - source.before_ms, in.range_end + source.after_ms);
    if (in.floats.empty() && in.histograms.empty()) continue;
    for (std::size_t s = 0; s < in.scalars.size(); ++s) at_step[s] = scalars[s][i];
    RangeValue value;
    function(in, value);
    if (!value.present) continue;
    if (value.h)
      out.histograms.push_back({in.t, std::move(value.h)});
    else
      out.floats.push_back({in.t, value.v});
  }
}

Result<Matrix> Evaluator::range_vector(Expr& expr, std::int64_t t) {
  Expr* node = &expr;
  while (true) {
    if (auto* paren = as<Paren>(node))
      node = paren->expr.get();
    else if (auto* invariant = as<StepInvariant>(node))
      node = invariant->expr.get();
    else
      break;
  }
  const Window window{t, t, 1};
  if (auto* sub = as<Subquery>(node)) return subquery(*sub, window);
  const RangeSource source = TRY(range_source(*node, window));
  Matrix out;
  const std::int64_t end = source.end_of(t), start = end - source.range_ms;
  for (const auto& one : source.stored) {
    Samples samples;
    TRY(one->read(start - source.before_ms + 1, end + source.after_ms, samples));
    std::erase_if(samples.floats, [](const FloatPoint& p) { return is_stale_nan(p.v); });
    std::erase_if(samples.histograms, [](const HistogramPoint& p) { return is_stale_nan(p.h->sum); });
    if ((source.anchored || source.smoothed)) {
      if (!samples.histograms.empty())
        return Error{ErrorCode::bad_request, std::string(source.anchored ? "anchored" : "smoothed") +
                                                 " modifier is not supported with histograms"};
      samples.floats = extended_floats(samples.floats, start, end, source.smoothed);
    }
    if (samples.empty()) continue;
    TRY(hold(samples.floats.size() + samples.histograms.size()));
    out.push_back({one->labels(), std::move(samples.floats), std::move(samples.histograms), false});
  }
  return out;
}

}  // namespace caisson::metrics::promql
