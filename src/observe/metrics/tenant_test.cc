// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/tenant.h"

#include <doctest/doctest.h>

#include "core/base/file.h"
#include "observe/metrics/remote/write_request.h"

namespace caisson::metrics {
namespace {

struct Bench {
  TempDir dir = TempDir::make("tenant").value();
  FakeClock clock;
  std::unique_ptr<Tenant> tenant;
  explicit Bench(const TenantLimits& limits) { tenant = Tenant::open(dir.path(), limits, clock).value(); }

  // Writes one sample of each of `count` series.
  http::Response write(std::size_t count, int first = 0) {
    const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(clock.now().time_since_epoch()).count();
    std::vector<NewSample> samples;
    for (std::size_t i = 0; i < count; ++i)
      samples.push_back(
          {Labels::from({{"__name__", "m"}, {"i", std::to_string(first + static_cast<int>(i))}}), now, 1});
    return tenant->write({{"Content-Type", content_type_of(WriteProtocol::v1)}, {"Content-Encoding", "snappy"}},
                         make_write_request(WriteProtocol::v1, samples));
  }
  std::string ask(const std::string& query) { return tenant->answer("/api/v1/query", {{"query", query}}).body; }
};

}  // namespace

TEST_CASE("a tenant's rate refills with time; what is beyond it is 429, and nothing of it is stored") {
  Bench bench({.ingestion_rate = 2, .ingestion_burst_size = 10});
  CHECK(bench.write(8).status == 204);
  const http::Response refused = bench.write(8, 100);
  CHECK(refused.status == 429);
  CHECK(refused.body.find("ingestion_rate (2 samples/s)") != std::string::npos);
  CHECK(refused.body.find("ingestion_burst_size (10)") != std::string::npos);
  CHECK(bench.ask("count(m)").find("\"8\"") != std::string::npos);
  bench.clock.advance(std::chrono::seconds(3));
  CHECK(bench.write(8).status == 204);
}

TEST_CASE("series beyond a tenant's limit are 400 by the limit's name; the others are stored") {
  Bench bench({.max_global_series_per_user = 3});
  const http::Response refused = bench.write(5);
  CHECK(refused.status == 400);
  CHECK(refused.body == "2 samples not stored: the limit of max_global_series_per_user (3) is reached\n");
  CHECK(bench.ask("count(m)").find("\"3\"") != std::string::npos);
}

TEST_CASE("a tenant has no targets and no rules, and answers what Grafana asks first") {
  Bench bench(TenantLimits{});
  for (const char* path : {"/api/v1/status/buildinfo", "/api/v1/rules", "/api/v1/labels", "/api/v1/metadata"}) {
    CAPTURE(path);
    CHECK(bench.tenant->answer(path, {}).status == 200);
  }
  CHECK(bench.tenant->answer("/api/v1/admin/tsdb/delete_series", {}).status == 404);
}

}  // namespace caisson::metrics
