// SPDX-License-Identifier: Apache-2.0
#include "observe/logs/store/store.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <random>
#include <set>

#include "core/base/file.h"
#include "observe/logs/store/cursor.h"
#include "observe/logs/store/filter.h"

namespace caisson::logs {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

Labels app(const std::string& name) {
  return Labels::from({{"app", name}});
}

std::int64_t now_of(const Clock& clock) {
  return clock.now().time_since_epoch().count();
}

PushReport put(Store& store, const Labels& labels, std::int64_t t, const std::string& line,
               const Positions& moved = {}) {
  const NewStream stream{labels, {{t, line, {}}}};
  return store.push({&stream, 1}, moved).value();
}

using Found = std::tuple<std::int64_t, std::string, Labels>;

std::vector<Found> read_all(const Store& store, const Labels& labels, Direction direction = Direction::forward,
                            std::int64_t mint = INT64_MIN + 1, std::int64_t maxt = INT64_MAX) {
  std::vector<Found> out;
  std::vector<Matcher> matchers;
  for (const LabelView label : labels.items())
    matchers.push_back(
        Matcher::make(metrics::MatchType::equal, std::string(label.name), std::string(label.value)).value());
  for (StreamBlocks& stream : store.select(matchers, mint, maxt)) {
    Cursor cursor(std::move(stream.blocks), {mint, maxt, direction, Columns::all, {}});
    for (;;) {
      const Run run = cursor.next().value();
      if (run.count == 0) break;
      for (std::size_t i = 0; i < run.count; ++i) {
        const std::size_t at = run.index(i);
        out.emplace_back(run.lines->times[at], std::string(run.lines->line(at)), run.lines->metadata_of(at));
      }
    }
  }
  return out;
}

// What may go meanwhile (the log, once its segment is there) is copied first.
void copy_tree(const std::string& from, const std::string& to) {
  REQUIRE(make_dirs(to).ok());
  auto names = list_dir(from).value();
  std::reverse(names.begin(), names.end());
  for (const std::string& name : names) {
    const std::string path = from + "/" + name;
    if (is_directory(path)) {
      copy_tree(path, to + "/" + name);
    } else if (const auto bytes = read_file(path); bytes.ok()) {
      REQUIRE(write_file_unsynced(to + "/" + name, *bytes).ok());
    }
  }
}

}  // namespace

TEST_CASE("a block gives back its lines, and its filter knows what is in it") {
  Lines lines;
  lines.sets.push_back(Labels::from({{"trace", "1"}}));
  for (int i = 0; i < 1000; ++i)
    lines.append(i * kSecond + i % 3, "line number " + std::to_string(i) + (i == 700 ? " needle-in-the-hay" : ""),
                 i % 2);
  lines.append(2000 * kSecond, "two\nlines", 0);
  lines.append(2000 * kSecond, "", 0);
  const SealedBlock block = seal(lines).value();
  CHECK(block.info == BlockInfo{0, 2000 * kSecond, 1002, lines.text.size(), true});
  const Lines again = unseal(block.columns, block.text, Columns::all).value();
  CHECK(again.times == lines.times);
  CHECK(again.ends == lines.ends);
  CHECK(again.metadata == lines.metadata);
  CHECK(again.sets == lines.sets);
  CHECK(again.text == lines.text);
  const Lines lengths = unseal(block.columns, {}, Columns::times_and_lengths).value();
  CHECK(lengths.line_bytes(1000) == 9);
  CHECK(may_contain(block.filter, "needle-in-the-hay"));
  CHECK(may_contain(block.filter, "short"));
  CHECK_FALSE(may_contain(block.filter, "3c6a9f0b-what-is-not-there-5d4e"));
  std::string broken = block.text;
  broken[broken.size() / 2] = static_cast<char>(broken[broken.size() / 2] ^ 0x55);
  CHECK_FALSE(unseal(block.columns, broken, Columns::all).ok());
  CHECK_FALSE(unseal(block.columns.substr(0, block.columns.size() / 2), block.text, Columns::all).ok());
}

