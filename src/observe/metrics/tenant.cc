// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/tenant.h"

#include <mutex>

#include "observe/metrics/api/query_api.h"
#include "observe/metrics/api/state_api.h"
#include "observe/metrics/model/format.h"
#include "observe/metrics/remote/receiver.h"
#include "observe/metrics/scrape/side_data.h"
#include "observe/metrics/tree_json.h"

namespace caisson::metrics {

struct Tenant::Impl {
  TenantLimits limits;
  Clock& clock;
  std::unique_ptr<Tsdb> storage;
  SideData side;
  ApiOptions api;
  std::int64_t opened_ms = 0;

  std::mutex mutex;
  double left = 0;       // GUARDED_BY(mutex): samples that may come at once
  Duration filled_at{};  // GUARDED_BY(mutex)

  std::int64_t now_ms() const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(clock.now().time_since_epoch()).count();
  }

  Result<void> admit(std::size_t samples) {
    const std::lock_guard lock(mutex);
    const Duration now = clock.monotonic();
    const double seconds = std::chrono::duration<double>(now - filled_at).count();
    left = std::min(limits.ingestion_burst_size, left + limits.ingestion_rate * seconds);
    filled_at = now;
    const auto wanted = static_cast<double>(samples);
    if (wanted > left)
      return Error{ErrorCode::too_many_requests,
                   "the tenant exceeded its limits ingestion_rate (" + format_general(limits.ingestion_rate) +
                       " samples/s) and ingestion_burst_size (" + format_general(limits.ingestion_burst_size) +
                       ") with " + std::to_string(samples) + " samples"};
    left -= wanted;
    return {};
  }
};

Tenant::Tenant(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tenant::~Tenant() = default;

Result<std::unique_ptr<Tenant>> Tenant::open(const std::string& directory, const TenantLimits& limits, Clock& clock) {
  auto impl = std::unique_ptr<Impl>(new Impl{limits, clock});
  TsdbOptions options;
  options.retention_ms = limits.retention_ms;
  options.retention_bytes = limits.retention_bytes;
  options.series_max = limits.max_global_series_per_user;
  impl->storage = TRY(Tsdb::open(directory, options));
  impl->opened_ms = impl->now_ms();
  impl->left = limits.ingestion_burst_size;
  impl->filled_at = clock.monotonic();
  return std::unique_ptr<Tenant>(new Tenant(std::move(impl)));
}

http::Response Tenant::write(const http::Headers& headers, std::string_view body) {
  Impl& it = *impl_;
  return receive_write(*it.storage, it.side, headers, body, it.now_ms(),
                       {[&it](std::size_t samples) { return it.admit(samples); },
                        "max_global_series_per_user (" + std::to_string(it.limits.max_global_series_per_user) + ")"});
}

http::Response Tenant::answer(std::string_view path, const http::Query& parameters) const {
  const Impl& it = *impl_;
  ServerState state{{}, {}, &it.side, it.opened_ms, it.now_ms()};
  state.retention_ms = it.limits.retention_ms;
  if (path == "/api/v1/parse_query") return answer_parse_query(parameters);
  if (auto known = answer_state_api(state, path, parameters)) return std::move(*known);
  return answer_query_api(*it.storage, it.api, it.now_ms(), path, parameters);
}

Result<void> Tenant::maintain() {
  return impl_->storage->maintain(impl_->now_ms());
}

}  // namespace caisson::metrics
