// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/scrape/side_data.h"

#include <algorithm>

namespace caisson::metrics {

void SideData::note(const MetricMetadata& metadata) {
  const std::lock_guard lock(mutex_);
  const auto at = metadata_.find(metadata.name);
  if (at != metadata_.end())
    at->second = metadata;
  else if (metadata_.size() < kMetadataMax)
    metadata_.emplace(metadata.name, metadata);
}

std::vector<MetricMetadata> SideData::metadata(std::string_view metric, std::size_t limit) const {
  const std::lock_guard lock(mutex_);
  std::vector<MetricMetadata> found;
  for (const auto& [name, entry] : metadata_)
    if ((metric.empty() || name == metric) && found.size() < limit) found.push_back(entry);
  return found;
}

void SideData::add(StoredExemplar exemplar) {
  const std::lock_guard lock(mutex_);
  for (auto at = exemplars_.rbegin(); at != exemplars_.rend(); ++at) {
    if (!(at->series == exemplar.series)) continue;
    if (at->t >= exemplar.t || (at->labels == exemplar.labels && at->v == exemplar.v)) return;
    break;
  }
  if (exemplars_.size() >= kExemplarsMax) exemplars_.pop_front();
  exemplars_.push_back(std::move(exemplar));
}

std::vector<StoredExemplar> SideData::exemplars(std::span<const std::vector<Matcher>> selectors, std::int64_t mint,
                                                std::int64_t maxt) const {
  const std::lock_guard lock(mutex_);
  std::vector<StoredExemplar> found;
  for (const StoredExemplar& e : exemplars_) {
    const bool wanted = std::any_of(selectors.begin(), selectors.end(),
                                    [&](const std::vector<Matcher>& m) { return matches_all(m, e.series); });
    if (wanted && e.t >= mint && e.t <= maxt) found.push_back(e);
  }
  std::stable_sort(found.begin(), found.end(), [](const StoredExemplar& a, const StoredExemplar& b) {
    return a.series == b.series ? a.t < b.t : a.series < b.series;
  });
  return found;
}

}  // namespace caisson::metrics
