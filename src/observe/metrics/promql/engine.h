// SPDX-License-Identifier: Apache-2.0
// Runs queries. A query reads the storage through Queryable, series by series, and is bounded in samples, series, steps
// and time. Metric names are dropped when the whole query is evaluated (upstream's promql-delayed-name-removal). Any
// thread; one query is one call.
#pragma once
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "observe/metrics/promql/parser.h"
#include "observe/metrics/queryable.h"

namespace caisson::metrics::promql {

struct EngineOptions {
  std::int64_t lookback_ms = 300'000;
  std::int64_t subquery_step_ms = 60'000;  // of subqueries without one
  std::size_t samples_max = 50'000'000;    // held at once
  std::size_t series_max = 1'000'000;      // selected
  std::size_t steps_max = 1'100'000;
  std::chrono::milliseconds timeout{120'000};
};

struct Series {
  Labels labels;
  std::vector<FloatPoint> floats;
  std::vector<HistogramPoint> histograms;
  bool drop_name = false;  // while evaluating: the name goes at the end
};
using Matrix = std::vector<Series>;

// A scalar is a matrix of one series without labels; a vector is a matrix with one sample each.
struct QueryResult {
  ValueType type = ValueType::none;
  Matrix matrix;
  std::string text;  // of a string
  std::vector<std::string> warnings;
  std::vector<std::string> infos;
};

// Times are milliseconds. Errors: bad_request for a query that does not parse or fails while it is evaluated; too_large
// when it exceeds a limit, which the text names; timeout.
Result<QueryResult> query_instant(const Queryable& storage, const EngineOptions& options, std::string_view query,
                                  std::int64_t t);
Result<QueryResult> query_range(const Queryable& storage, const EngineOptions& options, std::string_view query,
                                std::int64_t start, std::int64_t end, std::int64_t step);

}  // namespace caisson::metrics::promql
