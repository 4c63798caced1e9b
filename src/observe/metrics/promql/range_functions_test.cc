// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <random>

#include "observe/metrics/promql/engine.h"
#include "observe/metrics/promql/range_function.h"
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

TEST_CASE("all steps at once give what each step gives, bit for bit") {
  const std::uint32_t seed = std::random_device()();
  CAPTURE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 200; ++round) {
    std::vector<FloatPoint> floats;
    double v = 0;
    for (std::int64_t t = 0; t < 40'000; t += round % 2 == 0 ? 1000 : 200 + random() % 3000) {
      v = random() % 10 == 0 ? static_cast<double>(random() % 5) : v + static_cast<double>(random() % 1000) / 8;
      if (random() % 12 != 0) floats.push_back({t, v});
    }
    const RangeSteps steps{5000, 700 + static_cast<std::int64_t>(random() % 3000), 12,
                           4000, 700 + static_cast<std::int64_t>(random() % 3000), 5000};
    for (const char* name : {"rate", "increase", "delta"}) {
      const RangeKernel kernel = find_range_kernel(name);
      std::vector<FloatPoint> at_once, one_by_one;
      kernel.floats(floats, steps, at_once);
      Annotations notes;
      for (std::size_t i = 0; i < steps.count; ++i) {
        RangeInput in{};
        in.t = steps.time + static_cast<std::int64_t>(i) * steps.step;
        in.range_end = steps.end + static_cast<std::int64_t>(i) * steps.end_step;
        in.range_start = in.range_end - steps.range_ms;
        in.range_seconds = static_cast<double>(steps.range_ms) / 1000;
        in.notes = &notes;
        const auto within = [&](const FloatPoint& p) { return p.t > in.range_start && p.t <= in.range_end; };
        const auto first = std::find_if(floats.begin(), floats.end(), within);
        in.floats = {first, std::find_if_not(first, floats.end(), within)};
        RangeValue value;
        kernel.step(in, value);
        if (value.present) one_by_one.push_back({in.t, value.v});
      }
      CHECK(at_once == one_by_one);
    }
  }
}

}  // namespace caisson::metrics::promql
