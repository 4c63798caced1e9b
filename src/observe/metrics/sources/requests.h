// SPDX-License-Identifier: Apache-2.0
// Requests to the API server as series: apiserver_request_total, apiserver_request_duration_seconds and
// apiserver_current_inflight_requests with the labels of Kubernetes 1.33. Any thread.
#pragma once
#include <array>
#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <string>

#include "core/http/server.h"
#include "observe/metrics/exposition/families.h"

namespace caisson::metrics {

// What a request asks for, in the words of the labels.
struct RequestInfo {
  std::string verb, group, version, resource, subresource, scope;  // scope: cluster, namespace, resource
  auto operator<=>(const RequestInfo&) const = default;
};
// Requests to other paths than those of objects have an empty resource.
RequestInfo request_info(std::string_view method, std::string_view path, const http::Query& query,
                         std::string_view content_type);

class RequestMetrics {
 public:
  // Counts what passes through to `next`. The handler borrows this object.
  http::Handler meter(http::Handler next);
  Exposition read() const;

  void count(const RequestInfo& request, int code, std::chrono::duration<double> took, bool long_running);
  std::atomic<int> reading = 0, writing = 0;  // requests under way

 private:
  static constexpr std::size_t kSeriesMax = 2'000;  // of each kind; what is beyond is counted under resource="other"
  static constexpr double kBounds[] = {0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1,  1.25, 1.5, 2,
                                       3,     4,     5,    6,   8,   10,  15,  20,  30, 45,   60};
  struct Histogram {
    std::array<std::uint64_t, std::size(kBounds) + 1> counts{};
    double sum = 0;
  };

  mutable std::mutex mutex_;
  std::map<std::pair<RequestInfo, int>, std::uint64_t> totals_;
  std::map<RequestInfo, Histogram> durations_;
};

}  // namespace caisson::metrics
