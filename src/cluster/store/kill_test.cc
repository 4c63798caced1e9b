// SPDX-License-Identifier: Apache-2.0
// kill -9 of a process that writes: at moments uniform in time, and at named points of a write, a checkpoint and an
// erasure. The oracle is another process: what was asked for and what was acknowledged stand in memory that both share.
// CAISSON_SOAK_KILLS: how many kills (default: a slice).
#include <doctest/doctest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <random>
#include <thread>

#include "cluster/store/store.h"
#include "cluster/store/watched_disk_test.h"
#include "core/base/file.h"

using namespace caisson;
using namespace caisson::store;
using namespace caisson::store::testing;

namespace {

constexpr std::size_t kWriters = 3, kNames = 5;
constexpr int kKillsDefault = 60;
constexpr int kUniformOfTen = 6;  // so many of ten kills come at a moment uniform in time
constexpr auto kUniformWithin = std::chrono::microseconds(20'000);
constexpr int kPatienceSeconds = 30;

enum class Point {
  any,
  log_write,
  before_log_sync,
  before_acknowledgement,
  erasure,
  checkpoint_write,
  before_file_sync
};
struct PointEntry {
  Point point;
  const char* name;
  int hits_max;  // killed at one of so many visits
};
constexpr PointEntry kPoints[] = {
    {Point::log_write, "writing the log", 60},
    {Point::before_log_sync, "before the log is synced", 30},
    {Point::before_acknowledgement, "between sync and acknowledgement", 30},
    {Point::erasure, "erasing old revisions", 3},
    {Point::checkpoint_write, "checkpoint writing the file", 50},
    {Point::before_file_sync, "before the file is synced", 1},
};

struct Numbers {
  std::array<std::array<std::atomic<std::int64_t>, kNames>, kWriters> of{};
};
// In memory that outlives the killed process.
struct Shared {
  Numbers asked, acknowledged;
  std::atomic<std::int64_t> revision{0};  // of the last acknowledged write
  std::atomic<bool> in_write{false};      // bytes of a transaction are on their way and not synced
  std::atomic<bool> ready{false};
};

class SharedMemory {
 public:
  SharedMemory()
      : shared_(new (mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) Shared) {
  }
  ~SharedMemory() { munmap(shared_, sizeof(Shared)); }
  Shared* operator->() { return shared_; }
  Shared& operator*() { return *shared_; }

 private:
  Shared* shared_;
};

// Of the process that dies. Kills it at the `hits`th visit of `point`.
class DeadlyDisk : public WatchedDisk {
 public:
  DeadlyDisk(const std::string& directory, Shared& shared, Point point, int hits)
      : WatchedDisk(directory), shared_(shared), point_(point), hits_(hits) {
    instance = this;
    sqlite3_auto_extension(reinterpret_cast<void (*)()>(watch_statements));
  }

  void writes(const std::string& path, std::int64_t, std::string_view) override {
    if (!is_log(path)) return visit(Point::checkpoint_write);
    shared_.in_write = true;
    visit(erasing_ ? Point::erasure : Point::log_write);
  }
  bool syncs(const std::string& path) override {
    visit(is_log(path) ? Point::before_log_sync : Point::before_file_sync);
    return true;
  }
  void synced(const std::string& path) override {
    if (!is_log(path)) return;
    shared_.in_write = false;
    visit(Point::before_acknowledgement);
  }

 private:
  static bool is_log(const std::string& path) { return path.ends_with("-wal"); }
  // Every connection tells which statement begins: the disk alone can't tell an erasure from a write.
  static int watch_statements(sqlite3* db, char**, const sqlite3_api_routines*) {
    return sqlite3_trace_v2(db, SQLITE_TRACE_STMT, statement_begins, nullptr);
  }
  static int statement_begins(unsigned, void*, void* statement, void*) {
    const std::string_view sql = sqlite3_sql(static_cast<sqlite3_stmt*>(statement));
    if (sql.starts_with("DELETE")) instance->erasing_ = true;
    if (sql.starts_with("BEGIN")) instance->erasing_ = false;
    return 0;
  }
  void visit(Point point) {
    if (point != point_ || !shared_.ready || hits_.fetch_sub(1) != 1) return;
    kill(getpid(), SIGKILL);
  }

  static inline DeadlyDisk* instance = nullptr;
  Shared& shared_;
  const Point point_;
  std::atomic<int> hits_;
  std::atomic<bool> erasing_ = false;
};

std::string name_of(std::size_t writer, std::size_t i) {
  return "w" + std::to_string(writer) + "-" + std::to_string(i);
}

Change put(const std::string& ns, const std::string& name, std::int64_t n, std::size_t padding) {
  return {.key = {"things", ns, name},
          .value = Value{{"kind", "Thing"},
                         {"metadata", Value{{"name", name}}},
                         {"spec", Value{{"n", n}, {"pad", std::string(padding, 'x')}}}}};
}

// The process that dies: each transaction writes one number to two objects.
[[noreturn]] void write_until_killed(const std::string& directory, Shared& shared, const PointEntry* at, int hits,
                                     std::int64_t first) {
  const bool in_checkpoint = at && (at->point == Point::checkpoint_write || at->point == Point::before_file_sync);
  const std::size_t padding = in_checkpoint ? 20'000 : 700;  // a checkpoint comes after so many pages
  DeadlyDisk disk(directory, shared, at ? at->point : Point::any, hits);
  FakeClock clock;
  // A short history, so that rows are erased and pages are used again.
  auto opened = Store::open(directory + "/store.db", clock, {.history_revisions_max = 30, .wal_bytes = 600 << 10});
  if (!opened.ok()) _exit(1);
  Store& store = **opened;
  shared.ready = true;
  std::vector<std::thread> writers;
  for (std::size_t writer = 0; writer < kWriters; ++writer)
    writers.emplace_back([&, writer] {
      for (std::int64_t n = first;; ++n) {
        const std::size_t i = static_cast<std::size_t>(n) % kNames;
        const std::string name = name_of(writer, i);
        shared.asked.of[writer][i] = n;
        const auto done = store.commit({put("left", name, n, padding), put("right", name, n, padding)});
        if (!done.ok()) _exit(1);
        shared.acknowledged.of[writer][i] = n;
        std::int64_t before = shared.revision;
        while (before < (*done)[0]->revision() &&
               !shared.revision.compare_exchange_weak(before, (*done)[0]->revision())) {
        }
      }
    });
  for (std::thread& writer : writers) writer.join();
  _exit(1);
}

std::int64_t number_in(const Store& store, const std::string& ns, const std::string& name) {
  const ItemPtr item = store.get("things", ns, name);
  return item ? item->value()["spec"]["n"].as_int() : 0;
}

// Opens a copy, so that the next process finds the files as this one left them.
void check_store(const std::string& directory, const Shared& shared) {
  TempDir copy = TempDir::make("store-killed").value();
  for (const char* file : {"store.db", "store.db-wal", "store.db.key"})
    if (const std::string from = directory + "/" + file; exists(from))
      REQUIRE(write_file_unsynced(copy.path() + "/" + file, read_file(from).value(), 0600).ok());
  FakeClock clock;
  const auto opened = Store::open(copy.path() + "/store.db", clock);
  REQUIRE_MESSAGE(opened.ok(), opened.error().message);
  CHECK((*opened)->revision() >= shared.revision);
  for (std::size_t writer = 0; writer < kWriters; ++writer)
    for (std::size_t i = 0; i < kNames; ++i) {
      const std::int64_t left = number_in(**opened, "left", name_of(writer, i)),
                         right = number_in(**opened, "right", name_of(writer, i));
      CHECK(left == right);
      CHECK(left >= shared.acknowledged.of[writer][i]);
      CHECK(left <= shared.asked.of[writer][i]);
    }
}

int kills_wanted() {
  const char* wanted = std::getenv("CAISSON_SOAK_KILLS");
  return wanted ? std::max(1, std::atoi(wanted)) : kKillsDefault;
}

// Waits until the process is dead; false when it had to be helped, after a patience.
bool died_by_itself(pid_t child) {
  const Duration end = system_clock().monotonic() + std::chrono::seconds(kPatienceSeconds);
  int status = 0;
  while (waitpid(child, &status, WNOHANG) == 0) {
    if (system_clock().monotonic() > end) {
      kill(child, SIGKILL);
      waitpid(child, &status, 0);
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

// Not a wait for something: the moment of the kill is what is tried.
bool killed_at_a_moment(pid_t child, const Shared& shared, std::mt19937& random) {
  if (random() % 8 != 0)  // else while it opens, perhaps
    while (!shared.ready && kill(child, 0) == 0) std::this_thread::sleep_for(std::chrono::microseconds(100));
  std::this_thread::sleep_for(std::chrono::microseconds(random() % kUniformWithin.count()));
  kill(child, SIGKILL);
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status);
}

}  // namespace

TEST_CASE("kill -9 at any moment and at every named point loses nothing that was acknowledged and tears nothing") {
  const std::uint32_t seed = std::random_device()();
  CAPTURE(seed);
  std::mt19937 random(seed);
  TempDir dir = TempDir::make("store-kill").value();
  SharedMemory shared;
  const int kills = kills_wanted();
  int uniform = 0, in_write = 0, uniform_in_write = 0;
  for (int i = 0; i < kills; ++i) {
    const PointEntry* at = i % 10 < kUniformOfTen ? nullptr : &kPoints[random() % std::size(kPoints)];
    const int hits = at ? 1 + static_cast<int>(random() % static_cast<unsigned>(at->hits_max)) : 0;
    CAPTURE(i);
    CAPTURE((at ? at->name : "at a moment"));
    shared->ready = false;
    shared->in_write = false;
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) write_until_killed(dir.path(), *shared, at, hits, 1'000'000LL * (i + 1));
    const bool died = at ? died_by_itself(child) : killed_at_a_moment(child, *shared, random);
    CHECK_MESSAGE(died, "the process was not killed where it should have been");
    in_write += shared->in_write;
    if (!at) ++uniform, uniform_in_write += shared->in_write;
    check_store(dir.path(), *shared);
  }
  MESSAGE(kills << " kills, " << in_write << " of them inside a write; of " << uniform << " uniform in time "
                << uniform_in_write << "; seed " << seed);
  CHECK(in_write * 10 >= kills * 3);
}
