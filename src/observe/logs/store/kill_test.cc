// SPDX-License-Identifier: Apache-2.0
// kill -9 of a process that stores lines: what push() acknowledged is there once, with its position.
#include "core/base/file.h"
#include "observe/logs/store/cursor.h"
#include "observe/logs/store/store.h"
#include "observe/metrics/storage/test_kill.h"

namespace caisson::logs {
namespace {

using metrics::KillProgress;

constexpr const char* kSource = "pod/container";

// Segments often, so that kills meet their making.
StoreOptions options() {
  StoreOptions options;
  options.log_bytes = 1500;
  return options;
}

std::int64_t begin_of(const Clock& clock) {
  return clock.now().time_since_epoch().count() - 60LL * 1'000'000'000;
}

void push_until_killed(const std::string& directory, KillProgress& progress) {
  FakeClock clock;
  const auto store = Store::open(directory, options(), clock);
  if (!store.ok()) return;
  progress.ready = true;
  const Labels labels = Labels::from({{"app", "a"}});
  for (std::int64_t n = progress.asked + 1;; ++n) {
    progress.asked = n;
    const std::string line = "line " + std::to_string(n);
    const NewStream stream{labels, {{begin_of(clock) + n, line, {}}}};
    const Positions moved{{kSource, {"0.log", static_cast<std::uint64_t>(n), labels}}};
    const auto report = (*store)->push({&stream, 1}, moved);
    if (!report.ok() || report->added != 1) return;
    progress.acknowledged = n;
  }
}

// How many lines there are, from 1 on without a gap and none twice; the position says the same.
std::int64_t whole_lines(const std::string& directory) {
  FakeClock clock;
  const auto store = Store::open(directory, options(), clock);
  REQUIRE_MESSAGE(store.ok(), store.error().message);
  std::int64_t count = 0;
  for (StreamBlocks& stream : (*store)->select({}, INT64_MIN, INT64_MAX)) {
    Cursor cursor(std::move(stream.blocks), {});
    for (;;) {
      const Run run = cursor.next().value();
      if (run.count == 0) break;
      for (std::size_t i = 0; i < run.count; ++i) {
        ++count;
        REQUIRE(run.lines->line(run.index(i)) == "line " + std::to_string(count));
        REQUIRE(run.lines->times[run.index(i)] == begin_of(clock) + count);
      }
    }
  }
  const Positions positions = (*store)->positions();
  const auto at = positions.find(kSource);
  REQUIRE((at == positions.end() ? 0 : at->second.offset) == static_cast<std::uint64_t>(count));
  return count;
}

}  // namespace

TEST_CASE("kill -9 of a process that stores lines loses none that was acknowledged and doubles none") {
  const TempDir dir = TempDir::make("logs-kill").value();
  metrics::kill_again_and_again([&](KillProgress& progress) { push_until_killed(dir.path(), progress); },
                                [&] { return whole_lines(dir.path()); });
}

TEST_CASE("a log that a power cut left with zeros at its end is opened") {
  const TempDir dir = TempDir::make("logs-cut").value();
  FakeClock clock;
  const Labels labels = Labels::from({{"app", "a"}});
  {
    const auto store = Store::open(dir.path(), StoreOptions(), clock).value();
    const NewStream stream{labels, {{begin_of(clock) + 1, "line 1", {}}}};
    const Positions moved{{kSource, {"0.log", 1, labels}}};
    REQUIRE(store->push({&stream, 1}, moved)->added == 1);
  }
  REQUIRE(append_file(dir.path() + "/wal/00000001", std::string(40, '\0')).ok());
  CHECK(whole_lines(dir.path()) == 1);
}

}  // namespace caisson::logs
