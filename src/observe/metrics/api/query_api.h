// SPDX-License-Identifier: Apache-2.0
// The HTTP API v1 of Prometheus over one storage: query, query_range, series, labels, label/<name>/values,
// format_query, parse of queries by their errors, status/buildinfo, status/tsdb, admin of deletion is left out. Answers
// as upstream's "Querying API" page says:
// {"status":"success","data":…,"warnings":[…],"infos":[…]} or {"status":"error","errorType":…,"error":…}.
// Pure but for the storage and the clock; any thread.
#pragma once
#include "core/base/clock.h"
#include "core/http/message.h"
#include "observe/metrics/promql/engine.h"
#include "observe/metrics/storage/tsdb.h"

namespace caisson::metrics {

struct ApiOptions {
  promql::EngineOptions engine;
  std::size_t points_max = 11'000;  // of one series in a range query
};

// `path` is below the prefix the API is mounted at: "/api/v1/query". `parameters` are those of the URL and of a form
// body.
http::Response answer_query_api(const Tsdb& storage, const ApiOptions& options, std::int64_t now_ms,
                                std::string_view path, const http::Query& parameters);

}  // namespace caisson::metrics
