// SPDX-License-Identifier: Apache-2.0
// histogram_quantile, histogram_quantiles and histogram_fraction over classic and native histograms, and what is read
// of native ones.
#include <cmath>

#include "observe/metrics/model/format.h"
#include "observe/metrics/model/kahan.h"
#include "observe/metrics/promql/evaluator.h"
#include "observe/metrics/promql/histogram_quantile.h"

namespace caisson::metrics::promql {
namespace {

double variance(const FloatHistogram& h) {
  const double mean = h.sum / h.count;
  KahanSum squares;
  for (const BucketRange& b : buckets_ascending(h)) {
    if (b.count == 0) continue;
    double middle = 0;
    if (h.has_custom_bounds())
      middle = (b.upper + b.lower) / 2;
    else if (!(b.lower <= 0 && b.upper >= 0))
      middle = std::copysign(std::sqrt(b.upper * b.lower), b.upper);
    const double delta = middle - mean;
    squares.add(b.count * delta * delta);
  }
  return squares.value() / h.count;
}

using Reading = double (*)(const FloatHistogram&);
Reading find_reading(std::string_view name) {
  if (name == "histogram_count") return [](const FloatHistogram& h) { return h.count; };
  if (name == "histogram_sum") return [](const FloatHistogram& h) { return h.sum; };
  if (name == "histogram_avg") return [](const FloatHistogram& h) { return h.sum / h.count; };
  if (name == "histogram_stdvar") return variance;
  if (name == "histogram_stddev") return [](const FloatHistogram& h) { return std::sqrt(variance(h)); };
  return nullptr;
}

// Series of one histogram: those that differ in le only, or a native one.
struct HistogramGroup {
  Labels labels;                                        // without le
  std::vector<std::pair<double, std::size_t>> buckets;  // bound, series
};

struct HistogramInput {
  std::vector<HistogramGroup> groups;
  std::vector<std::size_t> group_of;  // by series
  std::vector<double> bound_of;       // by series; NaN: no valid le
};

HistogramInput arrange(const Matrix& matrix) {
  HistogramInput input;
  std::unordered_map<Labels, std::size_t, LabelsHash> index;
  const std::vector<std::string> le{"le"};
  for (const Series& series : matrix) {
    const auto bound = parse_float(series.labels.get("le"));
    const bool is_bucket = !series.floats.empty();
    const Labels labels = is_bucket ? series.labels.drop(le) : series.labels;
    const auto [at, added] = index.try_emplace(labels, input.groups.size());
    if (added) input.groups.push_back({labels, {}});
    input.group_of.push_back(at->second);
    input.bound_of.push_back(bound ? *bound : std::nan(""));
  }
  return input;
}

// The histograms of one step, by group.
struct StepHistogram {
  std::vector<ClassicBucket> classic;
  HistogramPtr native;

