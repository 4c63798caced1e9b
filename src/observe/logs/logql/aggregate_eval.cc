// SPDX-License-Identifier: Apache-2.0
// Aggregations over series, step by step.
#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "observe/logs/logql/evaluator.h"

namespace caisson::logs::logql {
namespace {

Labels group_labels(const Grouping& grouping, const Labels& labels) {
  return grouping.without ? labels.drop(grouping.labels) : labels.keep(grouping.labels);
}

// A sum over sums: the inner aggregation may add up the lines of the whole group itself.
bool is_additive(const VectorAggregation& node, const RangeAggregation& inner) {
  if (node.op != "sum" || inner.grouping) return false;
  if (inner.unwrap) return inner.op == "sum_over_time" || inner.op == "rate";
  return inner.op == "count_over_time" || inner.op == "rate" || inner.op == "bytes_over_time" ||
         inner.op == "bytes_rate";
}

struct Accumulator {
  double count = 0, value = 0, mean = 0, aux = 0;
  void add(const std::string& op, double v) {
    ++count;
    if (op == "max")
      value = count == 1 || v > value || std::isnan(value) ? v : value;
    else if (op == "min")
      value = count == 1 || v < value || std::isnan(value) ? v : value;
    else
      value += v;
    const double delta = v - mean;
    mean += delta / count;
    aux += delta * (v - mean);
  }
  double result(const std::string& op) const {
    if (op == "count") return count;
    if (op == "avg") return value / count;
    if (op == "stdvar") return aux / count;
    if (op == "stddev") return std::sqrt(aux / count);
    return value;
  }
};

}  // namespace

Result<Matrix> Evaluator::aggregate(const VectorAggregation& node) {
  const auto* range_node = std::get_if<RangeAggregation>(&node.inner->node);
  if (range_node && is_additive(node, *range_node)) return range(*range_node, &node.grouping);
  Matrix inner = TRY(eval(*node.inner));
  if (inner.is_scalar)
    return Error{ErrorCode::bad_request, "expected a vector for the aggregation " + node.op + ", got a scalar"};
  if (node.k > 0 || node.op.starts_with("sort")) return choose(node, std::move(inner));
  return reduce(node, inner);
}

Result<Matrix> Evaluator::reduce(const VectorAggregation& node, const Matrix& inner) const {
  std::unordered_map<Labels, std::vector<Accumulator>, LabelsHash> groups;
  for (const Series& series : inner.series) {
    auto& steps = groups[group_labels(node.grouping, series.labels)];
    steps.resize(window_.steps());
    for (std::size_t i = 0; i < steps.size(); ++i)
      if (series.present[i]) steps[i].add(node.op, series.values[i]);
  }
  TRY(deadline_.check());
  Matrix out;
  for (const auto& [labels, steps] : groups) {
    Series series = empty_series(labels);
    for (std::size_t i = 0; i < steps.size(); ++i) {
      series.present[i] = steps[i].count > 0;
      series.values[i] = steps[i].count > 0 ? steps[i].result(node.op) : 0;
    }
    out.series.push_back(std::move(series));
  }
  std::sort(out.series.begin(), out.series.end(), [](const Series& a, const Series& b) { return a.labels < b.labels; });
  return out;
}

// topk, bottomk: at each step the k of each group; sort: the order of an instant query.
Result<Matrix> Evaluator::choose(const VectorAggregation& node, Matrix inner) const {
  const bool descending = node.op == "topk" || node.op == "approx_topk" || node.op == "sort_desc";
  const std::size_t steps = window_.steps();
  const auto is_before = [&](const Series& a, const Series& b, std::size_t i) {
    if (std::isnan(a.values[i]) || std::isnan(b.values[i])) return !std::isnan(a.values[i]) && std::isnan(b.values[i]);
    return descending ? a.values[i] > b.values[i] : a.values[i] < b.values[i];
  };
  if (node.k > 0) {
    std::unordered_map<Labels, std::vector<std::size_t>, LabelsHash> groups;
    for (std::size_t n = 0; n < inner.series.size(); ++n)
      groups[node.has_grouping ? group_labels(node.grouping, inner.series[n].labels) : Labels()].push_back(n);
    for (auto& [labels, members] : groups)
      for (std::size_t i = 0; i < steps; ++i) {
        TRY(deadline_.check());
        std::vector<std::size_t> present;
        for (const std::size_t n : members)
          if (inner.series[n].present[i]) present.push_back(n);
        std::stable_sort(present.begin(), present.end(),
                         [&](std::size_t a, std::size_t b) { return is_before(inner.series[a], inner.series[b], i); });
        for (std::size_t rank = static_cast<std::size_t>(node.k); rank < present.size(); ++rank)
          inner.series[present[rank]].present[i] = 0;
      }
  }
  if (steps == 1 && node.op.starts_with("sort")) {
    std::stable_sort(inner.series.begin(), inner.series.end(),
                     [&](const Series& a, const Series& b) { return is_before(a, b, 0); });
    inner.is_ordered = true;
  }
  return inner;
}

}  // namespace caisson::logs::logql
