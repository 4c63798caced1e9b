// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/storage/series_index.h"

#include <doctest/doctest.h>

#include <random>

namespace caisson::metrics {
namespace {

SeriesPtr series_of(std::uint64_t ref, int name) {
  return std::make_shared<TsdbSeries>(ref, Labels::from({{"__name__", "n" + std::to_string(name)}}));
}

}  // namespace

TEST_CASE("series are found by reference and by labels, whatever came and went before") {
  const std::uint32_t seed = std::random_device()();
  CAPTURE(seed);
  std::mt19937 random(seed);
  SeriesIndex index;
  std::map<std::uint64_t, int> model;  // reference, name
  std::map<int, std::uint64_t> by_name;
  std::uint64_t next_ref = 10;
  for (int round = 0; round < 5000; ++round) {
    const int name = static_cast<int>(random() % 700);
    if (const auto there = by_name.find(name); there != by_name.end()) {
      if (round % 3 == 0) continue;
      const SeriesPtr gone = series_of(there->second, name);
      index.remove(*gone);
      model.erase(there->second);
      by_name.erase(there);
      CHECK(index.find(gone->labels()) == nullptr);
      CHECK(index.find(gone->ref()) == nullptr);
      continue;
    }
    next_ref += 1 + random() % 3;
    // Now and then one with a reference of before, as a log has them.
    std::uint64_t ref = next_ref;
    if (random() % 10 == 0) ref = 1 + random() % next_ref;
    if (model.contains(ref)) continue;
    index.add(series_of(ref, name));
    model.emplace(ref, name);
    by_name.emplace(name, ref);
  }
  CHECK(index.size() == model.size());
  const std::vector<SeriesPtr> all = index.all();
  REQUIRE(all.size() == model.size());
  auto expected = model.begin();
  for (const SeriesPtr& series : all) {
    CHECK(series->ref() == expected->first);
    CHECK(index.find(series->ref()) == series.get());
    CHECK(index.find(series->labels()) == series.get());
    const Matcher wanted = Matcher::make(MatchType::equal, "__name__", "n" + std::to_string(expected->second)).value();
    CHECK(index.matching({&wanted, 1}) == std::vector<SeriesPtr>{series});
    ++expected;
  }
  CHECK(index.find(std::uint64_t{0}) == nullptr);
  CHECK(index.find(next_ref + 1) == nullptr);
}

TEST_CASE("series that are restored in any order are found") {
  SeriesIndex index;
  for (const std::uint64_t ref : {7, 3, 9, 4}) index.restore(series_of(ref, static_cast<int>(ref)));
  index.restored();
  for (const std::uint64_t ref : {3, 4, 7, 9}) CHECK(index.find(ref)->ref() == ref);
  CHECK(index.find(std::uint64_t{5}) == nullptr);
  CHECK(index.all().front()->ref() == 3);
}

}  // namespace caisson::metrics
