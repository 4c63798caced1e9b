// SPDX-License-Identifier: Apache-2.0
#include "main/platform/tenants.h"

#include <doctest/doctest.h>

#include "cluster/schema/resource.h"
#include "core/base/file.h"

namespace caisson::platform {
namespace {

std::string refusal(const std::string& overrides) {
  const auto read = parse_tenants(overrides);
  return read.ok() ? "" : read.error().message;
}

struct Bench {
  TempDir dir = TempDir::make("tenants").value();
  FakeClock clock;
  std::string overrides;  // empty: there is no ConfigMap
  int version = 1;
  Tenants tenants{dir.path() + "/metrics", dir.path() + "/loki",
                  [this](const kube::Resource&) {
                    std::vector<kube::Object> maps;
                    if (overrides.empty()) return maps;
                    kube::Object map = kube::Object::make(schema::kConfigMaps, "caisson-system", "tenants");
                    map.edit({"metadata", "resourceVersion"}) = Value(std::to_string(version));
                    map.edit({"data"}) = Value{{"overrides.yaml", overrides}};
                    maps.push_back(map);
                    return maps;
                  },
                  clock};

  Result<std::string> named(const std::string& name) { return tenants.name_of({{"X-Scope-OrgID", name}}); }
};

}  // namespace

TEST_CASE("limits of a tenant are read by Mimir's and Loki's names; what can't be read is named") {
  const auto read = parse_tenants(
      "overrides:\n"
      "  shop: {ingestion_rate: 10, ingestion_burst_size: 20, max_global_series_per_user: 3,\n"
      "         compactor_blocks_retention_period: 1d, ingestion_rate_mb: 0.5, retention_period: 2d}\n"
      "  other: {}\n");
  REQUIRE(read.ok());
  CHECK(read->size() == 2);
  const TenantLimits& shop = read->at("shop");
  CHECK(shop.metrics.ingestion_burst_size == 20);
  CHECK(shop.metrics.max_global_series_per_user == 3);
  CHECK(shop.metrics.retention_ms == 24 * 3'600'000);
  CHECK(shop.logs.rate_bytes == 524'288);
  CHECK(shop.logs.retention.period == 48LL * 3'600 * 1'000'000'000);
  CHECK(read->at("other").metrics == metrics::TenantLimits());
  CHECK(refusal("overrides: {shop: {ingestion_rat: 1}}") == "overrides.shop.ingestion_rat: no such limit here");
  CHECK(refusal("overrides: {shop: {ingestion_rate: -1}}").starts_with("overrides.shop.ingestion_rate: '-1' is not"));
  CHECK(refusal("overrides: {../etc: {}}").find("can't be the name") != std::string::npos);
  CHECK(refusal("overrides: {a/b: {}}").find("can't be the name") != std::string::npos);
}

TEST_CASE("without the ConfigMap the header says nothing; with it only the named are known") {
  Bench bench;
  CHECK(bench.named("shop").value().empty());
  bench.overrides = "overrides: {shop: {}}";
  CHECK(bench.named("shop").value() == "shop");
  CHECK(bench.tenants.name_of({}).value().empty());
  CHECK(bench.named("other").error().code == ErrorCode::forbidden);
  bench.overrides = "overrides: {shop: {}, other: {}}";
  bench.version = 2;
  CHECK(bench.named("other").value() == "other");
  bench.overrides = "overrides: {x: [";
  bench.version = 3;
  CHECK(bench.named("shop").error().code == ErrorCode::unavailable);
}

TEST_CASE("each tenant has a storage of its own") {
  Bench bench;
  bench.overrides = "overrides: {a: {}, b: {}}";
  const auto a = bench.tenants.open("a").value(), b = bench.tenants.open("b").value();
  CHECK(a != b);
  CHECK(bench.tenants.open("a").value() == a);
  logs::NewStream stream{metrics::Labels::from({{"app", "web"}}),
                         {{bench.clock.now().time_since_epoch().count(), "x", {}}}};
  REQUIRE(a->logs->store().push({&stream, 1}).ok());
  CHECK(a->logs->store().stats().entries == 1);
  CHECK(b->logs->store().stats().entries == 0);
  CHECK(exists(bench.dir.path() + "/metrics/tenants/a"));
  CHECK(exists(bench.dir.path() + "/loki/tenants/b"));
}

}  // namespace caisson::platform
