// SPDX-License-Identifier: Apache-2.0
#include "observe/logs/logql/evaluator.h"

#include <algorithm>

#include "observe/metrics/model/format.h"

namespace caisson::logs::logql {

Result<void> Deadline::check() const {
  if (std::chrono::steady_clock::now() < end_) return {};
  return Error{ErrorCode::timeout,
               "request timed out, limit " + metrics::format_duration(timeout_.count()) +
                   ": decrease the duration of the request or add more label matchers (prefer exact match over regex "
                   "match) to reduce the amount of data processed"};
}

Error pipeline_error(const LineState& line) {
  return {ErrorCode::bad_request, "pipeline error: '" + line.error() + "' for series: '" + line.labels().str() +
                                      "'.\nUse a label filter to intentionally skip this error. (e.g | __error__!=\"" +
                                      line.error() +
                                      "\").\nTo skip all potential errors you can match empty errors.(e.g "
                                      "__error__=\"\")\nThe label filter can also be specified "
                                      "after unwrap. (e.g | unwrap latency | __error__=\"\" )\n"};
}

Series Evaluator::empty_series(Labels labels) const {
  return {std::move(labels), std::vector<double>(window_.steps(), 0), std::vector<char>(window_.steps(), 0)};
}

Matrix Evaluator::constant(double value) const {
  Matrix out;
  out.series.push_back({Labels(), std::vector<double>(window_.steps(), value), std::vector<char>(window_.steps(), 1)});
  return out;
}

Result<Matrix> Evaluator::eval(const Expr& expr) {
  TRY(deadline_.check());
  if (const auto* node = std::get_if<RangeAggregation>(&expr.node)) return range(*node, nullptr);
  if (const auto* node = std::get_if<VectorAggregation>(&expr.node)) return aggregate(*node);
  if (const auto* node = std::get_if<Binary>(&expr.node)) return binary(*node);
  if (const auto* node = std::get_if<LabelReplace>(&expr.node)) return label_replace(*node);
  if (const auto* node = std::get_if<VectorLiteral>(&expr.node)) return constant(node->value);
  if (const auto* node = std::get_if<Literal>(&expr.node)) {
    Matrix out = constant(node->value);
    out.is_scalar = true;
    return out;
  }
  return Error{ErrorCode::bad_request,
               "a selector of lines has no value: aggregate it, as in count_over_time({…}[5m])"};
}

Result<Matrix> query_metric(const Store& store, const EngineOptions& options, const Expr& expr, const Window& window,
                            std::int64_t now, QueryStats& stats) {
  if (window.steps() == 0) return Matrix{};
  if (window.steps() > options.steps_max)
    return Error{ErrorCode::bad_request, "exceeded maximum resolution of " + std::to_string(options.steps_max) +
                                             " points per timeseries. Try decreasing the query resolution (?step=XX)"};
  Matrix out = TRY(Evaluator(store, options, window, now, stats).eval(expr));
  std::erase_if(out.series, [](const Series& series) {
    return std::find(series.present.begin(), series.present.end(), 1) == series.present.end();
  });
  if (out.series.size() > options.series_max)
    return Error{ErrorCode::too_large,
                 "maximum number of series (" + std::to_string(options.series_max) +
                     ") reached for a single query; consider reducing query cardinality by adding more specific stream "
                     "selectors, reducing the time "
                     "range, or aggregating results with functions like sum(), count() or topk()"};
  return out;
}

}  // namespace caisson::logs::logql
