// SPDX-License-Identifier: Apache-2.0
// Loki's API for deleting lines ("HTTP API", "Log deletion"): a request is written down, its lines are read by nobody
// from then on, and when it can't be cancelled any more they are taken out of the store. Requests survive restarts.
// Any thread.
#pragma once
#include <mutex>

#include "core/base/clock.h"
#include "core/document/value.h"
#include "core/http/message.h"
#include "observe/logs/store/store.h"

namespace caisson::logs {

struct DeletionOptions {
  Duration cancel_period = std::chrono::hours(24);
  bool enabled = true;  // false: requests are refused
  bool erases = true;   // false: lines are hidden only
};
// compactor.delete_request_cancel_period and limits_config.deletion_mode (disabled, filter-only, filter-and-delete).
Result<DeletionOptions> read_deletion_options(const Value& loki_yaml);

class Deletions {
 public:
  // Hides what the requests of `file` want. Errors: invalid when the file is damaged.
  static Result<std::unique_ptr<Deletions>> open(std::string file, Store& store, Clock& clock);
  void configure(DeletionOptions options);

  // POST or PUT: query, start, end, max_interval. GET: all. DELETE: request_id, force.
  http::Response answer(std::string_view method, const http::Query& parameters);
  // Erases what is due.
  Result<void> process();

 private:
  struct Request {
    std::string id, query;
    std::int64_t start_ms = 0, end_ms = 0, created_ms = 0;
    bool processed = false;
  };
  Deletions(std::string file, Store& store, Clock& clock) : file_(std::move(file)), store_(store), clock_(clock) {}
  static Result<Deletion> deletion_of(const Request& request);
  std::int64_t now_ms() const;
  Result<http::Response> add(const http::Query& parameters);
  Result<http::Response> cancel(const http::Query& parameters);
  http::Response list() const;
  Result<void> read();
  Result<void> write(std::vector<Request> requests);  // and hides

  const std::string file_;
  Store& store_;
  Clock& clock_;
  mutable std::mutex mutex_;
  DeletionOptions options_;        // GUARDED_BY(mutex_), as all below
  std::vector<Request> requests_;  // the oldest first
};

}  // namespace caisson::logs
