// SPDX-License-Identifier: Apache-2.0
// Parameters of requests as Loki's "HTTP API" page has them. Times are nanoseconds. Pure functions.
#pragma once
#include "core/http/message.h"
#include "observe/logs/logql/engine.h"

namespace caisson::logs {

// "1700000000", "1700000000.5", nanoseconds, "2026-11-21T12:00:00Z". Errors: bad_request.
Result<std::int64_t> parse_log_time(std::string_view text);

class Parameters {
 public:
  Parameters(const http::Query& query, std::int64_t now) : query_(query), now_(now) {}
  std::string_view text(std::string_view name) const { return http::query_get(query_, name); }
  std::vector<std::string> all(std::string_view name) const;

  struct Span {
    std::int64_t start = 0, end = 0;
  };
  // start, end, since; without them the last hour (or `otherwise`). Errors: bad_request, as all below.
  Result<Span> span(std::int64_t otherwise = 3'600LL * 1'000'000'000) const;
  Result<std::int64_t> time(std::string_view name, std::int64_t otherwise) const;
  Result<std::int64_t> duration(std::string_view name, std::int64_t otherwise) const;  // seconds or 5m
  Result<std::int64_t> step(const Span& span) const;
  Result<std::size_t> limit(std::size_t otherwise, std::size_t largest) const;
  Result<Direction> direction() const;

 private:
  const http::Query& query_;
  const std::int64_t now_;
};

}  // namespace caisson::logs
