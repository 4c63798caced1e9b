// SPDX-License-Identifier: Apache-2.0
// What makes an index large: which names, labels and values have the most series. Pure; whoever holds the index guards
// it.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace caisson::metrics {

class SeriesIndex;

struct Cardinality {
  struct Count {
    std::string name;
    std::uint64_t value = 0;
  };
  // The largest first, by name where they are the same.
  std::vector<Count> series_by_metric;
  std::vector<Count> values_by_label;
  std::vector<Count> bytes_by_label;  // of the values, once for each series that has one
  std::vector<Count> series_by_pair;  // "name=value"
  std::size_t pairs = 0;
};

// At most `limit` of each list.
Cardinality cardinality_of(const SeriesIndex& index, std::size_t limit);

}  // namespace caisson::metrics
