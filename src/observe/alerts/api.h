// SPDX-License-Identifier: Apache-2.0
// Alertmanager's API v2: alerts, groups, silences, receivers, status; and GET /api/v2/why?labels, which is our own.
// What amtool, Prometheus and Grafana speak. A function of a request; any thread.
#pragma once
#include "observe/alerts/manager.h"

namespace caisson::alerts {

http::Response answer_api(Manager& manager, std::string_view method, std::string_view path, const http::Query& query,
                          const std::string& body, std::int64_t now, std::int64_t started);

}  // namespace caisson::alerts
