// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/promql/engine.h"

#include <algorithm>

#include "observe/metrics/promql/evaluator.h"
#include "observe/metrics/promql/preprocess.h"

namespace caisson::metrics::promql {
namespace {

// Takes the names that operations have dropped, and joins the series that are the same then.
Result<Matrix> without_dropped_names(Matrix matrix) {
  for (Series& series : matrix)
    if (series.drop_name) series.labels = series.labels.drop_metadata();
  return merge_same_labels(std::move(matrix));
}

void sort_by_labels(Matrix& matrix) {
  std::sort(matrix.begin(), matrix.end(), [](const Series& a, const Series& b) { return a.labels < b.labels; });
}

QueryResult finished(ValueType type, Matrix matrix, const Annotations& notes, std::string_view query) {
  return {type, std::move(matrix), {}, notes.warnings(query), notes.infos(query)};
}

}  // namespace

Result<QueryResult> query_instant(const Queryable& storage, const EngineOptions& options, std::string_view query,
                                  std::int64_t t) {
  ExprPtr expr = TRY(parse(query));
  TRY(preprocess(expr, t, t, 0));
  const ValueType type = type_of(*expr);
  Annotations notes;
  Evaluator evaluator(storage, options, notes);
  if (type == ValueType::string) {
    const Expr* node = expr.get();
    while (const auto* paren = as<Paren>(node)) node = paren->expr.get();
    QueryResult result;
    result.type = type;
    result.text = static_cast<const StringLiteral*>(node)->value;
    return result;
  }
  Matrix matrix =
      type == ValueType::matrix ? TRY(evaluator.range_vector(*expr, t)) : TRY(evaluator.eval(*expr, {t, t, 1}));
  matrix = TRY(without_dropped_names(std::move(matrix)));
  if (type == ValueType::matrix) sort_by_labels(matrix);
  return finished(type, std::move(matrix), notes, query);
}

Result<QueryResult> query_range(const Queryable& storage, const EngineOptions& options, std::string_view query,
                                std::int64_t start, std::int64_t end, std::int64_t step) {
  if (step <= 0) return Error{ErrorCode::bad_request, "zero or negative query resolution step widths are not accepted"};
  if (end < start) return Error{ErrorCode::bad_request, "end timestamp must not be before start time"};
  const Window window{start, end, step};
  if (window.steps() > options.steps_max)
    return Error{ErrorCode::too_large, "query has more than " + std::to_string(options.steps_max) + " steps"};
  ExprPtr expr = TRY(parse(query));
  const ValueType type = type_of(*expr);
  if (type != ValueType::vector && type != ValueType::scalar)
    return Error{ErrorCode::bad_request, "invalid expression type \"" + std::string(documented_type(type)) +
                                             "\" for range query, must be Scalar or instant Vector"};
  TRY(preprocess(expr, start, end, step));
  Annotations notes;
  Evaluator evaluator(storage, options, notes);
  Matrix matrix = TRY(without_dropped_names(TRY(evaluator.eval(*expr, window))));
  sort_by_labels(matrix);
  return finished(ValueType::matrix, std::move(matrix), notes, query);
}

}  // namespace caisson::metrics::promql
