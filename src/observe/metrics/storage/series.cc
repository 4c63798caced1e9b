// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/storage/series.h"

#include <algorithm>

#include "observe/metrics/storage/memory.h"

namespace caisson::metrics {
namespace {

auto lower(auto& points, std::int64_t t) {
  using Point = typename std::remove_cvref_t<decltype(points)>::value_type;
  return std::lower_bound(points.begin(), points.end(), t, [](const Point& p, std::int64_t at) { return p.t < at; });
}

template <class Point>
void append_range(const std::vector<Point>& from, std::int64_t mint, std::int64_t maxt, std::vector<Point>& into) {
  for (auto at = lower(from, mint); at != from.end() && at->t <= maxt; ++at) into.push_back(*at);
}

}  // namespace

Samples& TsdbSeries::loose() {
  if (!loose_) loose_ = std::make_unique<Samples>();
  return *loose_;
}

Result<void> TsdbSeries::read(std::int64_t mint, std::int64_t maxt, Samples& into) const {
  const std::lock_guard lock(mutex_);
  const std::size_t before = into.floats.size();
  for (const FloatChunk& chunk : chunks_) TRY(chunk.decode(mint, maxt, into.floats));
  if (!loose_) return {};
  const std::size_t in_order = into.floats.size();
  append_range(loose_->floats, mint, maxt, into.floats);
  std::inplace_merge(into.floats.begin() + before, into.floats.begin() + in_order, into.floats.end(),
                     [](const FloatPoint& a, const FloatPoint& b) { return a.t < b.t; });
  append_range(loose_->histograms, mint, maxt, into.histograms);
  return {};
}

bool TsdbSeries::value_at(std::int64_t t, double& v, const FloatHistogram*& h) const {
  std::vector<FloatPoint> found;
  for (const FloatChunk& chunk : chunks_)
    if (!chunk.decode(t, t, found).ok()) return false;
  if (loose_) {
    append_range(loose_->floats, t, t, found);
    const auto at = lower(loose_->histograms, t);
    if (at != loose_->histograms.end() && at->t == t) {
      h = at->h.get();
      return true;
    }
  }
  if (found.empty()) return false;
  v = found[0].v;
  return true;
}

Admission TsdbSeries::admit(std::int64_t t, double v, const FloatHistogram* h, std::int64_t out_of_order_ms) const {
  const std::lock_guard lock(mutex_);
  return admission(t, v, h, out_of_order_ms);
}

Admission TsdbSeries::admission(std::int64_t t, double v, const FloatHistogram* h, std::int64_t out_of_order_ms) const {
  if (newest_ == INT64_MIN || t > newest_) return Admission::in_order;
  if (newest_ - t > out_of_order_ms) return Admission::too_old;
  double present = 0;
  const FloatHistogram* present_histogram = nullptr;
  if (!value_at(t, present, present_histogram))
    return loose_ && loose_->floats.size() >= kLooseMax ? Admission::too_old : Admission::out_of_order;
  const bool same =
      h && present_histogram
          ? equals(*h, *present_histogram)
          : !h && !present_histogram && std::bit_cast<std::uint64_t>(v) == std::bit_cast<std::uint64_t>(present);
  return same ? Admission::duplicate : Admission::conflicting;
}

void TsdbSeries::add(std::int64_t t, double v, const HistogramPtr& h) {
  const std::lock_guard lock(mutex_);
  put(t, v, h);
}

void TsdbSeries::add_logged(std::int64_t t, double v, const HistogramPtr& h) {
  const std::lock_guard lock(mutex_);
  const Admission found = admission(t, v, h.get(), INT64_MAX);
  if (found == Admission::in_order || found == Admission::out_of_order) put(t, v, h);
}

void TsdbSeries::put(std::int64_t t, double v, const HistogramPtr& h) {
  if (h) {
    auto& histograms = loose().histograms;
    const auto at = lower(histograms, t);
    const FloatHistogram* previous = at == histograms.begin() ? nullptr : (at - 1)->h.get();
    FloatHistogram stored = *h;
    stored.hint = stored_hint(stored, previous);
    histograms.insert(at, {t, std::make_shared<const FloatHistogram>(std::move(stored))});
  } else if (newest_ == INT64_MIN || t > newest_) {
    if (chunks_.empty() || chunks_.back().full()) chunks_.emplace_back();
    chunks_.back().append(t, v);
  } else {
    auto& floats = loose().floats;
    floats.insert(lower(floats, t), {t, v});
  }
  newest_ = std::max(newest_, t);
}

void TsdbSeries::restore(FloatChunk chunk) {
  const std::lock_guard lock(mutex_);
  newest_ = std::max(newest_, chunk.last_time());
  chunks_.push_back(std::move(chunk));
}

void TsdbSeries::restore_loose(std::int64_t t, double v, const HistogramPtr& h) {
  const std::lock_guard lock(mutex_);
  newest_ = std::max(newest_, t);
  if (h)
    loose().histograms.push_back({t, h});
  else
    loose().floats.push_back({t, v});
}

void TsdbSeries::note_newest(std::int64_t t) {
  const std::lock_guard lock(mutex_);
  newest_ = std::max(newest_, t);
}

Result<void> TsdbSeries::remove(std::int64_t mint, std::int64_t maxt) {
  const std::lock_guard lock(mutex_);
  std::vector<FloatChunk> kept;
  for (FloatChunk& chunk : chunks_) {
    if (chunk.last_time() < mint || chunk.first_time() > maxt) {
      kept.push_back(std::move(chunk));
      continue;
    }
    std::vector<FloatPoint> points;
    TRY(chunk.decode(INT64_MIN, INT64_MAX, points));
    FloatChunk rest;
    for (const FloatPoint& p : points)
      if (p.t < mint || p.t > maxt) rest.append(p.t, p.v);
    if (rest.count() > 0) kept.push_back(std::move(rest));
  }
  chunks_ = std::move(kept);
  if (!loose_) return {};
  std::erase_if(loose_->floats, [&](const FloatPoint& p) { return p.t >= mint && p.t <= maxt; });
  std::erase_if(loose_->histograms, [&](const HistogramPoint& p) { return p.t >= mint && p.t <= maxt; });
  return {};
}

void TsdbSeries::drop_before(std::int64_t t) {
  const std::lock_guard lock(mutex_);
  if (std::erase_if(chunks_, [&](const FloatChunk& chunk) { return chunk.last_time() < t; }) > 0)
    chunks_.shrink_to_fit();
  if (!loose_) return;
  std::erase_if(loose_->floats, [&](const FloatPoint& p) { return p.t < t; });
  std::erase_if(loose_->histograms, [&](const HistogramPoint& p) { return p.t < t; });
  if (loose_->empty()) loose_.reset();
}

TsdbSeries::Contents TsdbSeries::contents() const {
  const std::lock_guard lock(mutex_);
  return {chunks_, loose_ ? *loose_ : Samples()};
}

TsdbSeries::Contents TsdbSeries::contents_before(std::int64_t t) const {
  const std::lock_guard lock(mutex_);
  Contents found;
  for (const FloatChunk& chunk : chunks_)
    if (chunk.last_time() < t) found.chunks.push_back(chunk);
  if (!loose_) return found;
  found.loose.floats.assign(loose_->floats.begin(), lower(loose_->floats, t));
  found.loose.histograms.assign(loose_->histograms.begin(), lower(loose_->histograms, t));
  return found;
}

bool TsdbSeries::empty() const {
  const std::lock_guard lock(mutex_);
  return chunks_.empty() && (!loose_ || loose_->empty());
}

std::size_t TsdbSeries::samples() const {
  const std::lock_guard lock(mutex_);
  std::size_t count = loose_ ? loose_->floats.size() + loose_->histograms.size() : 0;
  for (const FloatChunk& chunk : chunks_) count += chunk.count();
  return count;
}

std::size_t TsdbSeries::chunks() const {
  const std::lock_guard lock(mutex_);
  return chunks_.size();
}

std::uint64_t TsdbSeries::bytes() const {
  const std::lock_guard lock(mutex_);
  std::uint64_t total = 0;
  for (const FloatChunk& chunk : chunks_) total += chunk.bytes().size();
  if (!loose_) return total;
  total += loose_->floats.size() * sizeof(FloatPoint);
  for (const HistogramPoint& p : loose_->histograms)
    total += sizeof(FloatHistogram) + (p.h->positive.size() + p.h->negative.size()) * sizeof(HistogramBucket);
  return total;
}

std::int64_t TsdbSeries::newest() const {
  const std::lock_guard lock(mutex_);
  return newest_;
}

std::int64_t TsdbSeries::oldest() const {
  const std::lock_guard lock(mutex_);
  std::int64_t t = chunks_.empty() ? INT64_MAX : chunks_.front().first_time();
  if (!loose_) return t;
  if (!loose_->floats.empty()) t = std::min(t, loose_->floats.front().t);
  if (!loose_->histograms.empty()) t = std::min(t, loose_->histograms.front().t);
  return t;
}

}  // namespace caisson::metrics
