// SPDX-License-Identifier: Apache-2.0
// A query that would take the machine with it ends in an error that names the limit.
#include <doctest/doctest.h>

#include "core/base/file.h"
#include "observe/logs/logql/engine.h"

namespace caisson::logs::logql {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

struct Bench {
  TempDir dir = TempDir::make().value();
  FakeClock clock;
  std::unique_ptr<Store> store = Store::open(dir.path(), {}, clock).value();
  EngineOptions options;
  std::int64_t now = clock.now().time_since_epoch().count();

  Bench() {
    std::vector<std::string> lines;
    for (int i = 0; i < 300; ++i) lines.push_back("user=u" + std::to_string(i) + " took=" + std::to_string(i));
    NewStream stream{Labels::from({{"app", "a"}}), {}};
    for (std::size_t i = 0; i < lines.size(); ++i)
      stream.entries.push_back({now - 300 * kSecond + static_cast<std::int64_t>(i) * kSecond, lines[i], {}});
    REQUIRE(store->push({&stream, 1})->added == lines.size());
  }
  std::string refusal(const std::string& query, std::int64_t step = 60 * kSecond) {
    QueryStats stats;
    const auto expr = parse(query);
    if (!expr.ok()) return expr.error().message;
    const auto result = query_metric(*store, options, **expr, {now - 300 * kSecond, now, step}, now, stats);
    return result.ok() ? "" : result.error().message;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Bench, "a query of death ends with the name of the limit it exceeds") {
  CHECK(refusal("count_over_time({app=\"a\"}[1m])") == "");
  CHECK(refusal("count_over_time({app=\"a\"}[1m])", 1'000'000)
            .starts_with("exceeded maximum resolution of 11000 points per timeseries"));
  options.series_max = 20;
  CHECK(refusal("count_over_time({app=\"a\"} | logfmt [1m])")
            .starts_with("maximum number of series (20) reached for a single query"));
  options.groups_max = 100;
  CHECK(refusal("sum(count_over_time({app=\"a\"} | logfmt [1m]))") == "");  // grouped while it is read
  CHECK(refusal("count_over_time({app=\"a\"} | logfmt [1m])") ==
        "query makes more than 100 series while it is evaluated");
  options.groups_max = 1'000'000;
  options.samples_max = 200;
  CHECK(refusal("count_over_time({app=\"a\"} | logfmt [1m])").starts_with("query holds more than 200 samples: "));
  CHECK(refusal("quantile_over_time(0.9, {app=\"a\"} | logfmt | unwrap took [1m]) by (app)") ==
        "query holds more than 200 samples");
  options = {};
  options.timeout = std::chrono::milliseconds(-1);
  CHECK(refusal("count_over_time({app=\"a\"} |= \"u\" [1m])").starts_with("request timed out, limit "));
  CHECK(refusal(std::string(200'000, ' ') + "1").find("query is too long") != std::string::npos);
  CHECK(refusal(std::string(200, '(') + "1" + std::string(200, ')')).find("nested too deeply: limit 100") !=
        std::string::npos);
}

}  // namespace caisson::logs::logql
