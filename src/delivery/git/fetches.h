// SPDX-License-Identifier: Apache-2.0
// The fetches of one mirror: one at a time, and one for all who ask meanwhile, as a thousand Applications may read the
// same repository. A host that hangs holds up one worker, not all of them. Internal to the room. Threads: any.
#pragma once
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>

#include "core/base/clock.h"
#include "core/base/result.h"

namespace caisson::git {

struct FetchLimits {
  Duration others_wait_max = std::chrono::seconds(10);  // for a fetch that somebody else began
  Duration slow = std::chrono::seconds(5);              // a failure that took so long is not tried again at once …
  Duration rest = std::chrono::seconds(30);             // … but after this time
};

class Fetches {
 public:
  explicit Fetches(Clock& clock = system_clock(), FetchLimits limits = {}) : clock_(clock), limits_(limits) {}

  // Runs `fetch`, unless one that began after this call has run. Errors: what that fetch gave, or a slow one that
  // failed just before; unavailable while another's takes long.
  Result<void> run(const std::string& url, const std::function<Result<void>()>& fetch);

 private:
  Clock& clock_;
  const FetchLimits limits_;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool under_way_ = false;               // GUARDED_BY(mutex_), as all below
  Duration began_{-1}, rest_until_{-1};  // monotonic; of the last fetch
  Result<void> last_;
};

}  // namespace caisson::git