TEST_CASE("what is pushed is there after a restart, once, with its positions") {
  const TempDir dir = TempDir::make().value();
  FakeClock clock;
  const std::int64_t t = now_of(clock);
  {
    const auto store = Store::open(dir.path(), {}, clock).value();
    put(*store, app("a"), t, "one", {{"f", {"x", 10, app("a")}}});
    put(*store, app("a"), t + 1, "two", {{"f", {"x", 20, app("a")}}});
    CHECK(put(*store, app("a"), t + 1, "two").duplicate == 1);
    CHECK(put(*store, app("a"), t + 1, "other").duplicate == 0);
  }
  const auto store = Store::open(dir.path(), {}, clock).value();
  CHECK(read_all(*store, app("a")) == std::vector<Found>{{t, "one", {}}, {t + 1, "two", {}}, {t + 1, "other", {}}});
  CHECK(store->positions() == Positions{{"f", {"x", 20, app("a")}}});
  const std::string dropped[] = {"f"};
  REQUIRE(store->push({}, {}, dropped).ok());
  CHECK(store->positions().empty());
}

TEST_CASE("a late line sent again right after its stream was sealed is there once") {
  const TempDir dir = TempDir::make().value();
  FakeClock clock;
  StoreOptions options;
  options.segment_age = 0;
  const std::int64_t t = now_of(clock);
  const auto store = Store::open(dir.path(), options, clock).value();
  put(*store, app("a"), t + 10, "newest");
  clock.advance(std::chrono::seconds(1));
  REQUIRE(store->maintain().ok());
  for (int i = 0; i < 2; ++i) put(*store, app("a"), t, "late");
  CHECK(read_all(*store, app("a")) == std::vector<Found>{{t, "late", {}}, {t + 10, "newest", {}}});
}

TEST_CASE("pushes are refused with the limit's name") {
  const TempDir dir = TempDir::make().value();
  FakeClock clock;
  const std::int64_t t = now_of(clock);
  StoreOptions options;
  options.streams_max = 2;
  options.line_bytes_max = 20;
  options.rate_bytes = 10;
  options.burst_bytes = 60;
  const auto store = Store::open(dir.path(), options, clock).value();
  const auto refusal = [&](const Labels& labels, std::int64_t at, const std::string& line) {
    const PushReport report = put(*store, labels, at, line);
    return report.error ? report.error->message : "";
  };
  CHECK(refusal(app("a"), t, "fine") == "");
  CHECK(refusal({}, t, "x") == "error at least one label pair is required per stream");
  CHECK(refusal(app("a"), t, std::string(21, 'x')) ==
        "Max entry size '20' bytes exceeded for stream '{app=\"a\"}' while adding an entry with length '21' bytes");
  CHECK(refusal(app("a"), t - options.too_old - 1, "x")
            .find("has timestamp too old: 2023-11-07T22:13:19.999999999Z, oldest acceptable timestamp is: "
                  "2023-11-07T22:13:20Z") != std::string::npos);
  CHECK(refusal(app("a"), t + options.too_new + 1, "x") ==
        "entry for stream '{app=\"a\"}' has timestamp too new: 2023-11-14T22:23:20.000000001Z");
  CHECK(refusal(app("a"), t - options.out_of_order - 1, "x").starts_with("entry too far behind, entry timestamp is: "));
  CHECK(refusal(app("b"), t, "x") == "");
  CHECK(refusal(app("c"), t, "x").starts_with("Maximum active stream limit exceeded"));
  CHECK(refusal(Labels::from({{"a-b", "c"}}), t, "x") == "stream '{\"a-b\"=\"c\"}' has invalid label name: 'a-b'");
  std::vector<Label> many;
  for (int i = 0; i < 16; ++i) many.push_back({"l" + std::to_string(i), "x"});
  CHECK(refusal(Labels::from(many), t, "x").find("has 16 label names; limit 15") != std::string::npos);
  // Others of the same push are kept.
  const NewStream mixed{app("a"), {{t + 1, std::string(30, 'x'), {}}, {t + 2, "kept", {}}}};
  const std::string line(30, 'x');
  NewStream stream = mixed;
  stream.entries[0].line = line;
  const PushReport report = store->push({&stream, 1}).value();
  CHECK(report.added == 1);
  CHECK(report.refused == 1);
  std::string limited;
  for (int i = 0; i < 10 && limited.empty(); ++i) {
    const NewStream more{app("a"), {{t + 10 + i, "0123456789", {}}}};
    const auto pushed = store->push({&more, 1});
    if (!pushed.ok()) limited = pushed.error().message;
  }
  CHECK(
      limited.starts_with("Ingestion rate limit exceeded for user fake (limit: 10 bytes/sec) while attempting to "
                          "ingest '1' lines totaling '10' bytes"));
}

