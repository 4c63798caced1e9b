// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/storage/series.h"

#include <algorithm>

#include "observe/metrics/storage/memory.h"

namespace caisson::metrics {
namespace {

template <class Point>
auto lower(std::vector<Point>& points, std::int64_t t) {
  return std::lower_bound(points.begin(), points.end(), t, [](const Point& p, std::int64_t at) { return p.t < at; });
}

template <class Point>
void append_range(const std::vector<Point>& from, std::int64_t mint, std::int64_t maxt, std::vector<Point>& into) {
  for (const Point& p : from)
    if (p.t >= mint && p.t <= maxt) into.push_back(p);
}

}  // namespace

Result<void> TsdbSeries::read(std::int64_t mint, std::int64_t maxt, Samples& into) const {
  const std::lock_guard lock(mutex_);
  const std::size_t before = into.floats.size();
  for (const FloatChunk& chunk : chunks_) TRY(chunk.decode(mint, maxt, into.floats));
  const std::size_t in_order = into.floats.size();
  append_range(loose_.floats, mint, maxt, into.floats);
  std::inplace_merge(into.floats.begin() + before, into.floats.begin() + in_order, into.floats.end(),
                     [](const FloatPoint& a, const FloatPoint& b) { return a.t < b.t; });
  append_range(loose_.histograms, mint, maxt, into.histograms);
  return {};
}

bool TsdbSeries::value_at(std::int64_t t, double& v, const FloatHistogram*& h) const {
  for (const HistogramPoint& p : loose_.histograms)
    if (p.t == t) {
      h = p.h.get();
      return true;
    }
  std::vector<FloatPoint> found;
  for (const FloatChunk& chunk : chunks_)
    if (!chunk.decode(t, t, found).ok()) return false;
  append_range(loose_.floats, t, t, found);
  if (found.empty()) return false;
  v = found[0].v;
  return true;
}

Admission TsdbSeries::admit(std::int64_t t, double v, const FloatHistogram* h, std::int64_t out_of_order_ms) const {
  const std::lock_guard lock(mutex_);
  if (newest_ == INT64_MIN || t > newest_) return Admission::in_order;
  if (newest_ - t > out_of_order_ms) return Admission::too_old;
  double present = 0;
  const FloatHistogram* present_histogram = nullptr;
  if (!value_at(t, present, present_histogram)) return Admission::out_of_order;
  const bool same =
      h && present_histogram
          ? equals(*h, *present_histogram)
          : !h && !present_histogram && std::bit_cast<std::uint64_t>(v) == std::bit_cast<std::uint64_t>(present);
  return same ? Admission::duplicate : Admission::conflicting;
}

void TsdbSeries::add(std::int64_t t, double v, const HistogramPtr& h) {
  const std::lock_guard lock(mutex_);
  if (h) {
    const auto at = lower(loose_.histograms, t);
    const FloatHistogram* previous = at == loose_.histograms.begin() ? nullptr : (at - 1)->h.get();
    FloatHistogram stored = *h;
    stored.hint = stored_hint(stored, previous);
    loose_.histograms.insert(at, {t, std::make_shared<const FloatHistogram>(std::move(stored))});
  } else if (newest_ == INT64_MIN || t > newest_) {
    if (chunks_.empty() || chunks_.back().full()) chunks_.emplace_back();
    chunks_.back().append(t, v);
  } else {
    loose_.floats.insert(lower(loose_.floats, t), {t, v});
  }
  newest_ = std::max(newest_, t);
}

void TsdbSeries::restore(FloatChunk chunk) {
  const std::lock_guard lock(mutex_);
  newest_ = std::max(newest_, chunk.last_time());
  chunks_.push_back(std::move(chunk));
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
  std::erase_if(loose_.floats, [&](const FloatPoint& p) { return p.t >= mint && p.t <= maxt; });
  std::erase_if(loose_.histograms, [&](const HistogramPoint& p) { return p.t >= mint && p.t <= maxt; });
  return {};
}

void TsdbSeries::drop_before(std::int64_t t) {
  const std::lock_guard lock(mutex_);
  std::erase_if(chunks_, [&](const FloatChunk& chunk) { return chunk.last_time() < t; });
  std::erase_if(loose_.floats, [&](const FloatPoint& p) { return p.t < t; });
  std::erase_if(loose_.histograms, [&](const HistogramPoint& p) { return p.t < t; });
}

void TsdbSeries::add_block(std::int64_t maxt) {
  const std::lock_guard lock(mutex_);
  ++blocks_;
  newest_ = std::max(newest_, maxt);
}

void TsdbSeries::drop_block() {
  const std::lock_guard lock(mutex_);
  --blocks_;
}

bool TsdbSeries::in_blocks() const {
  const std::lock_guard lock(mutex_);
  return blocks_ > 0;
}

TsdbSeries::Contents TsdbSeries::contents() const {
  const std::lock_guard lock(mutex_);
  return {chunks_, loose_};
}

std::size_t TsdbSeries::samples() const {
  const std::lock_guard lock(mutex_);
  std::size_t count = loose_.floats.size() + loose_.histograms.size();
  for (const FloatChunk& chunk : chunks_) count += chunk.count();
  return count;
}

std::uint64_t TsdbSeries::bytes() const {
  const std::lock_guard lock(mutex_);
  std::uint64_t total = loose_.floats.size() * sizeof(FloatPoint);
  for (const HistogramPoint& p : loose_.histograms)
    total += sizeof(FloatHistogram) + (p.h->positive.size() + p.h->negative.size()) * sizeof(HistogramBucket);
  for (const FloatChunk& chunk : chunks_) total += chunk.bytes().size();
  return total;
}

std::int64_t TsdbSeries::newest() const {
  const std::lock_guard lock(mutex_);
  return newest_;
}

std::int64_t TsdbSeries::oldest() const {
  const std::lock_guard lock(mutex_);
  std::int64_t t = chunks_.empty() ? INT64_MAX : chunks_.front().first_time();
  if (!loose_.floats.empty()) t = std::min(t, loose_.floats.front().t);
  if (!loose_.histograms.empty()) t = std::min(t, loose_.histograms.front().t);
  return t;
}

}  // namespace caisson::metrics
