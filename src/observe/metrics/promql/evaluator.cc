// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/promql/evaluator.h"

#include <algorithm>
#include <cmath>

#include "observe/metrics/model/format.h"

namespace caisson::metrics::promql {
namespace {

constexpr int kDepthMax = 400;

template <class Point>
bool has_repeated_time(const std::vector<Point>& points) {
  return std::adjacent_find(points.begin(), points.end(), [](const Point& a, const Point& b) { return a.t == b.t; }) !=
         points.end();
}

bool share_a_time(const Series& series) {
  auto h = series.histograms.begin();
  for (const FloatPoint& f : series.floats) {
    while (h != series.histograms.end() && h->t < f.t) ++h;
    if (h == series.histograms.end()) return false;
    if (h->t == f.t) return true;
  }
  return false;
}

Result<void> append_series(Series& into, Series& from) {
  const auto by_time = [](const auto& a, const auto& b) { return a.t < b.t; };
  into.floats.insert(into.floats.end(), from.floats.begin(), from.floats.end());
  into.histograms.insert(into.histograms.end(), from.histograms.begin(), from.histograms.end());
  std::sort(into.floats.begin(), into.floats.end(), by_time);
  std::sort(into.histograms.begin(), into.histograms.end(), by_time);
  if (has_repeated_time(into.floats) || has_repeated_time(into.histograms) || share_a_time(into))
    return same_labelset();
  return {};
}

}  // namespace

Error same_labelset() {
  return {ErrorCode::bad_request, "vector cannot contain metrics with the same labelset"};
}

Result<Matrix> merge_same_labels(Matrix matrix) {
  if (matrix.size() < 2) return matrix;
  std::unordered_map<Labels, std::size_t, LabelsHash> index;
  index.reserve(matrix.size());
  std::size_t kept = 0;
  for (std::size_t i = 0; i < matrix.size(); ++i) {
    const auto [at, added] = index.try_emplace(matrix[i].labels, kept);
    if (!added) {
      TRY(append_series(matrix[at->second], matrix[i]));
    } else {
      if (kept != i) matrix[kept] = std::move(matrix[i]);
      ++kept;
    }
  }
  matrix.resize(kept);
  return matrix;
}

std::size_t MatrixBuilder::series(const Labels& labels, bool drop_name) {
  const auto [at, added] = index_.try_emplace(labels, matrix_.size());
  if (added) matrix_.push_back({labels, {}, {}, drop_name});
  return at->second;
}

Result<void> MatrixBuilder::append(std::size_t series, std::int64_t t, double v, const HistogramPtr& h) {
  Series& s = matrix_[series];
  if ((!s.floats.empty() && s.floats.back().t == t) || (!s.histograms.empty() && s.histograms.back().t == t))
    return same_labelset();
  if (h)
    s.histograms.push_back({t, h});
  else
    s.floats.push_back({t, v});
  return {};
}

const std::vector<StepReader::Sample>& StepReader::at(std::int64_t t) {
  present_.clear();
  for (std::size_t i = 0; i < matrix_.size(); ++i) {
    const Series& s = matrix_[i];
    if (float_at_[i] < s.floats.size() && s.floats[float_at_[i]].t == t)
      present_.push_back({i, s.floats[float_at_[i]++].v, nullptr});
    else if (histogram_at_[i] < s.histograms.size() && s.histograms[histogram_at_[i]].t == t)
      present_.push_back({i, 0, s.histograms[histogram_at_[i]++].h});
  }
  return present_;
}

Result<void> Evaluator::hold(std::size_t samples) {
  held_ += samples;
  if (held_ > options_.samples_max)
    return Error{ErrorCode::too_large,
                 "query processing would load too many samples into memory in query execution: limit " +
                     std::to_string(options_.samples_max)};
  return {};
}

Result<void> Evaluator::tick() {
  if (std::chrono::steady_clock::now() > deadline_)
    return Error{ErrorCode::timeout,
                 "query timed out in expression evaluation: limit " + format_duration(options_.timeout.count())};
  return {};
}

Result<Matrix> Evaluator::constant(double value, const Window& window) const {
  Series series;
  series.floats.reserve(window.steps());
  for (std::size_t i = 0; i < window.steps(); ++i) series.floats.push_back({window.time(i), value});
  Matrix matrix;
  matrix.push_back(std::move(series));
  return matrix;
}

Result<std::vector<double>> Evaluator::scalar_arg(Expr& expr, const Window& window) {
  if (const auto* number = as<NumberLiteral>(&expr)) return std::vector<double>(window.steps(), number->value);
  const Matrix matrix = TRY(eval(expr, window));
  std::vector<double> values(window.steps(), std::nan(""));
  if (!matrix.empty())
    for (const FloatPoint& p : matrix[0].floats) values[window.index(p.t)] = p.v;
  return values;
}

Result<Matrix> Evaluator::eval(Expr& expr, const Window& window) {
  if (window.steps() == 0) return Matrix{};
  if (depth_ > kDepthMax)
    return Error{ErrorCode::too_large, "query is nested too deeply: limit " + std::to_string(kDepthMax)};
  TRY(tick());
  ++depth_;
  auto result = [&]() -> Result<Matrix> {
    switch (expr.kind) {
      case ExprKind::number:
        return constant(static_cast<NumberLiteral&>(expr).value, window);
      case ExprKind::selector:
        return selector(static_cast<VectorSelector&>(expr), window);
      case ExprKind::call:
        return call(static_cast<Call&>(expr), window);
      case ExprKind::aggregate:
        return aggregate(static_cast<Aggregate&>(expr), window);
      case ExprKind::binary:
        return binary(static_cast<Binary&>(expr), window);
      case ExprKind::unary:
        return unary(static_cast<Unary&>(expr), window);
      case ExprKind::paren:
        return eval(*static_cast<Paren&>(expr).expr, window);
      case ExprKind::step_invariant:
        return step_invariant(static_cast<StepInvariant&>(expr), window);
      case ExprKind::subquery:
        return subquery(static_cast<Subquery&>(expr), window);
      default:
        return Error{ErrorCode::internal, "expression has no value of its own"};
    }
  }();
  --depth_;
  return result;
}

Result<Matrix> Evaluator::unary(Unary& node, const Window& window) {
  Matrix matrix = TRY(eval(*node.expr, window));
  if (node.op != Tok::sub) return matrix;
  for (Series& series : matrix) {
    series.drop_name = true;
    for (FloatPoint& p : series.floats) p.v = -p.v;
    for (HistogramPoint& p : series.histograms) {
      FloatHistogram h = *p.h;
      scale(h, -1);
      p.h = std::make_shared<const FloatHistogram>(std::move(h));
    }
  }
  return matrix;
}

Result<Matrix> Evaluator::step_invariant(StepInvariant& node, const Window& window) {
  Matrix matrix = TRY(eval(*node.expr, {window.start, window.start, window.step}));
  const std::size_t steps = window.steps();
  TRY(hold(matrix.size() * (steps - 1)));
  for (Series& series : matrix) {
    series.floats.reserve(series.floats.size() * steps);
    for (std::size_t i = 1; i < steps; ++i) {
      if (!series.floats.empty())
        series.floats.push_back({window.time(i), series.floats.front().v});
      else if (!series.histograms.empty())
        series.histograms.push_back({window.time(i), series.histograms.front().h});
    }
  }
  return matrix;
}

}  // namespace caisson::metrics::promql