TEST_CASE("random pushes, segments and restarts: nothing lost, nothing twice, in order both ways") {
  const std::uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  const auto pick = [&](std::uint64_t n) { return random() % n; };
  FakeClock clock;
  StoreOptions options;
  options.log_bytes = 30'000;
  const TempDir parent = TempDir::make().value();
  std::string dir = parent.path() + "/0";
  auto store = Store::open(dir, options, clock).value();
  std::map<Labels, std::set<Found>> wanted;
  Positions positions;
  std::int64_t t = now_of(clock);
  for (int round = 0; round < 300; ++round) {
    std::vector<std::string> texts;
    texts.reserve(200);
    std::vector<NewStream> streams;
    for (std::uint64_t n = 1 + pick(3); n > 0; --n) {
      NewStream stream{app(std::string(1, static_cast<char>('a' + pick(4)))), {}};
      for (std::uint64_t k = pick(40); k > 0; --k) {
        t += static_cast<std::int64_t>(pick(3)) * 1000;
        const std::int64_t at = pick(5) == 0 ? t - static_cast<std::int64_t>(pick(2000)) * 1'000'000 : t;
        texts.push_back("line " + std::to_string(pick(50)) + std::string(pick(300), 'x'));
        stream.entries.push_back(
            {at, texts.back(), pick(4) == 0 ? Labels::from({{"id", std::to_string(pick(5))}}) : Labels()});
        wanted[stream.labels].emplace(at, texts.back(), stream.entries.back().metadata);
      }
      streams.push_back(std::move(stream));
    }
    Positions moved{{"f" + std::to_string(pick(3)), {"x", static_cast<std::uint64_t>(round), {}}}};
    const PushReport report = store->push(streams, moved).value();
    REQUIRE_FALSE(report.error);
    for (const auto& [source, position] : moved) positions[source] = position;
    if (pick(4) == 0) REQUIRE(store->push(streams).ok());  // an answer that was lost: sent again
    if (pick(20) == 0) REQUIRE(store->maintain().ok());
    if (pick(25) == 0) {  // killed: what is on the disk at this moment is what the next one finds
      const std::string next = parent.path() + "/" + std::to_string(round + 1);
      copy_tree(dir, next);
      store.reset();
      dir = next;
      store = Store::open(dir, options, clock).value();
    }
  }
  CHECK(store->positions() == positions);
  for (const auto& [labels, lines] : wanted) {
    const auto forward = read_all(*store, labels);
    CHECK(std::is_sorted(forward.begin(), forward.end(),
                         [](const Found& a, const Found& b) { return std::get<0>(a) < std::get<0>(b); }));
    CHECK(forward.size() == lines.size());
    CHECK(std::set<Found>(forward.begin(), forward.end()) == lines);
    auto backward = read_all(*store, labels, Direction::backward);
    CHECK(std::is_sorted(backward.begin(), backward.end(),
                         [](const Found& a, const Found& b) { return std::get<0>(a) > std::get<0>(b); }));
    CHECK(std::set<Found>(backward.begin(), backward.end()) == lines);
    CHECK(backward.size() == lines.size());
    const std::int64_t middle = std::get<0>(forward[forward.size() / 2]);
    for (const Found& one : read_all(*store, labels, Direction::forward, middle, INT64_MAX))
      CHECK(std::get<0>(one) >= middle);
  }
}

