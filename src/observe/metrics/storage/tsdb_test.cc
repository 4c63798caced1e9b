// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/storage/tsdb.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <cmath>

#include "core/base/file.h"
#include "observe/metrics/storage/chunk.h"
#include "observe/metrics/storage/crc32c.h"
#include "observe/metrics/storage/packed.h"
#include "observe/metrics/storage/snapshot.h"

namespace caisson::metrics {
namespace {

Labels named(const std::string& name, const std::string& instance = "a") {
  return Labels::from({{"__name__", name}, {"instance", instance}});
}

std::vector<FloatPoint> points_of(const Tsdb& db, const std::string& name) {
  const std::vector<Matcher> matchers{Matcher::make(MatchType::equal, "__name__", name).value()};
  Samples samples;
  for (const auto& series : db.select(matchers, INT64_MIN, INT64_MAX).value())
    REQUIRE(series->read(INT64_MIN, INT64_MAX, samples).ok());
  return samples.floats;
}

AppendCounts put(Tsdb& db, const std::string& name, std::int64_t t, double v) {
  const NewSample sample{named(name), t, v, nullptr};
  return db.append({&sample, 1}).value();
}

}  // namespace

TEST_CASE("a chunk gives back every sample bit for bit") {
  const std::vector<double> values{0, 1, 1, -0.0, 1e300, 5e-324, stale_nan(), std::nan(""), 3.14, 3.15, INFINITY};
  FloatChunk chunk;
  std::vector<FloatPoint> wanted;
  std::int64_t t = -5;
  for (int i = 0; i < 200; ++i) {
    t += i % 7 == 0 ? 1 : i % 11 == 0 ? 40'000'000'000 : i % 3 == 0 ? 15'003 : 15'000;
    wanted.push_back({t, values[i % values.size()]});
    chunk.append(t, wanted.back().v);
  }
  const FloatChunk again =
      FloatChunk::restore(chunk.count(), chunk.first_time(), chunk.last_time(), chunk.bytes()).value();
  for (const FloatChunk* one : std::initializer_list<const FloatChunk*>{&chunk, &again}) {
    std::vector<FloatPoint> got;
    REQUIRE(one->decode(INT64_MIN, INT64_MAX, got).ok());
    REQUIRE(got.size() == wanted.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
      CHECK(got[i].t == wanted[i].t);
      CHECK(std::bit_cast<std::uint64_t>(got[i].v) == std::bit_cast<std::uint64_t>(wanted[i].v));
    }
  }
  std::vector<FloatPoint> none;
  CHECK_FALSE(decode_chunk(chunk.bytes().substr(0, 40), chunk.head(), INT64_MIN, INT64_MAX, none).ok());
}

TEST_CASE("samples of a regular counter take less than two bytes") {
  FloatChunk chunk;
  double v = 0;
  for (int i = 0; !chunk.full(); ++i) chunk.append(1'700'000'000'000 + i * 30'000LL, v += i % 5 == 0 ? 1 : 0);
  CHECK(static_cast<double>(chunk.bytes().size()) / chunk.count() < 2.0);
}

TEST_CASE("a full chunk of decimals is packed, and gives back every sample bit for bit") {
  struct Kind {
    const char* name;
    double (*value)(int);
    bool packed;
    double bytes_max;  // a sample
  };
  const Kind kinds[] = {
      {"a counter with a reset", [](int i) { return i < 100 ? i * 7.0 : (i - 100) * 9.0; }, true, 1.0},
      {"pages of memory", [](int i) { return 5e7 + (i * 7919 % 4096) * 4096.0; }, true, 2.6},
      {"seconds of a processor", [](int i) { return std::round(i * 1234567.0) / 1e9; }, true, 2.5},
      {"hundredths", [](int i) { return std::round(i * i * 1.7) / 100; }, true, 2.0},
      {"always the same", [](int) { return 42.0; }, true, 0.7},
      {"thirds", [](int i) { return i / 3.0; }, false, 12},
      {"minus zero", [](int i) { return i == 77 ? -0.0 : 1.0; }, false, 9},
      {"ends stale", [](int i) { return i == 239 ? stale_nan() : 1.0; }, false, 9},
      {"beyond 2^53", [](int i) { return 9007199254740993.0 + i * 2; }, false, 9},
      {"very small and very large", [](int i) { return i % 2 ? 1e-9 : 1e15; }, false, 20},
  };
  for (const Kind& kind : kinds) {
    CAPTURE(kind.name);
    FloatChunk chunk;
    for (int i = 0; !chunk.full(); ++i) chunk.append(1'700'000'000'000 + i * 30'000LL + i % 3, kind.value(i));
    CHECK(chunk.count() == FloatChunk::kSamplesMax);
    CHECK((chunk.head() != chunk.count()) == kind.packed);
    CHECK(static_cast<double>(chunk.bytes().size()) / chunk.count() < kind.bytes_max);
    const FloatChunk again =
        FloatChunk::restore(chunk.head(), chunk.first_time(), chunk.last_time(), chunk.bytes()).value();
    std::vector<FloatPoint> got;
    REQUIRE(again.decode(INT64_MIN, INT64_MAX, got).ok());
    REQUIRE(got.size() == chunk.count());
    for (int i = 0; i < 240; ++i) {
      CHECK(got[i].t == 1'700'000'000'000 + i * 30'000LL + i % 3);
      CHECK(std::bit_cast<std::uint64_t>(got[i].v) == std::bit_cast<std::uint64_t>(kind.value(i)));
    }
  }
}

TEST_CASE("times that are too far apart for one frame are not packed; any others are") {
  const FloatPoint far[] = {{INT64_MIN, 1}, {0, 2}, {INT64_MAX, 3}};
  CHECK_FALSE(pack(far));
  const FloatPoint points[] = {{-5, 1}, {1'700'000'000'000, 2}, {1'700'000'000'001, 3}};
  const auto packed = pack(points);
  REQUIRE(packed);
  std::vector<FloatPoint> got;
  REQUIRE(unpack(*packed, 3, 0, INT64_MAX, got).ok());
  REQUIRE(got.size() == 2);
  CHECK(got[1].t == 1'700'000'000'001);
}

TEST_CASE("a packed chunk that is cut or changed is refused, or gives as many samples as it says") {
  FloatChunk chunk;
  for (int i = 0; !chunk.full(); ++i) chunk.append(i * 30'000LL, i * 3.0);
  std::vector<FloatPoint> none;
  for (std::size_t cut = 0; cut < chunk.bytes().size(); ++cut)
    CHECK_FALSE(decode_chunk(chunk.bytes().substr(0, cut), chunk.head(), INT64_MIN, INT64_MAX, none).ok());
  CHECK_FALSE(FloatChunk::restore(FloatChunk::kPackedFlag, 0, 1, chunk.bytes()).ok());
  CHECK_FALSE(FloatChunk::restore(FloatChunk::kPackedFlag | 100'000, 0, 1, chunk.bytes()).ok());
  CHECK_FALSE(FloatChunk::restore(chunk.head(), 1, 0, chunk.bytes()).ok());
  for (std::size_t at = 0; at < chunk.bytes().size(); ++at)
    for (const char byte : {'\0', '\x40', '\x7f', '\xff'}) {
      std::string changed = chunk.bytes();
      changed[at] = byte;
      std::vector<FloatPoint> got;
      if (unpack(changed, 240, INT64_MIN, INT64_MAX, got).ok()) CHECK(got.size() == 240);
    }
}

TEST_CASE("what append acknowledged is there after a reopening") {
  const TempDir dir = TempDir::make().value();
  {
    auto db = Tsdb::open(dir.path(), {}).value();
    for (int i = 0; i < 1000; ++i) CHECK(put(*db, "up", 1000 + i * 10, i).added == 1);
  }
  auto db = Tsdb::open(dir.path(), {}).value();
  const auto points = points_of(*db, "up");
  REQUIRE(points.size() == 1000);
  CHECK(points[999] == FloatPoint{10990, 999});
  CHECK(put(*db, "up", 10990, 999).duplicate == 1);
  CHECK(put(*db, "up", 11000, 1).added == 1);
}

TEST_CASE("a torn record at the end of the log is cut off and hides nothing before it") {
  const TempDir dir = TempDir::make().value();
  {
    auto db = Tsdb::open(dir.path(), {}).value();
    for (int i = 0; i < 10; ++i) put(*db, "up", i * 10, i);
  }
  const std::string segment = dir.path() + "/wal/00000001";
  const std::string whole = read_file(segment).value();
  for (std::size_t cut = whole.size() - 1; cut > whole.size() - 20; --cut) {
    REQUIRE(write_file_unsynced(segment, whole.substr(0, cut)).ok());
    auto db = Tsdb::open(dir.path(), {}).value();
    CHECK(points_of(*db, "up").size() == 9);
    CHECK(put(*db, "up", 1000, 1).added == 1);
  }
}

TEST_CASE("a snapshot replaces the log") {
  const TempDir dir = TempDir::make().value();
  TsdbOptions options;
  options.snapshot_log_bytes = 1;
  {
    auto db = Tsdb::open(dir.path(), options).value();
    for (int i = 0; i < 600; ++i) put(*db, "up", i * 10, i);
    put(*db, "up", 5, 7);  // out of order
    REQUIRE(db->maintain(6000).ok());
    put(*db, "up", 6000, 600);
    CHECK_FALSE(exists(dir.path() + "/wal/00000001"));
  }
  auto db = Tsdb::open(dir.path(), options).value();
  const auto points = points_of(*db, "up");
  REQUIRE(points.size() == 602);
  CHECK(points[1] == FloatPoint{5, 7});
  CHECK(points.back() == FloatPoint{6000, 600});
}

TEST_CASE("older samples are taken within the window and refused beyond it") {
  const TempDir dir = TempDir::make().value();
  auto db = Tsdb::open(dir.path(), {.out_of_order_ms = 100}).value();
  put(*db, "up", 1000, 1);
  CHECK(put(*db, "up", 950, 2).added == 1);
  CHECK(put(*db, "up", 950, 3).conflicting == 1);
  CHECK(put(*db, "up", 899, 2).too_old == 1);
  CHECK(points_of(*db, "up") == std::vector<FloatPoint>{{950, 2}, {1000, 1}});
}

TEST_CASE("more series than allowed are refused, those that exist go on") {
  const TempDir dir = TempDir::make().value();
  auto db = Tsdb::open(dir.path(), {.series_max = 1}).value();
  put(*db, "a", 1, 1);
  CHECK(put(*db, "b", 1, 1).over_limit == 1);
  CHECK(put(*db, "a", 2, 1).added == 1);
}

TEST_CASE("retention drops by time and by size") {
  const TempDir dir = TempDir::make().value();
  TsdbOptions options;
  options.retention_ms = 10'000;
  auto db = Tsdb::open(dir.path(), options).value();
  for (int i = 0; i < 1000; ++i) put(*db, "up", i * 100, std::sin(i));
  REQUIRE(db->maintain(100'000).ok());
  CHECK(points_of(*db, "up").front().t >= 60'000);
  REQUIRE(db->maintain(1'000'000).ok());
  CHECK(db->stats().series == 0);
}

TEST_CASE("removed samples stay removed") {
  const TempDir dir = TempDir::make().value();
  {
    auto db = Tsdb::open(dir.path(), {}).value();
    for (int i = 0; i < 10; ++i) put(*db, "up", i * 10, i);
    const std::vector<Matcher> matchers{Matcher::make(MatchType::regex, "__name__", "u.").value()};
    CHECK(db->remove(matchers, 20, 80).value() == 1);
  }
  auto db = Tsdb::open(dir.path(), {}).value();
  CHECK(points_of(*db, "up") == std::vector<FloatPoint>{{0, 0}, {10, 1}, {90, 9}});
}

TEST_CASE("what is old lies in blocks, is read like the rest, and memory is free of it") {
  const TempDir dir = TempDir::make().value();
  constexpr std::int64_t kHour = 3'600'000, kStep = 30'000;
  const int count = 12 * kHour / kStep;
  {
    auto db = Tsdb::open(dir.path(), {}).value();
    for (int i = 0; i < count; ++i) put(*db, "up", i * kStep, i);
    const auto before = points_of(*db, "up");
    REQUIRE(db->maintain(12 * kHour).ok());
    CHECK(db->stats().blocks == 2);  // the first eight hours in one
    CHECK(db->stats().samples < 600);
    CHECK(points_of(*db, "up") == before);
    CHECK(put(*db, "up", count * kStep, 1).added == 1);
  }
  auto db = Tsdb::open(dir.path(), {}).value();
  auto points = points_of(*db, "up");
  REQUIRE(points.size() == static_cast<std::size_t>(count) + 1);
  CHECK(points[100] == FloatPoint{100 * kStep, 100});
  const std::vector<Matcher> matchers{Matcher::make(MatchType::equal, "__name__", "up").value()};
  CHECK(db->remove(matchers, 0, 100 * kStep).value() == 1);
  CHECK(points_of(*db, "up").front() == FloatPoint{101 * kStep, 101});
  REQUIRE(db->maintain(40LL * 24 * kHour).ok());
  CHECK(db->stats().blocks == 0);
  CHECK(db->stats().series == 0);
}

TEST_CASE("a crash after a block was written leaves every sample once") {
  const TempDir dir = TempDir::make().value();
  constexpr std::int64_t kHour = 3'600'000;
  const TempDir copy = TempDir::make().value();
  {
    auto db = Tsdb::open(dir.path(), {}).value();
    for (int i = 0; i < 720; ++i) put(*db, "up", i * 15'000, i);
    const std::string log = read_file(dir.path() + "/wal/00000001").value();
    REQUIRE(db->maintain(4 * kHour).ok());
    CHECK(db->stats().blocks == 1);
    // As if the snapshot had not been written and the log not cut.
    REQUIRE(make_dirs(copy.path() + "/wal").ok());
    REQUIRE(make_dirs(copy.path() + "/blocks").ok());
    REQUIRE(write_file_unsynced(copy.path() + "/wal/00000001", log).ok());
    REQUIRE(write_file_unsynced(copy.path() + "/blocks/00000001.block",
                                read_file(dir.path() + "/blocks/00000001.block").value())
                .ok());
  }
  auto db = Tsdb::open(copy.path(), {}).value();
  const auto points = points_of(*db, "up");
  REQUIRE(points.size() == 720);
  CHECK(points[719] == FloatPoint{719 * 15'000, 719});
}

TEST_CASE("a damaged block is set aside, the others are read") {
  const TempDir dir = TempDir::make().value();
  {
    auto db = Tsdb::open(dir.path(), {}).value();
    for (int i = 0; i < 720; ++i) put(*db, "up", i * 15'000, i);
    REQUIRE(db->maintain(4 * 3'600'000).ok());
  }
  const std::string path = dir.path() + "/blocks/00000001.block";
  std::string bytes = read_file(path).value();
  bytes[bytes.size() - 20] ^= 1;
  REQUIRE(write_file_unsynced(path, bytes).ok());
  auto db = Tsdb::open(dir.path(), {}).value();
  CHECK(db->stats().blocks == 0);
  CHECK(exists(path + ".damaged"));
}

TEST_CASE("matchers select by the index") {
  const TempDir dir = TempDir::make().value();
  auto db = Tsdb::open(dir.path(), {}).value();
  const std::vector<NewSample> samples{{named("up", "a"), 1, 1, nullptr},
                                       {named("up", "b"), 1, 1, nullptr},
                                       {named("down", "a"), 1, 1, nullptr},
                                       {Labels::from({{"__name__", "up"}}), 1, 1, nullptr}};
  REQUIRE(db->append(samples).ok());
  const auto count = [&](MatchType type, const std::string& name, const std::string& value) {
    const std::vector<Matcher> matchers{Matcher::make(MatchType::equal, "__name__", "up").value(),
                                        Matcher::make(type, name, value).value()};
    return db->select(matchers, 0, 10).value().size();
  };
  CHECK(count(MatchType::equal, "instance", "a") == 1);
  CHECK(count(MatchType::equal, "instance", "") == 1);
  CHECK(count(MatchType::not_equal, "instance", "a") == 2);
  CHECK(count(MatchType::regex, "instance", "a|b") == 2);
  CHECK(count(MatchType::not_regex, "instance", ".+") == 1);
  CHECK(db->label_names({}) == std::vector<std::string>{"__name__", "instance"});
  CHECK(db->label_values("__name__", {}) == std::vector<std::string>{"down", "up"});
}

TEST_CASE("a batch that goes back in time has each sample once, the first of two with one time") {
  const TempDir dir = TempDir::make().value();
  auto db = Tsdb::open(dir.path(), {}).value();
  std::vector<NewSample> batch;
  for (const std::int64_t t : {3000, 1000, 2000, 1000, 3000, 4000})
    batch.push_back({named("up"), t, static_cast<double>(batch.size()), nullptr});
  const AppendCounts counts = db->append(batch).value();
  CHECK(counts.added == 4);
  CHECK(counts.duplicate == 2);
  CHECK(points_of(*db, "up") == std::vector<FloatPoint>{{1000, 1}, {2000, 2}, {3000, 0}, {4000, 5}});
  db.reset();
  db = Tsdb::open(dir.path(), {}).value();
  CHECK(points_of(*db, "up") == std::vector<FloatPoint>{{1000, 1}, {2000, 2}, {3000, 0}, {4000, 5}});
}

TEST_CASE("one series takes so many samples out of order, and refuses more") {
  const TempDir dir = TempDir::make().value();
  auto db = Tsdb::open(dir.path(), {}).value();
  put(*db, "up", 1'000'000, 0);
  std::vector<NewSample> batch;
  for (std::int64_t t = 0; t < 30'000; ++t) batch.push_back({named("up"), 900'000 - t, 1, nullptr});
  CHECK(db->append(batch)->added == 30'000);  // it is known after the batch
  CHECK(put(*db, "up", 950'000, 1).too_old == 1);
  CHECK(put(*db, "up", 1'000'001, 1).added == 1);
}

TEST_CASE("a damaged snapshot is set aside, and what blocks and the log have is read") {
  const TempDir dir = TempDir::make().value();
  TsdbOptions options;
  options.snapshot_log_bytes = 1;
  {
    auto db = Tsdb::open(dir.path(), options).value();
    for (int i = 0; i < 240; ++i) put(*db, "old", i * 30'000LL, i);
    for (int i = 0; i < 10; ++i) put(*db, "new", 40'000'000 + i, i);
    REQUIRE(db->maintain(40'000'000).ok());  // "old" is in a block, "new" in the snapshot
    put(*db, "later", 40'000'000, 7);
  }
  const std::string path = dir.path() + "/snapshot";
  std::string bytes = read_file(path).value();
  SUBCASE("a byte has changed") {
    bytes[bytes.size() / 2] ^= 1;
  }
  SUBCASE("it is cut") {
    bytes.resize(bytes.size() - 1);
  }
  SUBCASE("it is empty") {
    bytes.clear();
  }
  REQUIRE(write_file(path, bytes).ok());
  auto db = Tsdb::open(dir.path(), options).value();
  CHECK(points_of(*db, "old").size() == 240);
  CHECK(points_of(*db, "new").empty());
  CHECK(exists(path + ".damaged"));
  CHECK(put(*db, "new", 40'000'000, 1).added == 1);
}

TEST_CASE("any byte of a snapshot that has changed, and any end that is missing, is noticed") {
  const TempDir dir = TempDir::make().value();
  const std::string path = dir.path() + "/snapshot";
  SeriesIndex index;
  for (std::uint64_t ref = 1; ref <= 3; ++ref) {
    const auto series = std::make_shared<TsdbSeries>(ref, named("up", std::to_string(ref)));
    for (int i = 0; i < 5; ++i) series->add(i * 1000, i, nullptr);
    series->add(500, 7, nullptr);
    index.add(series);
  }
  REQUIRE(write_snapshot(path, index, {4}).ok());
  const auto is_read = [&](const std::string& bytes) {
    REQUIRE(write_file_unsynced(path, bytes).ok());
    SeriesIndex again;
    const auto place = read_snapshot(path, again);
    return place.ok() && place->first_segment == 4 && again.size() == 3 && again.names() == index.names() &&
           again.find(named("up", "2"))->samples() == 6;
  };
  const std::string whole = read_file(path).value();
  CHECK(is_read(whole));
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 0x10);
    CHECK_FALSE(is_read(changed));
    CHECK_FALSE(is_read(whole.substr(0, at)));
  }
}

TEST_CASE("a snapshot of many series is read by two threads, and what is broken in either half is noticed") {
  const TempDir dir = TempDir::make().value();
  const std::string path = dir.path() + "/snapshot";
  SeriesIndex index;
  constexpr std::uint64_t kCount = 20'001;
  for (std::uint64_t ref = 1; ref <= kCount; ++ref) {
    const auto series = std::make_shared<TsdbSeries>(ref * 3, named("up", std::to_string(ref)));
    series->add(static_cast<std::int64_t>(ref), 1, nullptr);
    index.add(series);
  }
  REQUIRE(write_snapshot(path, index, {4}).ok());
  SeriesIndex again;
  REQUIRE(read_snapshot(path, again).ok());
  CHECK(again.size() == kCount);
  CHECK(again.names() == index.names());
  for (const std::uint64_t ref : {std::uint64_t{1}, kCount / 2, kCount / 2 + 1, kCount})
    CHECK(again.find(ref * 3)->newest() == static_cast<std::int64_t>(ref));
  std::string bytes = read_file(path).value();
  bytes[bytes.size() - 20] = static_cast<char>(bytes[bytes.size() - 20] + 1);  // the place of the second half
  const std::uint32_t crc = crc32c(std::string_view(bytes).substr(0, bytes.size() - 12));
  bytes.replace(bytes.size() - 12, sizeof crc, reinterpret_cast<const char*>(&crc), sizeof crc);
  REQUIRE(write_file_unsynced(path, bytes).ok());
  SeriesIndex broken;
  CHECK_FALSE(read_snapshot(path, broken).ok());
}

TEST_CASE("a series whose samples were all deleted is forgotten") {
  const TempDir dir = TempDir::make().value();
  auto db = Tsdb::open(dir.path(), {}).value();
  put(*db, "gone", 1000, 1);
  put(*db, "here", 1000, 1);
  const std::vector<Matcher> gone{Matcher::make(MatchType::equal, "__name__", "gone").value()};
  REQUIRE(db->remove(gone, INT64_MIN, INT64_MAX).ok());
  CHECK(db->label_values("__name__", {}) == std::vector<std::string>{"here"});
  CHECK(put(*db, "gone", 2000, 1).added == 1);
  db.reset();
  db = Tsdb::open(dir.path(), {}).value();
  CHECK(points_of(*db, "gone") == std::vector<FloatPoint>{{2000, 1}});
}

TEST_CASE("a chunk goes on after a restart where it was, bit for bit") {
  const TempDir dir = TempDir::make().value();
  const std::string path = dir.path() + "/snapshot";
  const auto value = [](int i) { return i % 7 == 0 ? 1.0 / (i + 1) : i * 0.25; };
  for (int before = 1; before < 60; ++before) {
    SeriesIndex index;
    const auto series = std::make_shared<TsdbSeries>(1, named("up"));
    for (int i = 0; i < before; ++i) series->add(i * 1000 + i % 3, value(i), nullptr);
    index.add(series);
    REQUIRE(write_snapshot(path, index, {1}).ok());
    SeriesIndex again;
    REQUIRE(read_snapshot(path, again).ok());
    TsdbSeries& restored = *again.find(std::uint64_t{1});
    for (int i = before; i < before + 20; ++i)
      for (TsdbSeries* one : {series.get(), &restored}) one->add(i * 1000 + i % 3, value(i), nullptr);
    REQUIRE(restored.contents().chunks.size() == 1);
    CHECK(restored.contents().chunks[0].bytes() == series->contents().chunks[0].bytes());
  }
}

TEST_CASE("a snapshot of the version before is read, its chunks closed") {
  const TempDir dir = TempDir::make().value();
  const std::string path = dir.path() + "/snapshot";
  SeriesIndex index;
  const auto series = std::make_shared<TsdbSeries>(1, named("up"));
  for (int i = 0; i < 240; ++i) series->add(i * 1000, i, nullptr);  // full: written as it was before
  index.add(series);
  REQUIRE(write_snapshot(path, index, {4}).ok());
  std::string bytes = read_file(path).value();
  bytes.erase(bytes.size() - 20, 8);  // where its second half begins
  bytes[7] = '2';
  bytes.back() = '2';
  const std::uint32_t crc = crc32c(std::string_view(bytes).substr(0, bytes.size() - 12));
  bytes.replace(bytes.size() - 12, sizeof crc, reinterpret_cast<const char*>(&crc), sizeof crc);
  REQUIRE(write_file_unsynced(path, bytes).ok());
  SeriesIndex again;
  CHECK(read_snapshot(path, again).value().first_segment == 4);
  CHECK(again.find(named("up"))->samples() == 240);
  bytes[7] = '1';
  REQUIRE(write_file_unsynced(path, bytes).ok());
  CHECK_FALSE(read_snapshot(path, again).ok());
}

}  // namespace caisson::metrics
