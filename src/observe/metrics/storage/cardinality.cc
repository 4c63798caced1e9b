// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/storage/cardinality.h"

#include <algorithm>

#include "observe/metrics/storage/series_index.h"

namespace caisson::metrics {
namespace {

// The largest of what it is told; names are made only of what stays.
class Largest {
 public:
  explicit Largest(std::size_t limit) : limit_(limit) {}

  template <class Name>
  void add(std::uint64_t value, Name name) {
    if (limit_ == 0 || (kept_.size() == limit_ && value < kept_.front().value)) return;
    Cardinality::Count one{name(), value};
    if (kept_.size() == limit_) {
      if (!before(one, kept_.front())) return;
      std::pop_heap(kept_.begin(), kept_.end(), before);
      kept_.pop_back();
    }
    kept_.push_back(std::move(one));
    std::push_heap(kept_.begin(), kept_.end(), before);
  }
  std::vector<Cardinality::Count> take() {
    std::sort_heap(kept_.begin(), kept_.end(), before);
    return std::move(kept_);
  }

 private:
  static bool before(const Cardinality::Count& a, const Cardinality::Count& b) {
    return a.value != b.value ? a.value > b.value : a.name < b.name;
  }

  const std::size_t limit_;
  std::vector<Cardinality::Count> kept_;  // a heap, the last of them in front
};

}  // namespace

Cardinality cardinality_of(const SeriesIndex& index, std::size_t limit) {
  Largest metrics(limit), labels(limit), bytes(limit), pairs(limit);
  Cardinality all;
  for (const auto& [name, values] : index.names()) {
    const std::string& label = name;
    std::uint64_t size = 0;
    for (const auto& [value, series] : values) {
      const std::string& text = value;
      if (label == kMetricName) metrics.add(series.size(), [&] { return text; });
      pairs.add(series.size(), [&] { return label + "=" + text; });
      size += text.size() * series.size();
    }
    labels.add(values.size(), [&] { return label; });
    bytes.add(size, [&] { return label; });
    all.pairs += values.size();
  }
  all.series_by_metric = metrics.take();
  all.values_by_label = labels.take();
  all.bytes_by_label = bytes.take();
  all.series_by_pair = pairs.take();
  return all;
}

}  // namespace caisson::metrics
