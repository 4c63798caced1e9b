// SPDX-License-Identifier: Apache-2.0
// What scrapes bring beside samples: metadata of metrics and exemplars. Bounded, in memory. Any thread.
#pragma once
#include <deque>
#include <map>
#include <mutex>

#include "observe/metrics/exposition/text.h"

namespace caisson::metrics {

struct StoredExemplar {
  Labels series;
  Labels labels;
  double v = 0;
  std::int64_t t = 0;
};

class SideData {
 public:
  static constexpr std::size_t kMetadataMax = 20'000, kExemplarsMax = 5'000;

  void note(const MetricMetadata& metadata);
  std::vector<MetricMetadata> metadata(std::string_view metric, std::size_t limit) const;  // all when `metric` is empty
  // The oldest go when there are too many. One that repeats the series' last is left out.
  void add(StoredExemplar exemplar);
  // Ordered by series, then time; of series that match one of `selectors`.
  std::vector<StoredExemplar> exemplars(std::span<const std::vector<Matcher>> selectors, std::int64_t mint,
                                        std::int64_t maxt) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, MetricMetadata, std::less<>> metadata_;
  std::deque<StoredExemplar> exemplars_;
};

}  // namespace caisson::metrics
