// SPDX-License-Identifier: Apache-2.0
// The receiving end of remote write 1.0 and 2.0: POST /api/v1/write. What is accepted is on the disk before the answer.
// 204: all is stored (samples that are there already count as stored). 400: some samples were refused for good (too
// old, another value at the same time, a limit), the others are stored; the client must not repeat it. 503: nothing is
// stored, for instance because the disk is full; the client repeats. Any thread.
#pragma once
#include "core/http/message.h"
#include "observe/metrics/remote/write_request.h"

namespace caisson::metrics {

// What is asked before samples are stored, and what the limit of series is called. Without `admit` all may come; what
// it refuses is answered 429 for too_many_requests, and the client repeats it.
struct WriteGate {
  std::function<Result<void>(std::size_t samples)> admit;
  std::string series_limit = "series";
};

http::Response receive_write(Tsdb& storage, SideData& side, const http::Headers& headers, std::string_view body,
                             std::int64_t now_ms, const WriteGate& gate = {});

}  // namespace caisson::metrics
