// SPDX-License-Identifier: Apache-2.0
// What of a push is taken: Loki's limits, with its words. Pure functions but for the bucket; of the store.
#pragma once
#include "observe/logs/store/store.h"

namespace caisson::logs {

// 2026-11-21T02:30:17.5Z, as Loki's messages have times.
std::string time_text(std::int64_t t);

// Errors: bad_request.
Result<void> check_labels(const Labels& labels, const StoreOptions& options);
Result<void> check_entry(const Labels& labels, const NewEntry& entry, std::int64_t newest, std::int64_t now,
                         const StoreOptions& options);

// Bytes of lines a second. One thread at a time.
class RateBucket {
 public:
  RateBucket(double rate, double burst) : rate_(rate), burst_(burst), left_(burst) {}
  bool take(double bytes, Duration now);

 private:
  double rate_, burst_, left_;
  Duration last_{};
};

}  // namespace caisson::logs
