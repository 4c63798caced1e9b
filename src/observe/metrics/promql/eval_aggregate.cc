// SPDX-License-Identifier: Apache-2.0
// Aggregations. Group by group, series by series: an accumulator for each step, in the order of the series, so that
// compensated sums come out as upstream's.
#include <algorithm>
#include <cmath>

#include "observe/metrics/model/format.h"
#include "observe/metrics/model/kahan.h"
#include "observe/metrics/promql/evaluator.h"

namespace caisson::metrics::promql {
namespace {

// What a group has seen at one step.
struct Accumulator {
  KahanSum total;   // the sum; avg turns it into the mean once it overflows
  double mean = 0;  // of stddev, stdvar
  double count = 0;
  bool has_float = false, has_histogram = false, is_mean = false;
};

// The histograms of a group at one step, for sum and avg.
struct HistogramAccumulator {
  std::unique_ptr<HistogramSum> total;
  double count = 0;
  bool is_mean = false, incompatible = false, reset = false, not_reset = false;
};

class GroupAggregation {
 public:
  GroupAggregation(const Aggregate& node, const Window& window, const std::vector<double>& params, Annotations& notes)
      : node_(node), window_(window), params_(params), notes_(notes), steps_(window.steps()) {
    if (node.op == Tok::quantile) values_.resize(steps_.size());
  }

  void begin() {
    std::fill(steps_.begin(), steps_.end(), Accumulator{});
    histograms_.clear();
    for (auto& values : values_) values.clear();
  }

  void add(const Series& series) {
    std::size_t step = 0;  // most series have a sample at every step
    for (const FloatPoint& p : series.floats) {
      if (window_.time(step) != p.t) step = window_.index(p.t);
      add_float(steps_[step], p.v, step);
      ++step;
    }
    for (const HistogramPoint& p : series.histograms)
      add_histogram(window_.index(p.t), *p.h, series.labels.get(kMetricName));
  }

  void finish(Series& out) {
    out.floats.reserve(steps_.size());
    for (std::size_t i = 0; i < steps_.size(); ++i) finish_step(i, out);
  }

 private:
  void add_float(Accumulator& a, double v, std::size_t step) {
    a.has_float = true;
    ++a.count;
    switch (node_.op) {
      case Tok::sum:
        if (a.count == 1)
          a.total = {v, 0};
        else
          a.total.add(v);
        return;
      case Tok::avg:
        return add_to_average(a, v);
      case Tok::min:
        if (a.count == 1 || a.total.sum > v || std::isnan(a.total.sum)) a.total.sum = v;
        return;
      case Tok::max:
        if (a.count == 1 || a.total.sum < v || std::isnan(a.total.sum)) a.total.sum = v;
        return;
      case Tok::stddev:
      case Tok::stdvar: {
        if (a.count == 1) {
          a.mean = v;
          a.total.sum = std::isfinite(v) ? 0 : std::nan("");
          return;
        }
        const double delta = v - a.mean;
        a.mean += delta / a.count;
        a.total.sum += delta * (v - a.mean);
        return;
      }
      case Tok::quantile:
        values_[step].push_back(v);
        return;
      default:
        return;
    }
  }

  static void add_to_average(Accumulator& a, double v) {
    if (a.count == 1) {
      a.total = {v, 0};
      return;
    }
    if (!a.is_mean) {
      KahanSum next = a.total;
      next.add(v);
      if (!std::isinf(next.sum)) {
        a.total = next;
        return;
      }
      a.is_mean = true;
      a.total = {a.total.sum / (a.count - 1), a.total.lost / (a.count - 1)};
    }
    const double q = (a.count - 1) / a.count;
    a.total = {q * a.total.sum, q * a.total.lost};
    a.total.add(v / a.count);
  }

