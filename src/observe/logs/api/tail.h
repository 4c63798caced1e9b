// SPDX-License-Identifier: Apache-2.0
// Live tails: GET /loki/api/v1/tail as a WebSocket. What is in the store comes first, then every line as it is pushed.
// A tail holds no thread. Any thread.
#pragma once
#include "core/http/server.h"
#include "observe/logs/logql/engine.h"

namespace caisson::logs {

class Tails {
 public:
  Tails(Store& store, Clock& clock) : store_(store), clock_(clock) {}
  // Errors: bad_request; too_many_requests when there are too many tails.
  Result<void> open(http::Exchange& exchange, const http::Query& query);

 private:
  struct Tail;
  Store& store_;
  Clock& clock_;
  std::shared_ptr<std::atomic<int>> open_ = std::make_shared<std::atomic<int>>(0);
};

}  // namespace caisson::logs
