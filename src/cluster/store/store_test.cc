// SPDX-License-Identifier: Apache-2.0
// The disk-full case mounts a small tmpfs (needs root) and takes it away again.
#include "cluster/store/store.h"

#include <doctest/doctest.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <unistd.h>

#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "core/base/file.h"
#include "core/document/json.h"

using namespace caisson;
using namespace caisson::store;
using namespace std::chrono_literals;

namespace {

Value object(std::string_view name, std::int64_t number = 0, std::size_t padding = 0) {
  return Value{{"kind", "Thing"},
               {"metadata", Value{{"name", name}}},
               {"spec", Value{{"n", number}, {"pad", std::string(padding, 'x')}}}};
}

Key key(std::string_view name, std::string_view ns = "a", std::string_view resource = "things") {
  return {std::string(resource), std::string(ns), std::string(name)};
}

struct Fixture {
  TempDir dir = TempDir::make("store").value();
  FakeClock clock;
  std::unique_ptr<Store> store;
  StoreOptions options;

  Fixture() { reopen(); }
  explicit Fixture(StoreOptions o) : options(o) { reopen(); }
  void reopen() {
    store.reset();
    auto opened = Store::open(dir.path() + "/store.db", clock, options);
    REQUIRE_MESSAGE(opened.ok(), opened.error().message);
    store = std::move(opened).value();
  }
  Revision put(std::string_view name, std::int64_t number = 0, std::size_t padding = 0) {
    auto written = store->commit({{.key = key(name), .value = object(name, number, padding)}});
    REQUIRE(written.ok());
    return (*written)[0]->revision();
  }
  Revision erase(std::string_view name) {
    auto written = store->commit({{.key = key(name), .deletion = true}});
    REQUIRE(written.ok());
    return (*written)[0]->revision();
  }
  std::vector<std::string> names(const ListOptions& o = {}) {
    std::vector<std::string> names;
    auto listing = store->list("things", o);
    REQUIRE(listing.ok());
    for (const ItemPtr& item : listing->items) names.push_back(item->path());
    return names;
  }
};

// Collects events and waits for them.
struct Collector {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Event> events;

  std::function<void(const Event&)> call() {
    return [this](const Event& event) {
      const std::lock_guard lock(mutex);
      events.push_back(event);
      changed.notify_all();
    };
  }
  std::vector<std::string> wait(std::size_t count) {
    std::unique_lock lock(mutex);
    changed.wait_for(lock, 10s, [&] { return events.size() >= count; });
    std::vector<std::string> texts;
    for (const Event& event : events) {
      static const char* const names[] = {"added", "modified", "deleted", "bookmark", "closed"};
      texts.push_back(std::string(names[static_cast<int>(event.type)]) +
                      (event.after ? " " + event.after->path() : ""));
    }
    return texts;
  }
};

using Strings = std::vector<std::string>;

}  // namespace