  void add_histogram(std::size_t step, const FloatHistogram& h, std::string_view metric) {
    Accumulator& a = steps_[step];
    switch (node_.op) {
      case Tok::sum:
      case Tok::avg:
        break;
      case Tok::count:
      case Tok::group:
        a.has_float = true;
        ++a.count;
        return;
      default:
        return notes_.histograms_ignored_in_aggregation(spelling(node_.op), node_.expr->at);
    }
    a.has_histogram = true;
    if (histograms_.empty()) histograms_.resize(steps_.size());
    HistogramAccumulator& sum = histograms_[step];
    if (sum.incompatible) return;
    sum.reset |= h.hint == ResetHint::reset;
    sum.not_reset |= h.hint == ResetHint::not_reset;
    ++sum.count;
    if (!sum.total) {
      sum.total = std::make_unique<HistogramSum>(h);
      return;
    }
    const auto notes = node_.op == Tok::sum ? sum.total->add(h) : add_to_average(sum, h);
    if (!notes.ok()) {
      notes_.mixed_exponential_custom(metric, node_.expr->at);
      sum.incompatible = true;
    } else if (notes->bounds_reconciled) {
      notes_.bounds_reconciled("aggregation", node_.expr->at);
    }
  }

  static Result<HistogramNotes> add_to_average(HistogramAccumulator& a, const FloatHistogram& h) {
    if (!a.is_mean) {
      HistogramSum next = *a.total;
      const HistogramNotes notes = TRY(next.add(h));
      if (!has_overflow(next.sum)) {
        *a.total = std::move(next);
        return notes;
      }
      a.is_mean = true;
      a.total->divide(a.count - 1);
    }
    a.total->scale((a.count - 1) / a.count);
    FloatHistogram part = h;
    divide(part, a.count);
    return a.total->add(part);
  }

  void finish_step(std::size_t i, Series& out) {
    Accumulator& a = steps_[i];
    if (!a.has_float && !a.has_histogram) return;
    const std::int64_t t = window_.time(i);
    if (a.has_float && a.has_histogram) return notes_.mixed_floats_histograms_in_aggregation(node_.expr->at);
    if (a.has_histogram) {
      HistogramAccumulator& sum = histograms_[i];
      if (sum.incompatible) return;
      if (sum.reset && sum.not_reset) notes_.reset_collision("aggregation", node_.expr->at);
      if (node_.op == Tok::avg && !sum.is_mean) sum.total->divide(sum.count);
      FloatHistogram value = sum.total->value();
      compact(value);
      out.histograms.push_back({t, std::make_shared<const FloatHistogram>(std::move(value))});
      return;
    }
    out.floats.push_back({t, float_value(a, i)});
  }

  double float_value(const Accumulator& a, std::size_t step) {
    switch (node_.op) {
      case Tok::sum:
        return a.total.value();
      case Tok::avg:
        return a.is_mean ? a.total.value() : a.total.sum / a.count + a.total.lost / a.count;
      case Tok::count:
        return a.count;
      case Tok::group:
        return 1;
      case Tok::stdvar:
        return a.total.sum / a.count;
      case Tok::stddev:
        return std::sqrt(a.total.sum / a.count);
      case Tok::quantile:
        return quantile(params_[step], values_[step]);
      default:
        return a.total.sum;
    }
  }

