// SPDX-License-Identifier: Apache-2.0
// What a query needs of a storage: find series, read their samples in one go. One virtual call a series, none a sample.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "core/base/result.h"
#include "observe/metrics/model/sample.h"

namespace caisson::metrics {

class StoredSeries {
 public:
  virtual ~StoredSeries() = default;
  virtual const Labels& labels() const = 0;
  // Appends the samples of mint <= t <= maxt, stale markers among them, to `into`.
  virtual Result<void> read(std::int64_t mint, std::int64_t maxt, Samples& into) const = 0;
};

// Any thread.
class Queryable {
 public:
  virtual ~Queryable() = default;
  // Series that match and may have samples within mint..maxt. They stay readable as long as they are held.
  virtual Result<std::vector<std::shared_ptr<const StoredSeries>>> select(std::span<const Matcher> matchers,
                                                                          std::int64_t mint,
                                                                          std::int64_t maxt) const = 0;
};

}  // namespace caisson::metrics
