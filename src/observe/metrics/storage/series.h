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

  // What would become of the sample; add() does it.
  Admission admit(std::int64_t t, double v, const FloatHistogram* h, std::int64_t out_of_order_ms) const;
  void add(std::int64_t t, double v, const HistogramPtr& h);
  void restore(FloatChunk chunk);
  Result<void> remove(std::int64_t mint, std::int64_t maxt);
  void drop_before(std::int64_t t);  // whole chunks
  // Blocks that hold samples of it, and the time of the newest of these: it is kept while there are any.
  void add_block(std::int64_t maxt);
  void drop_block();
  bool in_blocks() const;

  struct Contents {
    std::vector<FloatChunk> chunks;  // ordered by time
    Samples loose;                   // histograms, and floats that came out of order
  };
  Contents contents() const;
  std::size_t samples() const;
  std::uint64_t bytes() const;
  bool empty() const { return samples() == 0; }
  std::int64_t newest() const;
  std::int64_t oldest() const;

 private:
  bool value_at(std::int64_t t, double& v, const FloatHistogram*& h) const;

  const std::uint64_t ref_;
  const Labels labels_;
  mutable std::mutex mutex_;
  std::vector<FloatChunk> chunks_;  // the last one may be open
  Samples loose_;
  std::int64_t newest_ = INT64_MIN;
  int blocks_ = 0;
};

}  // namespace caisson::metrics