  bool empty() const { return classic.empty() && !native; }
  void clear() {
    classic.clear();
    native.reset();
  }
};

}  // namespace

Result<Matrix> Evaluator::histogram_call(Call& node, const Window& window) {
  const std::string_view name = node.function->name;
  if (const Reading reading = find_reading(name)) {
    Matrix matrix = TRY(eval(*node.args[0], window));
    for (Series& series : matrix) {
      series.drop_name = true;
      series.floats.clear();
      for (const HistogramPoint& p : series.histograms) series.floats.push_back({p.t, reading(*p.h)});
      series.histograms.clear();
    }
    std::erase_if(matrix, [](const Series& series) { return series.floats.empty(); });
    return matrix;
  }

  const bool fraction = name == "histogram_fraction", many = name == "histogram_quantiles";
  const std::size_t vector_arg = many ? 0 : fraction ? 2 : 1;
  const PositionRange at = node.args[vector_arg]->at;
  std::vector<std::vector<double>> scalars;
  std::vector<PositionRange> scalar_at;
  for (std::size_t i = 0; i < node.args.size(); ++i) {
    if (i == vector_arg || type_of(*node.args[i]) == ValueType::string) continue;
    scalars.push_back(TRY(scalar_arg(*node.args[i], window)));
    scalar_at.push_back(node.args[i]->at);
  }
  const Matrix matrix = TRY(eval(*node.args[vector_arg], window));
  const HistogramInput input = arrange(matrix);
  StepReader reader(matrix);
  MatrixBuilder out;
  std::vector<StepHistogram> step_of(input.groups.size());
  std::vector<std::size_t> order;
  std::vector<ClassicBucket> buckets;

  // One result of a group; `label` is set by histogram_quantiles.
  const auto emit = [&](const StepHistogram& h, std::size_t group, std::int64_t t, double a, double b,
                        std::string_view label, double label_value) -> Result<void> {
    const Labels& labels = input.groups[group].labels;
    const std::string_view metric = labels.get(kMetricName);
    double value = 0;
    if (h.native) {
      NanNote note = NanNote::none;
      value = fraction ? native_fraction(a, b, *h.native, note) : native_quantile(a, *h.native, note);
      if (note == NanNote::result_is_nan)
        notes_.info(with_metric("input to histogram_quantile has NaN observations, result is NaN", metric), at);
      if (note == NanNote::skewed_higher)
        notes_.info(with_metric("input to histogram_quantile has NaN observations, result is skewed higher", metric),
                    at);
      if (note == NanNote::excluded)
        notes_.info(
            with_metric("input to histogram_fraction has NaN observations, which are excluded from all fractions",
                        metric),
            at);
    } else {
      buckets = h.classic;
      Monotonicity repaired;
      value = fraction ? classic_fraction(a, b, buckets) : classic_quantile(a, buckets, repaired);
      if (repaired.forced)
        notes_.forced_monotonic(metric, at, t, repaired.lowest, repaired.highest, repaired.difference);
    }
    if (!many) return out.append(out.series(labels, true), t, value, nullptr);
    LabelsBuilder builder(labels);
    builder.set(label, std::isnan(label_value) ? "NaN" : format_open_metrics(label_value));
    return out.append(out.series(builder.labels(), true), t, value, nullptr);
  };

  for (std::size_t i = 0; i < window.steps(); ++i) {
    TRY(tick());
    const std::int64_t t = window.time(i);
    if (!fraction)
      for (std::size_t s = 0; s < scalars.size(); ++s)
        if (!(scalars[s][i] >= 0 && scalars[s][i] <= 1)) notes_.invalid_quantile(scalars[s][i], scalar_at[s]);
    for (const std::size_t group : order) step_of[group].clear();
    order.clear();
    for (const StepReader::Sample& sample : reader.at(t)) {
      const std::size_t group = input.group_of[sample.series];
      StepHistogram& h = step_of[group];
      if (!sample.h && std::isnan(input.bound_of[sample.series])) {
        const Labels& labels = matrix[sample.series].labels;
        notes_.warn(with_metric("bucket label \"le\" is missing or has a malformed value of " + quote(labels.get("le")),
                                labels.get(kMetricName)),
                    at);
        continue;
      }
      if (h.empty()) order.push_back(group);
      if (sample.h)
        h.native = sample.h;
      else
        h.classic.push_back({input.bound_of[sample.series], sample.v});
    }
    for (const std::size_t group : order) {
      StepHistogram& h = step_of[group];
      if (h.native && !h.classic.empty()) {
        notes_.warn(with_metric("vector contains a mix of classic and native histograms",
                                input.groups[group].labels.get(kMetricName)),
                    at);
        continue;
      }
      if (!many) {
        TRY(emit(h, group, t, scalars[0][i], fraction ? scalars[1][i] : 0, {}, 0));
        continue;
      }
      const std::string& label = static_cast<StringLiteral&>(*node.args[1]).value;
      for (const auto& quantiles : scalars) TRY(emit(h, group, t, quantiles[i], 0, label, quantiles[i]));
    }
  }
  return out.take();
}

}  // namespace caisson::metrics::promql
