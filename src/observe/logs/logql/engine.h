// SPDX-License-Identifier: Apache-2.0
// Runs queries over a store. Times are nanoseconds. A query is bounded in lines, samples, series, steps and time, and
// the error names the limit. Any thread; one query is one call.
#pragma once
#include <chrono>

#include "observe/logs/logql/parser.h"
#include "observe/logs/store/cursor.h"
#include "observe/logs/store/store.h"

namespace caisson::logs::logql {

struct EngineOptions {
  std::size_t series_max = 500;          // of a result
  std::size_t groups_max = 200'000;      // while it is made
  std::size_t samples_max = 20'000'000;  // held at once
  std::size_t steps_max = 11'000;
  std::chrono::milliseconds timeout{60'000};
};

struct QueryStats {
  std::uint64_t lines = 0, text_bytes = 0;  // that were looked at
  std::size_t streams = 0;
  double seconds = 0;
};

// --- lines

struct LogQuery {
  std::int64_t start = 0, end = 0;  // end is not included
  std::size_t limit = 100;
  Direction direction = Direction::backward;
};
struct FoundLine {
  std::int64_t t = 0;
  std::string line;
  Labels stream, metadata, parsed;  // after the pipeline; errors are parsed ones
  Labels labels() const;            // all of them
};
// In the order of the direction.
Result<std::vector<FoundLine>> query_lines(const Store& store, const EngineOptions& options, const Selector& selector,
                                           const LogQuery& query, std::int64_t now, QueryStats& stats);

// --- metrics

struct Window {
  std::int64_t start = 0, end = 0, step = 1;  // step > 0; both included
  std::size_t steps() const { return end < start ? 0 : static_cast<std::size_t>((end - start) / step) + 1; }
  std::int64_t time(std::size_t i) const { return start + static_cast<std::int64_t>(i) * step; }
};

struct Series {
  Labels labels;
  std::vector<double> values;  // by step
  std::vector<char> present;   // whether there is one
};
struct Matrix {
  std::vector<Series> series;
  bool is_scalar = false;   // one series without labels
  bool is_ordered = false;  // by value, of an instant query: topk, sort
};

// Errors: bad_request for what can't be evaluated; too_large beyond a limit; timeout.
Result<Matrix> query_metric(const Store& store, const EngineOptions& options, const Expr& expr, const Window& window,
                            std::int64_t now, QueryStats& stats);

}  // namespace caisson::logs::logql
