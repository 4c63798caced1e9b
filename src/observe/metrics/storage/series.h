// SPDX-License-Identifier: Apache-2.0
// One series of the storage: closed chunks, the open one, and what came out of order. Its own lock guards it. Any
// thread.
#pragma once
#include <mutex>

#include "observe/metrics/queryable.h"
#include "observe/metrics/storage/chunk.h"

namespace caisson::metrics {

enum class Admission { in_order, out_of_order, duplicate, conflicting, too_old };

class TsdbSeries : public StoredSeries {
 public:
  TsdbSeries(std::uint64_t ref, Labels labels) : ref_(ref), labels_(std::move(labels)) {}
  std::uint64_t ref() const { return ref_; }
  const Labels& labels() const override { return labels_; }
  Result<void> read(std::int64_t mint, std::int64_t maxt, Samples& into) const override;

  static constexpr std::size_t kLooseMax = 20'000;  // that came out of order and wait for a block

  // What would become of the sample; add() does it. Out of order beyond kLooseMax is too_old.
  Admission admit(std::int64_t t, double v, const FloatHistogram* h, std::int64_t out_of_order_ms) const;
  void add(std::int64_t t, double v, const HistogramPtr& h);
  // Adds what a log tells, unless it is here already.
  void add_logged(std::int64_t t, double v, const HistogramPtr& h);
  // From what was stored before: in order of time, and nothing of it is there.
  void restore(FloatChunk chunk);
  void restore_loose(std::int64_t t, double v, const HistogramPtr& h);
  void note_newest(std::int64_t t);  // a block has a sample of that time
  Result<void> remove(std::int64_t mint, std::int64_t maxt);
  void drop_before(std::int64_t t);  // whole chunks
  std::uint32_t pending_place = 0;   // of who appends: where its newest sample is in the batch, if it is there

  struct Contents {
    std::vector<FloatChunk> chunks;  // ordered by time
    Samples loose;                   // histograms, and floats that came out of order
  };
  Contents contents() const;
  Contents contents_before(std::int64_t t) const;  // whole chunks that end before it
  std::size_t samples() const;
  std::size_t chunks() const;
  std::uint64_t bytes() const;
  bool empty() const;
  std::int64_t newest() const;
  std::int64_t oldest() const;

 private:
  // REQUIRES: mutex_, as those below.
  Admission admission(std::int64_t t, double v, const FloatHistogram* h, std::int64_t out_of_order_ms) const;
  void put(std::int64_t t, double v, const HistogramPtr& h);
  bool value_at(std::int64_t t, double& v, const FloatHistogram*& h) const;
  Samples& loose();

  const std::uint64_t ref_;
  const Labels labels_;
  mutable std::mutex mutex_;
  std::vector<FloatChunk> chunks_;  // the last one may be open
  std::unique_ptr<Samples> loose_;  // null: none
  std::int64_t newest_ = INT64_MIN;
};

}  // namespace caisson::metrics
