// SPDX-License-Identifier: Apache-2.0
// Tenant: the samples of one tenant (X-Scope-OrgID), apart from all others: a storage, metadata, exemplars and limits
// of its own. It is written to by remote write, and asked by the part of the HTTP API that reads; targets and rules are
// the platform's. Limits have Mimir's names. Any thread.
#pragma once
#include "core/base/clock.h"
#include "core/http/message.h"
#include "observe/metrics/storage/tsdb.h"

namespace caisson::metrics {

struct TenantLimits {
  double ingestion_rate = 10'000, ingestion_burst_size = 200'000;  // samples a second
  std::size_t max_global_series_per_user = 150'000;
  std::int64_t retention_ms = TsdbOptions().retention_ms;
  std::uint64_t retention_bytes = TsdbOptions().retention_bytes;
  bool operator==(const TenantLimits&) const = default;
};

class Tenant {
 public:
  static Result<std::unique_ptr<Tenant>> open(const std::string& directory, const TenantLimits& limits, Clock& clock);
  ~Tenant();

  // POST /api/v1/write. 429 beyond the rate, 400 for series beyond their limit (remote/receiver.h); both name the
  // limit.
  http::Response write(const http::Headers& headers, std::string_view body);
  // `path` is below the mount: "/api/v1/query".
  http::Response answer(std::string_view path, const http::Query& parameters) const;
  Result<void> maintain();  // called now and then

 private:
  struct Impl;
  explicit Tenant(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace caisson::metrics
