// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "observe/metrics/promql/engine.h"
#include "observe/metrics/storage/memory.h"

namespace caisson::metrics::promql {
namespace {

double asked(const std::vector<double>& values, const std::string& query) {
  MemoryStorage storage;
  for (std::size_t i = 0; i < values.size(); ++i)
    storage.append(Labels::from({{"__name__", "x_total"}}), static_cast<std::int64_t>(i + 1) * 1000, values[i]);
  const auto end = static_cast<std::int64_t>(values.size()) * 1000;
  const auto result = query_range(storage, {}, query, end, end, 1000);
  REQUIRE(result.ok());
  REQUIRE(result->matrix.size() == 1);
  return result->matrix[0].floats.back().v;
}

}  // namespace

TEST_CASE("sums over time are those of adding one by one, whatever the size of the numbers") {
  CHECK(asked({1, 2, 3, 4}, "sum_over_time(x_total[3s])") == 9);
  CHECK(asked({1, 2, 3, 4}, "avg_over_time(x_total[2s])") == 3.5);
  CHECK(asked({-5, 2, 3}, "sum_over_time(x_total[3s])") == 0);
  CHECK(asked({0.5, 2, 3}, "sum_over_time(x_total[2s])") == 5);
  // Whole numbers beyond 2^53: the small one is not lost to the large ones.
  CHECK(asked({1e16, 1, -1e16}, "sum_over_time(x_total[3s])") == 1);
  CHECK(asked({1e16, 1, 2}, "sum_over_time(x_total[2s])") == 3);
}

TEST_CASE("a rate counts what a reset lost, in the window that has it and in no other") {
  CHECK(asked({10, 20, 5, 15, 25}, "increase(x_total[5s])") == doctest::Approx(35 * 5.0 / 4));
  CHECK(asked({50, 20, 30, 40, 50}, "increase(x_total[4s])") == doctest::Approx(30 * 4.0 / 3));
  CHECK(asked({10, 20, 30, 40, 50}, "increase(x_total[5s])") == doctest::Approx(40 * 5.0 / 4));
}

}  // namespace caisson::metrics::promql
