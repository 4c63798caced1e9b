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
  CHECK(get("/api/v1/label/job/values", {{"match[]", "up"}}).body == R"({"status":"success","data":["a","b"]})");
  CHECK(get("/api/v1/format_query", {{"query", "sum(a)by(b)"}}).body ==
        R"j({"status":"success","data":"sum by (b) (a)"})j");
}

TEST_CASE_FIXTURE(Fixture, "what is wrong is told with its kind") {
  const auto refused = get("/api/v1/query", {{"query", "up{"}});
  CHECK(refused.status == 400);
  CHECK(refused.body.starts_with(R"({"status":"error","errorType":"bad_data","error":"1:4: parse error:)"));
  CHECK(get("/api/v1/query_range", {{"query", "up"}, {"start", "0"}, {"end", "100000"}, {"step", "1"}}).status == 400);
  CHECK(get("/api/v1/query_range", {{"query", "up"}, {"start", "5"}, {"end", "1"}, {"step", "1"}}).status == 400);
  CHECK(get("/api/v1/query", {{"query", "up"}, {"time", "yesterday"}}).status == 400);
  CHECK(get("/api/v1/series", {}).status == 400);
  CHECK(get("/api/v1/nothing", {}).status == 404);
}

}  // namespace caisson::metrics
