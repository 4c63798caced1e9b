// SPDX-License-Identifier: Apache-2.0
#include "observe/logs/api/deletions.h"

#include <doctest/doctest.h>

#include "core/base/file.h"
#include "core/document/json.h"
#include "observe/logs/logql/engine.h"

namespace caisson::logs {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

struct Fixture {
  TempDir dir = TempDir::make().value();
  FakeClock clock{Time(std::chrono::nanoseconds(1'700'000'000 * kSecond))};
  std::unique_ptr<Store> store = Store::open(dir.path() + "/store", {}, clock).value();
  std::unique_ptr<Deletions> deletions = Deletions::open(dir.path() + "/deletions.json", *store, clock).value();

  std::int64_t now() const { return clock.now().time_since_epoch().count(); }
  void reopen() {
    deletions.reset();
    store.reset();
    store = Store::open(dir.path() + "/store", {}, clock).value();
    deletions = Deletions::open(dir.path() + "/deletions.json", *store, clock).value();
  }
  // Lines "0" to "9" of the last ten seconds.
  void push(const std::string& app) {
    NewStream stream{Labels::from({{"app", app}}), {}};
    static constexpr std::string_view kLines[] = {"a 0", "b 1", "a 2", "b 3", "a 4", "b 5", "a 6", "b 7", "a 8", "b 9"};
    for (int i = 0; i < 10; ++i) stream.entries.push_back({now() - (10 - i) * kSecond, kLines[i], {}});
    REQUIRE(store->push({&stream, 1})->added == 10);
  }
  std::string found(const std::string& query) const {
    logql::QueryStats stats;
    std::string out;
    for (const auto& line : logql::query_lines(*store, {}, *logql::parse_log_selector(query),
                                               {0, now() + kSecond, 1000, Direction::forward}, now(), stats)
                                .value())
      out += line.line.substr(2);
    return out;
  }
  double count(const std::string& query) const {
    logql::QueryStats stats;
    const auto matrix = logql::query_metric(*store, {}, **logql::parse(query), {now(), now(), 1}, now(), stats).value();
    return matrix.series.empty() ? 0 : matrix.series[0].values[0];
  }
  http::Response ask(const std::string& method, const http::Query& parameters) {
    return deletions->answer(method, parameters);
  }
  std::string seconds(int ago) const { return std::to_string(now() / kSecond - ago); }
  std::string add(const std::string& query, int from, int to) {
    const auto answer = ask("POST", {{"query", query}, {"start", seconds(from)}, {"end", seconds(to)}});
    REQUIRE(answer.status == 204);
    return std::string(answer.headers.get("X-Delete-Request-ID"));
  }
  std::string status() { return json::parse(ask("GET", {}).body).value()[0]["status"].str(); }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "lines that were asked to be deleted are read by nobody, and counted by nobody") {
  push("x");
  push("y");
  add("{app=\"x\"} |= \"a\"", 8, 3);
  CHECK(found("{app=\"x\"}") == "0135789");
  CHECK(found("{app=\"y\"}") == "0123456789");
  CHECK(count("count_over_time({app=\"x\"}[1m])") == 7);
  CHECK(count("bytes_over_time({app=\"x\"}[1m])") == 21);
  add("{app=\"y\"}", 100, 0);
  CHECK(found("{app=\"y\"}").empty());
  CHECK(status() == "received");
}

TEST_CASE_FIXTURE(Fixture, "a deletion that is cancelled brings its lines back; one that was made does not") {
  push("x");
  const std::string id = add("{app=\"x\"}", 100, 0);
  CHECK(ask("DELETE", {{"request_id", "nothing"}}).status == 404);
  CHECK(ask("DELETE", {{"request_id", id}}).status == 204);
  CHECK(found("{app=\"x\"}") == "0123456789");
  CHECK(ask("GET", {}).body == "[]\n");

  const std::string second = add("{app=\"x\"}", 100, 0);
  clock.advance(std::chrono::hours(25));
  CHECK(ask("DELETE", {{"request_id", second}}).status == 400);  // too late, unless it is forced
  REQUIRE(deletions->process().ok());
  CHECK(ask("DELETE", {{"request_id", second}, {"force", "true"}}).body ==
        "deletion of request which is in process or already processed is not allowed\n");
}

TEST_CASE_FIXTURE(Fixture,
                  "when it can't be cancelled any more a deletion takes its lines out of memory, log and segments") {
  push("x");
  push("y");
  REQUIRE(store->erase({}).ok());  // writes what is in memory into a segment
  push("z");
  add("{app=~\"x|z\"} |= \"b\"", 100, 0);
  REQUIRE(deletions->process().ok());
  CHECK(status() == "received");
  clock.advance(std::chrono::hours(25));
  REQUIRE(deletions->process().ok());
  CHECK(status() == "processed");
  CHECK(store->stats().entries == 20);
  CHECK(store->stats().log_bytes == 0);
  reopen();
  CHECK(status() == "processed");
  CHECK(store->stats().entries == 20);
  CHECK(found("{app=\"x\"}") == "02468");
  CHECK(found("{app=\"y\"}") == "0123456789");
  CHECK(found("{app=\"z\"}") == "02468");
}

TEST_CASE_FIXTURE(Fixture, "requests survive a restart, and the lines stay hidden") {
  push("x");
  const std::string id = add("{app=\"x\"} |~ \"[0-4]\"", 100, 0);
  reopen();
  CHECK(found("{app=\"x\"}") == "56789");
  CHECK(ask("DELETE", {{"request_id", id}}).status == 204);
  CHECK(found("{app=\"x\"}") == "0123456789");
}

TEST_CASE_FIXTURE(Fixture, "what a deletion is refused for is said in Loki's words") {
  const auto said = [&](const http::Query& parameters) {
    const auto answer = ask("POST", parameters);
    CHECK(answer.status == 400);
    return answer.body;
  };
  const std::string query = "{app=\"x\"} |= \"a\"";
  CHECK(said({}) == "query not set\n");
  CHECK(said({{"query", "{"}, {"start", "1"}}).starts_with("parse error at line 1"));
  CHECK(said({{"query", "count_over_time({app=\"x\"}[1m])"}}).starts_with("parse error"));
  CHECK(said({{"query", query}}) == "start time not set\n");
  CHECK(said({{"query", query}, {"start", "5"}}) == "invalid start time: require unix seconds or RFC3339 format\n");
  CHECK(said({{"query", query}, {"start", seconds(9)}, {"end", "x"}}) ==
        "invalid end time: require unix seconds or RFC3339 format\n");
  CHECK(said({{"query", query}, {"start", seconds(9)}, {"end", seconds(-9)}}) ==
        "deletes in the future are not allowed\n");
  CHECK(said({{"query", query}, {"start", seconds(1)}, {"end", seconds(9)}}) ==
        "start time can't be greater than or equal to end time\n");
  CHECK(said({{"query", query}, {"start", seconds(9)}, {"max_interval", "1d"}}) ==
        "invalid max_interval: valid time units are 's', 'm', 'h'\n");
  CHECK(said({{"query", query}, {"start", seconds(9)}, {"max_interval", "1h"}}) ==
        "max_interval can't be greater than the interval to be deleted (9s)\n");
  CHECK(ask("PATCH", {}).status == 405);
  deletions->configure({.enabled = false});
  CHECK(ask("POST", {{"query", query}, {"start", seconds(9)}}).status == 403);
  CHECK_FALSE(read_deletion_options(Value{{"limits_config", Value{{"deletion_mode", "sometimes"}}}}).ok());
}

}  // namespace caisson::logs
