// SPDX-License-Identifier: Apache-2.0
// Figures for docs/benchmarks.md, by script/bench image; left out of ordinary runs.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "artifact/content/digest.h"
#include "artifact/scan/advisory_store.h"
#include "core/base/file.h"
#include "core/document/json.h"

using namespace caisson;
using namespace caisson::scan;

namespace {
constexpr int kImages = 10'000, kPackages = 120, kRounds = 15;
}

TEST_CASE("measure: a new advisory finds its images among 10,000" * doctest::skip()) {
  const TempDir dir = TempDir::make().value();
  AdvisoryStore store = AdvisoryStore::open(dir.path() + "/scan.db").value();
  for (int image = 0; image < kImages; ++image) {
    std::set<PackageRef> packages;
    for (int n = 0; n < kPackages; ++n)
      packages.insert({"Debian:12", "package-" + std::to_string((image * 7 + n * 13) % 4000)});
    REQUIRE(store.record_image(content::Digest::of(std::to_string(image)).str(), packages).ok());
  }
  std::vector<double> times;
  std::size_t found = 0;
  for (int round = 0; round < kRounds; ++round) {
    const std::string number = std::to_string(1000 + round), package = "package-" + std::to_string(round * 200);
    const auto record = json::parse(R"({"id": "DSA-)" + number + R"(", "modified": "2026-01-01T00:00:00Z", "affected": [
      {"package": {"ecosystem": "Debian:12", "name": ")" + package + R"("},
       "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2"}]}]}]})");
    REQUIRE(record.ok());
    const auto start = std::chrono::steady_clock::now();
    const auto imported = store.import_documents({{number + ".json", *record}});
    REQUIRE_MESSAGE(imported.ok(), (imported.ok() ? "" : imported.error().message));
    const auto images = store.images_with(imported->touched);
    times.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
    REQUIRE(images.ok());
    REQUIRE(imported->added == 1);
    found = images->size();
    REQUIRE(found > 0);
  }
  std::sort(times.begin(), times.end());
  std::printf("new advisory stored and its %zu of %d images found (median of %d, greatest): %.1f, %.1f ms\n", found,
              kImages, kRounds, times[kRounds / 2], times.back());
}
