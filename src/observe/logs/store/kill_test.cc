// SPDX-License-Identifier: Apache-2.0
// kill -9 of a process that stores lines: what push() acknowledged is there once, with its position. The oracle is
// another process: what was asked for and what was acknowledged stand in memory that both share.
// CAISSON_SOAK_KILLS: how many kills (default: a slice).
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <random>
#include <thread>

#include "core/base/file.h"
#include "observe/logs/store/cursor.h"
#include "observe/logs/store/store.h"

namespace caisson::logs {
namespace {

constexpr int kKillsDefault = 15;
constexpr auto kKilledWithin = std::chrono::microseconds(20'000);
constexpr const char* kSource = "pod/container";

struct Shared {
  std::atomic<std::int64_t> asked{0}, acknowledged{0};
  std::atomic<bool> ready{false};
};

// Segments often, so that kills meet their making.
StoreOptions options() {
  StoreOptions options;
  options.log_bytes = 1500;
  return options;
}

std::int64_t begin_of(const Clock& clock) {
  return clock.now().time_since_epoch().count() - 60LL * 1'000'000'000;
}

[[noreturn]] void push_until_killed(const std::string& directory, Shared& shared) {
  FakeClock clock;
  const auto store = Store::open(directory, options(), clock);
  if (!store.ok()) _exit(1);
  shared.ready = true;
  const Labels labels = Labels::from({{"app", "a"}});
  for (std::int64_t n = shared.asked + 1;; ++n) {
    shared.asked = n;
    const std::string line = "line " + std::to_string(n);
    const NewStream stream{labels, {{begin_of(clock) + n, line, {}}}};
    const Positions moved{{kSource, {"0.log", static_cast<std::uint64_t>(n), labels}}};
    const auto report = (*store)->push({&stream, 1}, moved);
    if (!report.ok() || report->added != 1) _exit(1);
    shared.acknowledged = n;
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
  const std::uint32_t seed = std::random_device()();
  CAPTURE(seed);
  std::mt19937 random(seed);
  const TempDir dir = TempDir::make("logs-kill").value();
  void* memory = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  Shared& shared = *new (memory) Shared;
  const char* wanted = std::getenv("CAISSON_SOAK_KILLS");
  const int kills = wanted ? std::max(1, std::atoi(wanted)) : kKillsDefault;
  for (int i = 0; i < kills; ++i) {
    shared.ready = false;
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) push_until_killed(dir.path(), shared);
    // Not a wait for something: the moment of the kill is what is tried. Some come while it opens.
    if (random() % 8 != 0)
      while (!shared.ready && ::kill(child, 0) == 0) std::this_thread::sleep_for(std::chrono::microseconds(100));
    std::this_thread::sleep_for(std::chrono::microseconds(random() % kKilledWithin.count()));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    REQUIRE(WIFSIGNALED(status));
    const std::int64_t stored = whole_lines(dir.path());
    CHECK(stored >= shared.acknowledged);
    CHECK(stored <= shared.asked);
    shared.asked = shared.acknowledged = stored;
  }
  MESSAGE(kills, " kills, ", shared.acknowledged.load(), " lines");
  CHECK(shared.acknowledged > 0);
  ::munmap(memory, sizeof(Shared));
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