TEST_CASE("a log that outlives its segment does not double its lines; a torn end of it is cut off") {
  const TempDir parent = TempDir::make().value();
  const std::string dir = parent.path() + "/store";
  FakeClock clock;
  StoreOptions options;
  options.segment_age = 0;
  const std::int64_t t = now_of(clock);
  {
    const auto store = Store::open(dir, options, clock).value();
    put(*store, app("a"), t, "one");
    put(*store, app("a"), t + 1, "two");
    copy_tree(dir + "/wal", parent.path() + "/wal");
    clock.advance(std::chrono::seconds(1));
    REQUIRE(store->maintain().ok());
    for (int i = 0; i < 2000 && store->stats().segments == 0; ++i) ::usleep(1000);
    REQUIRE(store->stats().segments == 1);
  }
  REQUIRE(remove_tree(dir + "/wal").ok());
  copy_tree(parent.path() + "/wal", dir + "/wal");
  {
    const auto store = Store::open(dir, options, clock).value();
    CHECK(read_all(*store, app("a")).size() == 2);
    CHECK(store->stats().entries == 2);  // reading would hide it
    put(*store, app("a"), t + 2, "three");
  }
  const std::string log = dir + "/wal/" + list_dir(dir + "/wal").value().back();
  const std::string bytes = read_file(log).value();
  REQUIRE(write_file_unsynced(log, bytes.substr(0, bytes.size() - 3)).ok());
  const auto store = Store::open(dir, options, clock).value();
  CHECK(read_all(*store, app("a")).size() == 2);
}

TEST_CASE("lines are dropped when their stream's time is over, and the oldest when there is too much") {
  const TempDir dir = TempDir::make().value();
  FakeClock clock;
  StoreOptions options;
  options.segment_age = 0;
  options.retention.period = 100 * kSecond;
  options.retention.rules.push_back(
      {{Matcher::make(metrics::MatchType::equal, "app", "b").value()}, 1000 * kSecond, 1});
  const auto store = Store::open(dir.path(), options, clock).value();
  const auto segment = [&](std::size_t count) {
    clock.advance(std::chrono::seconds(1));
    REQUIRE(store->maintain().ok());
    for (int i = 0; i < 2000 && store->stats().segments != count; ++i) ::usleep(1000);
    REQUIRE(store->stats().segments == count);
  };
  std::string noise;
  std::mt19937 random(7);
  for (int i = 0; i < 5000; ++i) noise += static_cast<char>('!' + random() % 90);
  put(*store, app("a"), now_of(clock), "old " + noise);
  put(*store, app("b"), now_of(clock), "kept");
  segment(1);
  put(*store, app("a"), now_of(clock), "new");
  segment(2);
  CHECK(read_all(*store, app("a")).size() == 2);
  clock.advance(std::chrono::seconds(150));
  CHECK(store->horizon(app("a"), now_of(clock)) == now_of(clock) - 100 * kSecond);
  CHECK(store->horizon(app("b"), now_of(clock)) == now_of(clock) - 1000 * kSecond);
  const std::uint64_t before = store->stats().segment_bytes;
  REQUIRE(store->maintain().ok());
  CHECK(store->stats().segment_bytes < before);
  CHECK(read_all(*store, app("b")).size() == 1);  // its segment was written anew without the other
  CHECK(read_all(*store, app("a")).size() == 1);
  store->set_retention({10 * kSecond, {}});
  REQUIRE(store->maintain().ok());
  CHECK(read_all(*store, app("b")).empty());
  CHECK(store->stats().segments == 1);  // the newest stays: positions are in it
}

TEST_CASE("a listener hears what is added until its handle goes") {
  const TempDir dir = TempDir::make().value();
  FakeClock clock;
  const auto store = Store::open(dir.path(), {}, clock).value();
  std::vector<std::string> heard;
  auto handle = store->listen([&](std::span<const NewStream> streams) {
    for (const NewStream& stream : streams)
      for (const NewEntry& entry : stream.entries) heard.emplace_back(entry.line);
  });
  put(*store, app("a"), now_of(clock), "one");
  handle.reset();
  put(*store, app("a"), now_of(clock) + 1, "two");
  CHECK(heard == std::vector<std::string>{"one"});
}

}  // namespace caisson::logs
