// SPDX-License-Identifier: Apache-2.0
// A query that would take the machine with it ends in an error that names the limit.
#include <doctest/doctest.h>

#include "observe/metrics/promql/engine.h"
#include "observe/metrics/storage/memory.h"

namespace caisson::metrics::promql {
namespace {

struct Bench {
  MemoryStorage storage;
  EngineOptions options;

  Bench() {
    for (int series = 0; series < 30; ++series)
      for (std::int64_t t = 0; t <= 100'000; t += 1000)
        storage.append(Labels::from({{"__name__", "x"}, {"series", std::to_string(series)}}), t, 1);
    options.samples_max = 2000;
    options.series_max = 20;
    options.steps_max = 200;
  }
  std::string refusal(const std::string& query, std::int64_t step = 1000) const {
    const auto result = query_range(storage, options, query, 0, 100'000, step);
    REQUIRE_FALSE(result.ok());
    CHECK((result.error().code == ErrorCode::too_large || result.error().code == ErrorCode::timeout));
    return result.error().message;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Bench, "a query of death ends with the name of the limit it exceeds") {
  CHECK(refusal("x") == "query selects more than 20 series");
  CHECK(refusal("x", 100) == "query has more than 200 steps");
  CHECK(refusal("max_over_time(x{series=\"1\"}[100s:10ms])") == "subquery has more than 200 steps");
  const std::string samples =
      "query processing would load too many samples into memory in query execution: limit 2000";
  options.series_max = 100;
  CHECK(refusal("x") == samples);
  CHECK(refusal("rate(x[10s])") == samples);
  CHECK(refusal("sum(x) by (series) * on () group_right () x") == samples);
  std::string nested = "x";
  for (int i = 0; i < 450; ++i) nested = "abs(" + nested + ")";
  const auto deep = query_instant(storage, options, nested, 0);
  REQUIRE_FALSE(deep.ok());
  CHECK(deep.error().message.find("query is nested too deeply") != std::string::npos);
  options.timeout = std::chrono::milliseconds(-1);
  CHECK(refusal("x{series=\"1\"}").starts_with("query timed out in expression evaluation: limit "));
}

}  // namespace caisson::metrics::promql
