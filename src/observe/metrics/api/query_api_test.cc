// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/api/query_api.h"

#include <doctest/doctest.h>

#include "core/base/file.h"

namespace caisson::metrics {
namespace {

struct Fixture {
  TempDir dir = TempDir::make().value();
  std::unique_ptr<Tsdb> db = Tsdb::open(dir.path(), {}).value();
  Fixture() {
    std::vector<NewSample> samples;
    for (int i = 0; i <= 4; ++i)
      for (const char* job : {"a", "b"})
        samples.push_back({Labels::from({{"__name__", "up"}, {"job", job}}), i * 15'000, i + 0.5, nullptr});
    REQUIRE(db->append(samples).ok());
  }
  http::Response get(std::string_view path, http::Query parameters) const {
    return answer_query_api(*db, {}, 60'000, path, parameters);
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "queries are answered in the API's JSON") {
  CHECK(
      get("/api/v1/query", {{"query", "up{job=\"a\"}"}, {"time", "60"}}).body ==
      R"({"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"up","job":"a"},"value":[60,"4.5"]}]}})");
  CHECK(get("/api/v1/query", {{"query", "1+1"}}).body ==
        R"({"status":"success","data":{"resultType":"scalar","result":[60,"2"]}})");
  CHECK(
      get("/api/v1/query_range",
          {{"query", "sum(up)"}, {"start", "0"}, {"end", "1970-01-01T00:00:30Z"}, {"step", "15s"}})
          .body ==
      R"({"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[0,"1"],[15,"3"],[30,"5"]]}]}})");
}

TEST_CASE_FIXTURE(Fixture, "series and labels are listed") {
  CHECK(get("/api/v1/series", {{"match[]", "up"}, {"limit", "1"}}).body ==
        R"({"status":"success","data":[{"__name__":"up","job":"a"}],"warnings":["results truncated due to limit"]})");
  CHECK(get("/api/v1/labels", {}).body == R"({"status":"success","data":["__name__","job"]})");
  CHECK(get("/api/v1/label/job/values", {{"match[]", "{job!=\"a\"}"}, {"match[]", "up"}}).status == 400);
  CHECK(get("/api/v1/labels", {{"match[]", "{}"}}).body ==
        R"({"status":"error","errorType":"bad_data","error":"match[] must contain at least one non-empty matcher"})");
  CHECK(get("/api/v1/labels", {{"match[]", "up{job=~\"(\"}"}}).body.find("missing closing ): `(`") !=
        std::string::npos);
  CHECK(get("/api/v1/label/job/values", {{"match[]", "up"}}).body == R"({"status":"success","data":["a","b"]})");
  CHECK(get("/api/v1/format_query", {{"query", "sum(a)by(b)"}}).body ==
        R"j({"status":"success","data":"sum by (b) (a)"})j");
}

TEST_CASE_FIXTURE(Fixture, "an answer is cut to its limit, and a warning says so") {
  CHECK(get("/api/v1/query", {{"query", "up"}, {"time", "60"}, {"limit", "1"}})
            .body.ends_with(R"(]},"warnings":["results truncated due to limit"]})"));
  CHECK(get("/api/v1/query", {{"query", "up"}, {"time", "60"}, {"limit", "2"}}).body.find("warnings") ==
        std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "labels are those of the series that the times have") {
  CHECK(get("/api/v1/labels", {{"end", "100"}}).body == R"({"status":"success","data":["__name__","job"]})");
  CHECK(get("/api/v1/labels", {{"end", "-1"}}).body == R"({"status":"success","data":[]})");
  CHECK(get("/api/v1/label/job/values", {{"start", "61"}}).body == R"({"status":"success","data":[]})");
  CHECK(get("/api/v1/label/U__job/values", {{"end", "292277025-08-18T07:12:54.999999999Z"}}).body ==
        R"({"status":"success","data":["a","b"]})");
}

TEST_CASE_FIXTURE(Fixture, "the status tells what has the most series") {
  CHECK(
      get("/api/v1/status/tsdb", {{"limit", "1"}}).body ==
      R"({"status":"success","data":{"headStats":{"numSeries":2,"numLabelPairs":3,"chunkCount":2,"minTime":0,"maxTime":60000},)"
      R"("seriesCountByMetricName":[{"name":"up","value":2}],"labelValueCountByLabelName":[{"name":"job","value":2}],)"
      R"("memoryInBytesByLabelName":[{"name":"__name__","value":4}],)"
      R"("seriesCountByLabelValuePair":[{"name":"__name__=up","value":2}]}})");
  CHECK(get("/api/v1/status/tsdb", {{"limit", "0"}}).status == 400);
  CHECK(get("/api/v1/status/tsdb", {{"limit", "10001"}}).status == 400);
}

TEST_CASE_FIXTURE(Fixture, "what is wrong is told with its kind") {
  const auto refused = get("/api/v1/query", {{"query", "up{"}});
  CHECK(refused.status == 400);
  CHECK(refused.body.starts_with(
      R"({"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": 1:4: parse error:)"));
  const auto failed = get("/api/v1/query", {{"query", "label_replace(up, \"a\", \"\", \"job\", \"(\")"}});
  CHECK(failed.status == 422);
  CHECK(failed.body.starts_with(R"({"status":"error","errorType":"execution")"));
  CHECK(get("/api/v1/query_range", {{"query", "\"a\""}, {"start", "0"}, {"end", "1"}, {"step", "1"}}).status == 400);
  for (const char* name : {"limit", "timeout", "lookback_delta"}) {
    CAPTURE(name);
    CHECK(get("/api/v1/query", {{"query", "up"}, {name, "x"}}).status == 400);
  }
  CHECK(get("/api/v1/query_range", {{"query", "up"}, {"start", "0"}, {"end", "100000"}, {"step", "1"}}).status == 400);
  CHECK(get("/api/v1/query_range", {{"query", "up"}, {"start", "5"}, {"end", "1"}, {"step", "1"}}).status == 400);
  CHECK(get("/api/v1/query", {{"query", "up"}, {"time", "yesterday"}}).status == 400);
  CHECK(get("/api/v1/series", {}).status == 400);
  CHECK(get("/api/v1/nothing", {}).status == 404);
}

}  // namespace caisson::metrics
