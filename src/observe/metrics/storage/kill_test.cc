// SPDX-License-Identifier: Apache-2.0
// kill -9 and power cuts of a process that stores samples: what append() acknowledged is there once, and what is beyond
// it is whole.
#include "core/base/file.h"
#include "observe/metrics/storage/test_kill.h"
#include "observe/metrics/storage/tsdb.h"

namespace caisson::metrics {
namespace {

constexpr int kSeries = 4, kMaintainEvery = 7;
constexpr std::int64_t kHourMs = 3'600'000;

// Small blocks and snapshots often, so that kills meet their making.
TsdbOptions options() {
  TsdbOptions options;
  options.retention_ms = 1'000'000 * kHourMs;
  options.block_ms = 20'000;
  options.snapshot_log_bytes = 2000;
  return options;
}

Labels labels_of(int series) {
  return Labels::from({{"__name__", "n"}, {"series", std::to_string(series)}});
}

Result<AppendCounts> append(Tsdb& db, std::int64_t n) {
  std::vector<NewSample> batch;
  for (int s = 0; s < kSeries; ++s) batch.push_back({labels_of(s), n * 1000, static_cast<double>(n), nullptr});
  return db.append(batch);
}

void write_until_killed(const std::string& directory, KillProgress& progress) {
  auto db = Tsdb::open(directory, options());
  if (!db.ok()) return;
  progress.ready = true;
  for (std::int64_t n = progress.asked + 1;; ++n) {
    progress.asked = n;
    if (!append(**db, n).ok()) return;
    progress.acknowledged = n;
    if (n % kMaintainEvery == 0 && !(*db)->maintain(n * 1000 + 2 * kHourMs).ok()) return;
  }
}

// How many samples there are, from 1 on without a gap and none twice.
std::int64_t whole_samples(const std::string& directory) {
  const auto db = Tsdb::open(directory, options());
  REQUIRE_MESSAGE(db.ok(), db.error().message);
  const auto found = (*db)->select({}, INT64_MIN, INT64_MAX).value();
  std::int64_t count = -1;
  for (const auto& series : found) {
    Samples samples;
    REQUIRE(series->read(INT64_MIN, INT64_MAX, samples).ok());
    for (std::size_t i = 0; i < samples.floats.size(); ++i) {
      REQUIRE(samples.floats[i].t == static_cast<std::int64_t>(i + 1) * 1000);
      REQUIRE(samples.floats[i].v == static_cast<double>(i + 1));
    }
    const auto size = static_cast<std::int64_t>(samples.floats.size());
    if (count < 0) count = size;
    REQUIRE(size == count);
  }
  return std::max<std::int64_t>(count, 0);
}

}  // namespace

TEST_CASE("kill -9 of a process that stores samples loses none that was acknowledged and doubles none") {
  const TempDir dir = TempDir::make("tsdb-kill").value();
  kill_again_and_again([&](KillProgress& progress) { write_until_killed(dir.path(), progress); },
                       [&] { return whole_samples(dir.path()); });
}

TEST_CASE("a power cut at any byte after the last sync loses nothing that was acknowledged") {
  const TempDir dir = TempDir::make("tsdb-cut").value();
  std::vector<std::uint64_t> synced;  // size of the log after each append
  const std::string log = dir.path() + "/live/wal/00000001";
  {
    auto db = Tsdb::open(dir.path() + "/live", options()).value();
    for (std::int64_t n = 1; n <= 12; ++n) {
      REQUIRE(append(*db, n).ok());
      synced.push_back(read_file(log).value().size());
    }
  }
  const std::string whole = read_file(log).value();
  std::size_t acknowledged = 0;
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    while (acknowledged < synced.size() && synced[acknowledged] <= size) ++acknowledged;
    const std::string cut = dir.path() + "/cut";
    REQUIRE(remove_tree(cut).ok());
    REQUIRE(make_dirs(cut + "/wal").ok());
    // A file system may have made the file longer than what it wrote of it.
    const std::string tail(size % 3 == 0 ? 40 : 0, '\0');
    REQUIRE(write_file_unsynced(cut + "/wal/00000001", whole.substr(0, size) + tail).ok());
    CHECK(whole_samples(cut) == static_cast<std::int64_t>(acknowledged));
  }
}

}  // namespace caisson::metrics