TEST_CASE("the log of a store that is written to much is made long at once, and what it holds is read again") {
  constexpr std::int64_t kLong = 3 << 20;
  Fixture f(StoreOptions{.wal_bytes = kLong});
  const std::string path = f.dir.path() + "/store.db";
  f.put("first");
  const auto log_bytes = [&] { return static_cast<std::int64_t>(read_file(path + "-wal").value().size()); };
  CHECK(log_bytes() < 200'000);  // a quiet one takes no room
  for (int i = 0; i < 100; ++i) f.put("n" + std::to_string(i), i, 3'000);
  CHECK(log_bytes() == kLong);
  // As a crash leaves it: with zeros after the last commit.
  TempDir crashed = TempDir::make("store-crashed").value();
  for (const char* file : {"store.db", "store.db-wal", "store.db.key"})
    REQUIRE(write_file_unsynced(crashed.path() + "/" + file, read_file(f.dir.path() + "/" + file).value(), 0600).ok());
  const auto reopened = Store::open(crashed.path() + "/store.db", f.clock);
  REQUIRE_MESSAGE(reopened.ok(), reopened.error().message);
  CHECK((*reopened)->revision() == f.store->revision());
  CHECK((*reopened)->list("things")->items.size() == 101);
}

TEST_CASE("what was written is read back, with its revision in the object and in the bytes") {
  Fixture f;
  const auto written = f.store->commit({{.key = key("x"), .value = object("x", 7), .expected = 0}});
  REQUIRE(written.ok());
  const ItemPtr item = f.store->get("things", "a", "x");
  REQUIRE(item);
  CHECK(item->revision() == f.store->revision());
  CHECK(item->value()["metadata"]["resourceVersion"].str() == std::to_string(item->revision()));
  CHECK(*json::parse(item->bytes()) == item->value());
  CHECK(item->ns() == "a");
  CHECK(item->name() == "x");
  CHECK(f.store->get("things", "b", "x") == nullptr);
  CHECK(f.store->get("others", "a", "x") == nullptr);
}

TEST_CASE("a reopened store shows the last committed revision") {
  Fixture f;
  f.put("x", 1);
  f.put("y", 1);
  f.put("x", 2);
  const Revision last = f.erase("y");
  f.reopen();
  CHECK(f.store->revision() == last);
  CHECK(f.names() == Strings{"a/x"});
  CHECK(f.store->get("things", "a", "x")->value()["spec"]["n"].as_int() == 2);
  CHECK(f.put("z") > last);
}

TEST_CASE("expectations hold or nothing is written") {
  Fixture f;
  const Revision first = f.put("x", 1);
  const auto code = [&](std::optional<Revision> expected, std::string_view name,
                        bool deletion = false) -> std::optional<ErrorCode> {
    const auto result =
        f.store->commit({{.key = key("other"), .value = object("other")},
                         {.key = key(name), .value = object(name, 9), .deletion = deletion, .expected = expected}});
    if (result.ok()) return std::nullopt;
    return result.error().code;
  };
  CHECK(code(0, "x") == ErrorCode::already_exists);
  CHECK(code(first + 5, "x") == ErrorCode::conflict);
  CHECK(code(first, "absent") == ErrorCode::not_found);
  CHECK(code({}, "absent", true) == ErrorCode::not_found);
  CHECK(f.store->revision() == first);
  CHECK(f.names() == Strings{"a/x"});
  CHECK(code(first, "x") == std::nullopt);
  CHECK(code(first, "x") == ErrorCode::conflict);  // somebody wrote since
}

TEST_CASE("a transaction has one revision, and its later changes see the earlier ones") {
  Fixture f;
  const auto written = f.store->commit({{.key = key("ns", "", "namespaces"), .value = object("ns"), .expected = 0},
                                        {.key = key("x"), .value = object("x", 1), .expected = 0},
                                        {.key = key("x"), .value = object("x", 2), .expected = 1},
                                        {.key = key("ns", "", "namespaces"), .deletion = true}});
  REQUIRE(written.ok());
  for (const ItemPtr& item : *written) CHECK(item->revision() == f.store->revision());
  CHECK(f.store->get("things", "a", "x")->value()["spec"]["n"].as_int() == 2);
  CHECK(f.store->get("namespaces", "", "ns") == nullptr);
  f.reopen();
  CHECK(f.store->get("things", "a", "x")->value()["spec"]["n"].as_int() == 2);
  CHECK(f.store->get("namespaces", "", "ns") == nullptr);
}

TEST_CASE("lists are sorted, cut by namespace, limit and start, and can show an older revision") {
  Fixture f;
  for (const char* name : {"c", "a", "b"}) f.put(name, 1);
  REQUIRE(f.store->commit({{.key = key("z", "a-b"), .value = object("z")}}).ok());
  const Revision then = f.store->revision();
  f.erase("b");
  f.put("a", 2);
  f.put("d");
  CHECK(f.names() == Strings{"a-b/z", "a/a", "a/c", "a/d"});
  CHECK(f.names({.ns = "a"}) == Strings{"a/a", "a/c", "a/d"});
  CHECK(f.names({.ns = "a", .limit = 2}) == Strings{"a/a", "a/c"});
  CHECK(f.names({.ns = "a", .after = "a/a", .limit = 1}) == Strings{"a/c"});
  CHECK(f.names({.ns = "a", .at = then}) == Strings{"a/a", "a/b", "a/c"});
  CHECK(f.store->list("things", {.ns = "a", .limit = 1})->remaining == 2);
  CHECK(f.store->list("things", {.at = then})->items[1]->value()["spec"]["n"].as_int() == 1);
  CHECK(f.store->list("things", {.at = 999}).error().code == ErrorCode::timeout);
}

TEST_CASE("a watch gets what came after its revision, once and in order") {
  Fixture f;
  const Revision start = f.put("x", 1);
  f.put("y");
  Collector collector;
  auto watch = f.store->watch({.resource = "things", .after = start}, collector.call());
  REQUIRE(watch.ok());
  f.put("x", 2);
  REQUIRE(f.store->commit({{.key = key("q", "b", "others"), .value = object("q")}}).ok());
  f.erase("y");
  CHECK(collector.wait(3) == Strings{"added a/y", "modified a/x", "deleted a/y"});
  CHECK(collector.events[1].before->value()["spec"]["n"].as_int() == 1);
  CHECK(collector.events[2].after->revision() == f.store->revision());
  CHECK(collector.events[2].after->value()["metadata"]["resourceVersion"].str() == std::to_string(f.store->revision()));
  CHECK(collector.events[1].after == f.store->get("things", "a", "x"));  // the store's own, not a copy
}

TEST_CASE("a watch can begin with what is there") {
  Fixture f;
  f.put("y");
  f.put("x", 1);
  Collector collector;
  auto watch = f.store->watch({.resource = "things", .state_first = true}, collector.call());
  f.put("x", 2);
  CHECK(collector.wait(4) == Strings{"added a/x", "added a/y", "bookmark", "modified a/x"});
}

TEST_CASE("a watch of one namespace gets no other, and a destroyed one gets nothing") {
  Fixture f;
  Collector mine, other;
  auto watch = f.store->watch({.resource = "things", .ns = "b"}, mine.call());
  auto gone = f.store->watch({.resource = "things"}, other.call());
  REQUIRE(watch.ok());
  { const auto destroyed = std::move(gone).value(); }
  f.put("x");
  REQUIRE(f.store->commit({{.key = key("y", "b"), .value = object("y")}}).ok());
  CHECK(mine.wait(1) == Strings{"added b/y"});
  CHECK(other.events.empty());
}

TEST_CASE("history is bounded: an old watch is told to list again, and rows leave the file") {
  Fixture f({.history_revisions_max = 300});
  const Revision start = f.put("x", 0);
  for (int i = 1; i <= 1'200; ++i) f.put("x", i);
  const auto watch = f.store->watch({.resource = "things", .after = start}, [](const Event&) {});
  REQUIRE_FALSE(watch.ok());
  CHECK(watch.error().code == ErrorCode::expired);
  CHECK(watch.error().message.starts_with("too old resource version: 1 ("));
  CHECK(f.store->list("things", {.at = start}).error().code == ErrorCode::expired);
  const StoreStats before = f.store->stats();
  CHECK(before.history <= 300);
  f.reopen();
  const StoreStats after = f.store->stats();
  CHECK(after.revision == before.revision);
  CHECK(after.history <= 300);
  CHECK(after.history >= 200);  // a restart keeps what watches need to go on
  CHECK(f.store->watch({.resource = "things", .after = after.revision - 100}, [](const Event&) {}).ok());
  sqlite3* db = nullptr;
  REQUIRE(sqlite3_open((f.dir.path() + "/store.db").c_str(), &db) == SQLITE_OK);
  int rows = 0;
  sqlite3_exec(
      db, "SELECT count(*) FROM log",
      [](void* n, int, char** v, char**) {
        *static_cast<int*>(n) = std::atoi(v[0]);
        return 0;
      },
      &rows, nullptr);
  sqlite3_close(db);
  CHECK(rows < 600);
}

TEST_CASE("history grows old") {
  Fixture f;
  const Revision start = f.put("x", 0);
  f.put("x", 1);
  f.clock.advance(6min);
  f.put("x", 2);
  CHECK(f.store->stats().history == 1);
  CHECK(f.store->watch({.resource = "things", .after = start}, [](const Event&) {}).error().code == ErrorCode::expired);
}

TEST_CASE("revisions go on after the last rows were deletions") {
  Fixture f({.history_revisions_max = 10});
  for (int i = 0; i < 400; ++i) {
    f.put("x");
    f.erase("x");
  }
  const Revision last = f.store->revision();
  f.reopen();
  CHECK(f.store->revision() == last);
  CHECK(f.names().empty());
}

TEST_CASE("bookmarks and time limits come by the clock") {
  Fixture f;
  f.put("x");
  Collector collector;
  auto watch =
      f.store->watch({.resource = "things", .after = 1, .bookmark_every = 1min, .time_max = 150s}, collector.call());
  REQUIRE(watch.ok());
  f.put("x");
  CHECK(collector.wait(1).size() == 1);
  f.clock.advance(61s);
  CHECK(collector.wait(2) == Strings{"modified a/x", "bookmark"});
  CHECK(collector.events[1].revision == 2);
  f.clock.advance(100s);
  CHECK(collector.wait(3).back() == "closed");
}

TEST_CASE("writers share commits") {
  Fixture f;
  std::vector<std::thread> threads;
  for (int t = 0; t < 16; ++t)
    threads.emplace_back([&f, t] {
      for (int i = 0; i < 50; ++i) {
        const std::string name = "t" + std::to_string(t) + "-" + std::to_string(i);
        if (!f.store->commit({{.key = key(name), .value = object(name), .expected = 0}}).ok()) std::abort();
      }
    });
  for (std::thread& thread : threads) thread.join();
  const StoreStats stats = f.store->stats();
  CHECK(stats.rows == 800);
  CHECK(stats.commits < 700);
  CHECK(stats.objects == 800);
}

TEST_CASE("too large an object is refused and nothing is written") {
  Fixture f({.object_bytes_max = 1000});
  const auto written = f.store->commit({{.key = key("x"), .value = object("x", 0, 2000)}});
  REQUIRE_FALSE(written.ok());
  CHECK(written.error().code == ErrorCode::too_large);
  CHECK(f.store->revision() == 0);
}

TEST_CASE("a backup is a store of its own, taken while writes go on") {
  Fixture f;
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (int i = 0; !stop; ++i)
      if (!f.store->commit({{.key = key("w"), .value = object("w", i)}}).ok()) std::abort();
  });
  f.put("x", 5);
  const std::string copy = f.dir.path() + "/copy.db";
  const auto backed_up = f.store->backup(copy);
  stop = true;
  writer.join();
  REQUIRE_MESSAGE(backed_up.ok(), backed_up.error().message);
  CHECK(f.store->backup(copy).error().code == ErrorCode::already_exists);
  auto opened = Store::open(copy, f.clock);
  REQUIRE(opened.ok());
  CHECK((*opened)->get("things", "a", "x")->value()["spec"]["n"].as_int() == 5);
  CHECK((*opened)->commit({{.key = key("y"), .value = object("y")}}).ok());
}

TEST_CASE("a full disk refuses writes by name, reads go on, and room brings writes back") {
  if (geteuid() != 0) {
    MESSAGE("skipped: needs root to mount a tmpfs");
    return;
  }
  TempDir dir = TempDir::make("store-full").value();
  REQUIRE(mount("tmpfs", dir.path().c_str(), "tmpfs", 0, "size=2m") == 0);
  struct Unmount {
    std::string path;
    ~Unmount() { umount2(path.c_str(), MNT_DETACH); }
  } const unmount{dir.path()};
  FakeClock clock;
  auto store = Store::open(dir.path() + "/store.db", clock).value();
  REQUIRE(write_file_unsynced(dir.path() + "/ballast", std::string(1'000'000, 'b')).ok());
  std::optional<Error> error;
  int written = 0;
  for (int i = 0; i < 1000 && !error; ++i) {
    const std::string name = "x" + std::to_string(i);
    const auto result = store->commit({{.key = key(name), .value = object(name, i, 20'000)}});
    if (result.ok())
      ++written;
    else
      error = result.error();
  }
  REQUIRE(error);
  CHECK(error->code == ErrorCode::unavailable);
  CHECK_MESSAGE(error->message.find("full") != std::string::npos, error->message);
  CHECK(static_cast<int>(store->list("things")->items.size()) == written);
  CHECK(store->revision() == written);
  REQUIRE(remove_file(dir.path() + "/ballast").ok());
  const auto again = store->commit({{.key = key("later"), .value = object("later", 0, 20'000)}});
  REQUIRE_MESSAGE(again.ok(), again.error().message);
  store.reset();
  store = Store::open(dir.path() + "/store.db", clock).value();
  CHECK(static_cast<int>(store->list("things")->items.size()) == written + 1);
}

TEST_CASE("a file of another program or of a later version is refused by name") {
  TempDir dir = TempDir::make("store").value();
  FakeClock clock;
  const auto refused = [&](const char* sql) {
    const std::string path = dir.path() + "/" + std::to_string(std::hash<std::string_view>()(sql)) + ".db";
    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open(path.c_str(), &db) == SQLITE_OK);
    REQUIRE(sqlite3_exec(db, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
    sqlite3_close(db);
    const auto opened = Store::open(path, clock);
    REQUIRE_FALSE(opened.ok());
    return opened.error().message;
  };
  CHECK(refused("PRAGMA application_id=7; CREATE TABLE t(x)").find("another program") != std::string::npos);
  CHECK(refused("PRAGMA user_version=99; CREATE TABLE t(x)").find("format 99") != std::string::npos);
  REQUIRE(write_file_unsynced(dir.path() + "/text", std::string(5000, 't')).ok());
  CHECK_FALSE(Store::open(dir.path() + "/text", clock).ok());
}

TEST_CASE("a damaged value is named when the file is opened, before anybody reads it") {
  Fixture f;
  f.put("a");
  f.put("b");
  f.store.reset();
  const std::string path = f.dir.path() + "/store.db";
  sqlite3* db = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &db) == SQLITE_OK);
  REQUIRE(sqlite3_exec(db, "UPDATE log SET value = substr(value, 1, 20) WHERE name = 'b'", nullptr, nullptr, nullptr) ==
          SQLITE_OK);
  sqlite3_close(db);
  const auto opened = Store::open(path, f.clock);
  REQUIRE_FALSE(opened.ok());
  CHECK(opened.error().message.find(path + ": the file is damaged: row 2 (things/") == 0);
}

TEST_CASE("pages of a list know what remains, also of the past and while objects come and go") {
  Fixture f;
  for (int i = 0; i < 40; ++i) {
    f.put("n" + std::to_string(100 + i));
    REQUIRE(f.store->commit({{.key = key("n" + std::to_string(100 + i), "b"), .value = object("n")}}).ok());
  }
  const Revision then = f.store->revision();
  const auto pages = [&](const std::string& ns, bool tells) {
    std::string after, first;
    std::size_t given = 0;
    Strings remaining;
    while (true) {
      ListOptions options{.ns = ns, .after = after, .limit = 15, .at = then};
      if (tells && given > 0) options.given = given;
      const auto page = f.store->list("things", options);
      REQUIRE(page.ok());
      given += page->items.size();
      if (first.empty()) first = page->items.front()->path();
      after = page->items.back()->path();
      remaining.push_back(std::to_string(page->remaining));
      if (!page->more) break;
    }
    CHECK(given == (ns.empty() ? 80 : 40));
    CHECK(first == "a/n100");
    CHECK(after == (ns.empty() ? "b/n139" : "a/n139"));
    return remaining;
  };
  for (const bool tells : {true, false}) {
    CHECK(pages("a", tells) == Strings{"25", "10", "0"});
    CHECK(pages("", tells) == Strings{"65", "50", "35", "20", "5", "0"});
  }
  f.erase("n100");
  f.erase("n139");
  f.put("n1015");
  f.put("n110", 2);
  f.put("m");
  for (const bool tells : {true, false}) {
    CHECK(pages("a", tells) == Strings{"25", "10", "0"});
    CHECK(pages("", tells) == Strings{"65", "50", "35", "20", "5", "0"});
  }
  CHECK(f.store->list("things", {.ns = "a", .limit = 10})->remaining == 30);
  f.reopen();
  CHECK(f.store->list("things", {.ns = "a", .limit = 10})->remaining == 30);
}

TEST_CASE("who does not wait for a commit is told once what it gave, beside those who wait") {
  Fixture f;
  constexpr int kWriters = 8, kWrites = 50;
  std::mutex mutex;
  std::condition_variable changed;
  std::map<Revision, int> told;
  int refused = 0, answers = 0;
  std::vector<std::thread> writers;
  for (int writer = 0; writer < kWriters; ++writer)
    writers.emplace_back([&, writer] {
      for (int i = 0; i < kWrites; ++i) {
        const std::string name = std::to_string(writer) + "-" + std::to_string(i);
        if (writer % 4 == 3) {
          CHECK(f.store->commit({{.key = key(name), .value = object(name), .expected = 0}}).ok());
          continue;
        }
        for (int attempt = 0; attempt < 2; ++attempt)
          f.store->commit_then({{.key = key(name), .value = object(name), .expected = 0}},
                               [&, name](Result<std::vector<ItemPtr>> written) {
                                 const std::lock_guard lock(mutex);
                                 if (written.ok())
                                   ++told[(*written)[0]->revision()];
                                 else
                                   refused += written.error().code == ErrorCode::already_exists;
                                 if (written.ok()) CHECK(f.store->get("things", "a", name) != nullptr);
                                 ++answers;
                                 changed.notify_all();
                               });
      }
    });
  for (std::thread& writer : writers) writer.join();
  constexpr int kTold = kWriters / 4 * 3 * kWrites;
  std::unique_lock lock(mutex);
  REQUIRE(changed.wait_for(lock, 60s, [&] { return answers == 2 * kTold; }));
  CHECK(refused == kTold);
  CHECK(told.size() == kTold);
  CHECK(f.store->stats().objects == kWriters * kWrites);
}

TEST_CASE("what can't be stored is refused without waiting, too") {
  Fixture f({.object_bytes_max = 1000});
  std::optional<ErrorCode> code;
  f.store->commit_then({{.key = key("x"), .value = object("x", 0, 2000)}},
                       [&](Result<std::vector<ItemPtr>> written) { code = written.error().code; });
  CHECK(code == ErrorCode::too_large);
  bool empty = false;
  f.store->commit_then({}, [&](Result<std::vector<ItemPtr>> written) { empty = written.ok() && written->empty(); });
  CHECK(empty);
}
