// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/api/result_json.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <random>

#include "observe/metrics/model/format.h"

namespace caisson::metrics {
namespace {

std::string json_of(std::vector<FloatPoint> points) {
  promql::QueryResult result;
  result.type = promql::ValueType::matrix;
  result.matrix.push_back({Labels(), std::move(points), {}, false});
  std::string out;
  append_json(out, result, 0);
  constexpr std::string_view kHead = R"({"resultType":"matrix","result":[{"metric":{},"values":[)", kTail = "]}]}";
  REQUIRE(out.starts_with(kHead));
  REQUIRE(out.ends_with(kTail));
  return out.substr(kHead.size(), out.size() - kHead.size() - kTail.size());
}

std::string value_of(double v) {
  const std::string point = json_of({{0, v}});
  return point.substr(4, point.size() - 6);
}

}  // namespace

TEST_CASE("times are seconds with as many decimals as they need") {
  CHECK(json_of({{0, 1}, {1, 1}, {10, 1}, {100, 1}, {999, 1}, {1000, 1}}) ==
        R"([0,"1"],[0.001,"1"],[0.01,"1"],[0.1,"1"],[0.999,"1"],[1,"1"])");
  CHECK(json_of({{9'999'000, 1}, {10'000'000, 1}, {10'000'500, 1}, {1'700'000'000'000, 1}, {1'700'009'999'999, 1}}) ==
        R"([9999,"1"],[10000,"1"],[10000.5,"1"],[1700000000,"1"],[1700009999.999,"1"])");
  CHECK(json_of({{-1, 1}, {-1500, 1}, {-2000, 1}}) == R"([-0.001,"1"],[-1.5,"1"],[-2,"1"])");
  CHECK(json_of({{9'223'372'036'854'775'807, 1}}) == R"([9223372036854775.807,"1"])");
}

TEST_CASE("values are the shortest text that reads as the same number") {
  for (const double v : {0.0,
                         -0.0,
                         1.0,
                         -1.0,
                         9.0,
                         10.0,
                         999.0,
                         9999.0,
                         10'000.0,
                         99'999'999.0,
                         1e8,
                         999'999'999'999.0,
                         1e12,
                         999'999'999'999'999.0,
                         1e15,
                         9007199254740993.0,
                         1e16,
                         1e20,
                         1e21,
                         0.5,
                         0.001,
                         0.01,
                         0.1,
                         0.0001,
                         1e-6,
                         1e-7,
                         123.456,
                         -123.456,
                         0.1 + 0.2,
                         1.0 / 3,
                         999'999'999'999.999,
                         5e-324,
                         std::numeric_limits<double>::max(),
                         std::numeric_limits<double>::infinity(),
                         -std::numeric_limits<double>::infinity(),
                         std::nan("")})
    CHECK(value_of(v) == format_sample(v));
  std::mt19937_64 random(20261122);
  for (int i = 0; i < 200'000; ++i) {
    const double whole = static_cast<double>(random() >> (random() % 64));
    const double v = (i % 3 == 0   ? whole
                      : i % 3 == 1 ? whole / 1000
                                   : std::bit_cast<double>(random())) *
                     (i % 2 == 0 ? 1 : -1);
    if (value_of(v) != format_sample(v)) FAIL(format_sample(v) << " is written as " << value_of(v));
  }
}

TEST_CASE("an answer longer than the buffer is whole") {
  std::vector<FloatPoint> points;
  std::string want;
  for (int i = 0; i < 3000; ++i) {
    points.push_back({1'700'000'000'000 + i * 30'000, i / 8.0});
    (want += want.empty() ? "[" : ",[") +=
        std::to_string(1'700'000'000 + i * 30) + ",\"" + format_sample(i / 8.0) + "\"]";
  }
  CHECK(json_of(points) == want);
}

}  // namespace caisson::metrics
