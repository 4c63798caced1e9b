// SPDX-License-Identifier: Apache-2.0
#include "delivery/git/fetches.h"

namespace caisson::git {

Result<void> Fetches::run(const std::string& url, const std::function<Result<void>()>& fetch) {
  const Duration asked = clock_.monotonic();
  std::unique_lock lock(mutex_);
  if (!ended_.wait_for(lock, limits_.others_wait_max, [&] { return !under_way_; }))
    return Error{ErrorCode::unavailable, "fetch " + url + ": still under way, and waited for"};
  if (began_ >= asked || asked < rest_until_) return last_;
  under_way_ = true;
  began_ = clock_.monotonic();
  lock.unlock();
  auto done = fetch();
  lock.lock();
  const Duration now = clock_.monotonic();
  if (!done.ok() && now - began_ >= limits_.slow) rest_until_ = now + limits_.rest;
  last_ = done;
  under_way_ = false;
  ended_.notify_all();
  return done;
}

}  // namespace caisson::git