  const Aggregate& node_;
  const Window& window_;
  const std::vector<double>& params_;
  Annotations& notes_;
  std::vector<Accumulator> steps_;
  std::vector<HistogramAccumulator> histograms_;
  std::vector<std::vector<double>> values_;  // of quantile
};

std::vector<std::string> dropped_labels(const Aggregate& node) {
  std::vector<std::string> names = node.grouping;
  names.insert(names.end(), {"__name__", "__type__", "__unit__"});
  return names;
}

void check_quantiles(const Aggregate& node, const std::vector<double>& params, Annotations& notes) {
  double low = 0, high = 1;
  bool undefined = false;
  for (const double q : params) {
    low = std::min(low, q);
    high = std::max(high, q);
    undefined |= std::isnan(q);
  }
  if (undefined) notes.invalid_quantile(std::nan(""), node.param->at);
  if (high > 1) notes.invalid_quantile(high, node.param->at);
  if (low < 0) notes.invalid_quantile(low, node.param->at);
}

}  // namespace

Result<Matrix> Evaluator::aggregate(Aggregate& node, const Window& window) {
  if (node.op == Tok::count_values) return count_values(node, window);
  const std::vector<double> params = node.param ? TRY(scalar_arg(*node.param, window)) : std::vector<double>();
  const Matrix input = TRY(eval(*node.expr, window));
  const std::vector<std::string> dropped = dropped_labels(node);
  std::unordered_map<std::string, std::size_t> index;
  std::vector<std::vector<std::size_t>> groups;  // series of each, in order
  for (std::size_t i = 0; i < input.size(); ++i) {
    const Labels& labels = input[i].labels;
    const auto [at, added] =
        index.try_emplace(node.without ? labels.key_without(dropped) : labels.key_of(node.grouping), groups.size());
    if (added) groups.emplace_back();
    groups[at->second].push_back(i);
  }
  if (node.op == Tok::topk || node.op == Tok::bottomk || node.op == Tok::limitk || node.op == Tok::limit_ratio)
    return pick(node, input, groups, params, window);
  if (node.op == Tok::quantile) check_quantiles(node, params, notes_);
  GroupAggregation aggregation(node, window, params, notes_);
  Matrix out;
  for (const auto& group : groups) {
    TRY(tick());
    const Labels& first = input[group[0]].labels;
    Series series{node.without ? first.drop(dropped) : first.keep(node.grouping), {}, {}, false};
    aggregation.begin();
    for (const std::size_t i : group) {
      series.drop_name |= input[i].drop_name;
      aggregation.add(input[i]);
    }
    aggregation.finish(series);
    if (series.floats.empty() && series.histograms.empty()) continue;
    TRY(hold(series.floats.size() + series.histograms.size()));
    out.push_back(std::move(series));
  }
  return out;
}

Result<Matrix> Evaluator::count_values(Aggregate& node, const Window& window) {
  const std::string& label = static_cast<StringLiteral&>(*node.param).value;
  if (label.empty()) return Error{ErrorCode::bad_request, "invalid label name \"\""};
  const Matrix input = TRY(eval(*node.expr, window));
  const std::vector<std::string> dropped = dropped_labels(node);
  std::vector<std::string> kept = node.grouping;
  kept.push_back(label);
  std::unordered_map<Labels, std::size_t, LabelsHash> index;
  Matrix out;
  std::vector<std::vector<double>> counts;
  const auto count = [&](const Labels& labels, std::int64_t t, const std::string& value) {
    LabelsBuilder builder(labels);
    builder.set(label, value);
    const Labels group = node.without ? builder.labels().drop(dropped) : builder.labels().keep(kept);
    const auto [at, added] = index.try_emplace(group, out.size());
    if (added) {
      out.push_back({group, {}, {}, false});
      counts.emplace_back(window.steps());
    }
    ++counts[at->second][window.index(t)];
  };
  for (const Series& series : input) {
    TRY(tick());
    for (const FloatPoint& p : series.floats) count(series.labels, p.t, format_fixed(p.v));
    for (const HistogramPoint& p : series.histograms) count(series.labels, p.t, histogram_string(*p.h));
    if (out.size() > options_.series_max) return Error{ErrorCode::too_large, "count_values gives too many series"};
  }
  for (std::size_t i = 0; i < out.size(); ++i) {
    for (std::size_t step = 0; step < counts[i].size(); ++step)
      if (counts[i][step] > 0) out[i].floats.push_back({window.time(step), counts[i][step]});
    TRY(hold(out[i].floats.size()));
  }
  return out;
}

}  // namespace caisson::metrics::promql
