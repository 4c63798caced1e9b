// SPDX-License-Identifier: Apache-2.0
// Loki's HTTP API for reading, over one store: query, query_range, labels, label/<name>/values, series, index/stats,
// index/volume, index/volume_range, patterns, detected_fields, detected_field/<name>/values, detected_labels,
// format_query, status/buildinfo. Answers and error texts are Loki 3.7's. Any thread.
#pragma once
#include "core/base/clock.h"
#include "core/http/message.h"
#include "observe/logs/logql/engine.h"

namespace caisson::logs {

struct ApiOptions {
  logql::EngineOptions engine;
  std::size_t lines_max = 5'000;  // of a query
};

// `path` is below /loki/api/v1/: "query_range". `parameters` are those of the URL and of a form body.
http::Response answer_query_api(const Store& store, const ApiOptions& options, std::int64_t now, std::string_view path,
                                const http::Query& parameters, const http::Headers& headers);
// Loki answers errors as plain text.
http::Response error_response(const Error& error);

}  // namespace caisson::logs
