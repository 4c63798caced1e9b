// SPDX-License-Identifier: Apache-2.0
#include "observe/logs/api/query_api.h"

#include <doctest/doctest.h>

#include "core/base/file.h"
#include "core/document/json.h"

namespace caisson::logs {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

struct Fixture {
  FakeClock clock;
  TempDir dir = TempDir::make().value();
  std::unique_ptr<Store> store = Store::open(dir.path(), {}, clock).value();
  std::int64_t t = clock.now().time_since_epoch().count();

  Fixture() {
    const NewStream web{Labels::from({{"app", "web"}}),
                        {{t - 30 * kSecond, "level=info a=1", {}},
                         {t - 20 * kSecond, "level=warn a=2", Labels::from({{"trace_id", "x"}})}}};
    const NewStream db{Labels::from({{"app", "db"}}), {{t - 10 * kSecond, R"({"level":"error"})", {}}}};
    REQUIRE(store->push({&web, 1}).ok());
    REQUIRE(store->push({&db, 1}).ok());
  }
  http::Response ask(const std::string& path, const http::Query& query, const http::Headers& headers = {}) {
    return answer_query_api(*store, {}, t, path, query, headers);
  }
  Value data(const std::string& path, const http::Query& query, const http::Headers& headers = {}) {
    const http::Response response = ask(path, query, headers);
    CHECK_MESSAGE(response.status == 200, response.body);
    return json::parse(response.body).value();
  }
};

std::string text(const Value& value) {
  return json::write(value);
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "query_range gives streams and matrices as Loki does") {
  Value got = data("query_range", {{"query", "{app=~\".+\"}"}});
  CHECK(got["data"]["resultType"].as_string() == "streams");
  CHECK(
      text(got["data"]["result"]) ==
      R"([{"stream":{"app":"db"},"values":[["1699999990000000000","{\"level\":\"error\"}"]]},{"stream":{"app":"web","trace_id":"x"},"values":[["1699999980000000000","level=warn a=2"]]},{"stream":{"app":"web"},"values":[["1699999970000000000","level=info a=1"]]}])");
  got = data("query_range", {{"query", "{app=\"web\"} | logfmt"}, {"limit", "1"}, {"direction", "forward"}},
             {{"X-Loki-Response-Encoding-Flags", "categorize-labels"}});
  CHECK(
      text(got["data"]["result"]) ==
      R"([{"stream":{"app":"web"},"values":[["1699999970000000000","level=info a=1",{"parsed":{"a":"1","level":"info"}}]]}])");
  CHECK(text(got["data"]["encodingFlags"]) == R"(["categorize-labels"])");
  got = data("query_range", {{"query", "count_over_time({app=\"web\"}[15s])"},
                             {"start", "1699999970"},
                             {"end", "1700000000"},
                             {"step", "10"}});
  CHECK(
      text(got["data"]["result"]) ==
      R"([{"metric":{"app":"web"},"values":[[1699999970,"1"],[1699999980,"1"]]},{"metric":{"app":"web","trace_id":"x"},"values":[[1699999980,"1"],[1699999990,"1"]]}])");
  got = data("query_range", {{"query", "{app=\"web\"}"}, {"interval", "1m"}, {"direction", "forward"}});
  CHECK(got["data"]["result"].size() == 2);
}

TEST_CASE_FIXTURE(Fixture, "query answers instants, as a Grafana health check asks them") {
  CHECK(text(data("query", {{"query", "vector(1)+vector(1)"}, {"time", "4000000000"}})["data"]["result"]) ==
        R"([{"metric":{},"value":[4000000000,"2"]}])");
  CHECK(text(data("query", {{"query", "1+1"}})["data"]["result"]) == R"([1700000000,"2"])");
  CHECK(text(data("query", {{"query", "sum(count_over_time({app=~\".+\"}[1m]))"}})["data"]["result"]) ==
        R"([{"metric":{},"value":[1700000000,"3"]}])");
}

TEST_CASE_FIXTURE(Fixture, "refusals are plain text with Loki's status") {
  http::Response got = ask("query", {{"query", "{app=\"web\"}"}});
  CHECK(got.status == 400);
  CHECK(got.body ==
        "log queries are not supported as an instant query type, please change your query to a range query type\n");
  CHECK(got.headers.get("Content-Type") == "text/plain; charset=utf-8");
  CHECK(ask("query_range", {{"query", "{app="}}).body ==
        "parse error at line 1, col 6: syntax error: unexpected $end, expecting STRING\n");
  CHECK(ask("query_range", {{"query", "{app=\"web\"}"}, {"limit", "5001"}}).body ==
        "max entries limit per query exceeded, limit > max_entries_limit_per_query (5001 > 5000)\n");
  CHECK(ask("query_range", {{"query", "{app=\"web\"}"}, {"direction", "up"}}).status == 400);
  CHECK(ask("query_range", {{"query", "{app=\"web\"}"}, {"start", "x"}}).status == 400);
  CHECK(ask("query_range", {{"query", "{app=\"web\"}"}, {"start", "20"}, {"end", "10"}}).body ==
        "end timestamp must not be before or equal to start time\n");
  CHECK(ask("query_range", {{"query", "rate({app=\"web\"}[1m])"}, {"start", "0"}, {"step", "1"}})
            .body.starts_with("exceeded maximum resolution of 11000 points"));
  CHECK(ask("nothing", {}).status == 404);
}

TEST_CASE_FIXTURE(Fixture, "labels, values, series, statistics and volumes") {
  CHECK(text(data("labels", {})["data"]) == R"(["app"])");
  CHECK(text(data("label/app/values", {})["data"]) == R"(["db","web"])");
  CHECK(text(data("label/app/values", {{"query", "{app=~\"w.*\"}"}})["data"]) == R"(["web"])");
  CHECK(text(data("series", {{"match[]", "{app=\"web\"}"}})["data"]) == R"([{"app":"web"}])");
  CHECK(text(data("index/stats", {{"query", "{app=\"web\"}"}})) ==
        R"({"streams":1,"chunks":1,"bytes":28,"entries":2})");
  CHECK(text(data("index/volume", {{"query", "{app=~\".+\"}"}})["data"]["result"]) ==
        R"([{"metric":{"app":"web"},"value":[1700000000,"28"]},{"metric":{"app":"db"},"value":[1700000000,"17"]}])");
  CHECK(text(data("index/volume_range",
                  {{"query", "{app=\"db\"}"}, {"step", "1h"}, {"start", "1699996400"}})["data"]["result"]) ==
        R"([{"metric":{"app":"db"},"values":[[1700000000,"17"]]}])");
  CHECK(text(data("detected_labels", {})) == R"({"detectedLabels":[{"label":"app","cardinality":2}]})");
  CHECK(text(data("detected_fields", {{"query", "{app=\"web\"}"}})["fields"][0]) ==
        R"({"label":"a","type":"int","cardinality":2,"parsers":["logfmt"]})");
  CHECK(text(data("detected_field/a/values", {{"query", "{app=\"web\"}"}})) == R"({"values":["1","2"],"limit":1000})");
  CHECK(text(data("detected_field/nosuch/values", {{"query", "{app=\"web\"}"}, {"limit", "5"}})) ==
        R"({"values":[],"limit":5})");
  CHECK(text(data("patterns", {{"query", "{app=\"web\"}"}, {"step", "1m"}})["data"][0]["pattern"]) ==
        R"("level=warn a=<_>")");
  CHECK(text(data("format_query", {{"query", "{ app = \"web\" }|=\"x\""}})["data"]) == R"("{app=\"web\"} |= \"x\"")");
}

}  // namespace caisson::logs
