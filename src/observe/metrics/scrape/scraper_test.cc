// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/scrape/scraper.h"

#include <doctest/doctest.h>

#include <thread>

#include "core/base/file.h"

namespace caisson::metrics {

TEST_CASE("a target whose series explode is told the limit, and the series that exist go on") {
  const TempDir dir = TempDir::make().value();
  TsdbOptions options;
  options.series_max = 20;
  const auto storage = Tsdb::open(dir.path(), options).value();
  SideData side;
  Scraper scraper(*storage, side, system_clock());
  std::atomic<int> asked{0};
  scraper.add({"explosion", "internal:explosion", Labels::from({{"job", "explosion"}}), 10,
               [&]() -> Result<Exposition> {
                 Exposition out;
                 out.samples.push_back({Labels::from({{"__name__", "steady"}}), static_cast<double>(++asked)});
                 for (int i = 0; i < 50; ++i)
                   out.samples.push_back(
                       {Labels::from({{"__name__", "x"}, {"user", std::to_string(asked * 50 + i)}}), 1});
                 return out;
               }});
  scraper.start();
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (asked < 4 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  REQUIRE(asked >= 4);
  const TargetStatus status = scraper.targets()[0];
  CHECK(status.error.ends_with(" samples not stored: the limit of 20 series is reached"));
  CHECK(status.health == "up");
  CHECK(storage->stats().series == 20);
  const Matcher steady = Matcher::make(MatchType::equal, "__name__", "steady").value();
  Samples samples;
  REQUIRE(storage->select({&steady, 1}, INT64_MIN, INT64_MAX).value()[0]->read(INT64_MIN, INT64_MAX, samples).ok());
  CHECK(samples.floats.size() >= 3);
}

}  // namespace caisson::metrics
