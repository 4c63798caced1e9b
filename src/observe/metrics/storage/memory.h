// SPDX-License-Identifier: Apache-2.0
// Series held as plain arrays: for unit tests of rules and for tests. One thread writes; reading is safe from any
// thread while nobody writes.
#pragma once
#include <unordered_map>

#include "observe/metrics/queryable.h"

namespace caisson::metrics {

class MemoryStorage : public Queryable {
 public:
  MemoryStorage();
  ~MemoryStorage() override;
  void append(const Labels& labels, std::int64_t t, double v);
  // The hint is set as a storage can know it: not_reset when the sample follows its predecessor, else unknown; gauge
  // stays.
  void append(const Labels& labels, std::int64_t t, FloatHistogram h);
  void clear();

  Result<std::vector<std::shared_ptr<const StoredSeries>>> select(std::span<const Matcher> matchers, std::int64_t mint,
                                                                  std::int64_t maxt) const override;

 private:
  struct MemorySeries;
  MemorySeries& series(const Labels& labels);
  std::vector<std::shared_ptr<MemorySeries>> series_;
  std::unordered_map<Labels, std::size_t, LabelsHash> index_;
};

// What a reader may know of `h` when `previous` (null: none, or a float) came before it in the same series.
ResetHint stored_hint(const FloatHistogram& h, const FloatHistogram* previous);

}  // namespace caisson::metrics
