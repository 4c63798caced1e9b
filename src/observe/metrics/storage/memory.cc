// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/storage/memory.h"

#include <algorithm>

namespace caisson::metrics {

struct MemoryStorage::MemorySeries : StoredSeries {
  explicit MemorySeries(Labels l) : own_labels(std::move(l)) {}
  const Labels& labels() const override { return own_labels; }

  Result<void> read(std::int64_t mint, std::int64_t maxt, Samples& into) const override {
    const auto copy = [&](const auto& from, auto& to) {
      const auto begin =
          std::lower_bound(from.begin(), from.end(), mint, [](const auto& p, std::int64_t t) { return p.t < t; });
      const auto end = std::upper_bound(begin, from.end(), maxt, [](std::int64_t t, const auto& p) { return t < p.t; });
      to.insert(to.end(), begin, end);
    };
    copy(samples.floats, into.floats);
    copy(samples.histograms, into.histograms);
    return {};
  }

  Labels own_labels;
  Samples samples;
};

namespace {

// Keeps the order of time; a sample at the same time is replaced.
template <class Point>
void insert(std::vector<Point>& points, Point point) {
  if (points.empty() || points.back().t < point.t) {
    points.push_back(std::move(point));
    return;
  }
  const auto at =
      std::lower_bound(points.begin(), points.end(), point.t, [](const Point& p, std::int64_t t) { return p.t < t; });
  if (at != points.end() && at->t == point.t)
    *at = std::move(point);
  else
    points.insert(at, std::move(point));
}

}  // namespace

ResetHint stored_hint(const FloatHistogram& h, const FloatHistogram* previous) {
  if (h.hint == ResetHint::gauge) return ResetHint::gauge;
  if (!previous || previous->hint == ResetHint::gauge || h.hint == ResetHint::reset) return ResetHint::unknown;
  if (is_stale_nan(previous->sum)) return ResetHint::unknown;
  if (is_stale_nan(h.sum)) return ResetHint::not_reset;
  const bool same_layout = h.schema == previous->schema && h.zero_threshold == previous->zero_threshold &&
                           h.custom_bounds == previous->custom_bounds;
  if (!same_layout) return ResetHint::unknown;
  FloatHistogram plain = h;
  plain.hint = ResetHint::unknown;
  return detect_reset(plain, *previous) ? ResetHint::unknown : ResetHint::not_reset;
}

MemoryStorage::MemoryStorage() = default;
MemoryStorage::~MemoryStorage() = default;

MemoryStorage::MemorySeries& MemoryStorage::series(const Labels& labels) {
  const auto [at, added] = index_.try_emplace(labels, series_.size());
  if (added) series_.push_back(std::make_shared<MemorySeries>(labels));
  return *series_[at->second];
}

void MemoryStorage::append(const Labels& labels, std::int64_t t, double v) {
  insert(series(labels).samples.floats, FloatPoint{t, v});
}

void MemoryStorage::append(const Labels& labels, std::int64_t t, FloatHistogram h) {
  Samples& samples = series(labels).samples;
  const FloatHistogram* previous = samples.histograms.empty() ? nullptr : samples.histograms.back().h.get();
  if (previous && !samples.floats.empty() && samples.floats.back().t > samples.histograms.back().t) previous = nullptr;
  h.hint = stored_hint(h, previous);
  insert(samples.histograms, HistogramPoint{t, std::make_shared<const FloatHistogram>(std::move(h))});
}

void MemoryStorage::clear() {
  series_.clear();
  index_.clear();
}

Result<std::vector<std::shared_ptr<const StoredSeries>>> MemoryStorage::select(std::span<const Matcher> matchers,
                                                                               std::int64_t, std::int64_t) const {
  std::vector<std::shared_ptr<const StoredSeries>> found;
  for (const auto& one : series_)
    if (matches_all(matchers, one->own_labels)) found.push_back(one);
  return found;
}

}  // namespace caisson::metrics
