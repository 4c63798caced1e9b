// SPDX-License-Identifier: Apache-2.0
// The storage of samples: series with compressed chunks of the last hours in memory, blocks on disk for what is older,
// an index from labels to series, a write-ahead log, and snapshots that bound what is replayed at the start. Invariant:
// append() returns when its samples are synced to the log; opened again after a crash, the storage has every one of
// them. Threads: every method may be called from any thread; readers do not wait for the disk.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "observe/metrics/queryable.h"
#include "observe/metrics/storage/cardinality.h"

namespace caisson::metrics {

struct TsdbOptions {
  std::int64_t retention_ms = 15LL * 24 * 3'600'000;
  std::uint64_t retention_bytes = 2ull << 30;    // of compressed samples, in memory and in blocks; the oldest go first
  std::int64_t block_ms = 2LL * 3'600'000;       // what a first block holds; small ones are merged later
  std::int64_t out_of_order_ms = 30LL * 60'000;  // how much older than the newest of its series a sample may be
  std::size_t series_max = 1'000'000;
  std::uint64_t snapshot_log_bytes = 128u << 20;  // the log is replaced by a snapshot when it is larger
};

struct NewSample {
  Labels labels;
  std::int64_t t = 0;
  double v = 0;
  HistogramPtr h;  // null: a float
};

struct AppendCounts {
  std::size_t added = 0;
  std::size_t duplicate = 0;    // same time and value
  std::size_t conflicting = 0;  // same time, another value
  std::size_t too_old = 0;
  std::size_t over_limit = 0;  // of series
};

struct TsdbStats {
  std::size_t series = 0;
  std::size_t samples = 0;
  std::size_t chunks = 0;          // in memory
  std::uint64_t sample_bytes = 0;  // compressed
  std::uint64_t log_bytes = 0;
  std::size_t blocks = 0;
  std::uint64_t block_bytes = 0;
  std::int64_t oldest = 0, newest = 0;
};

class Tsdb : public Queryable {
 public:
  static Result<std::unique_ptr<Tsdb>> open(const std::string& dir, const TsdbOptions& options);
  Tsdb(const Tsdb&) = delete;
  Tsdb& operator=(const Tsdb&) = delete;
  ~Tsdb() override;

  // All or nothing on the disk; a sample that is refused does not refuse the others. Errors: unavailable when the disk
  // is full.
  Result<AppendCounts> append(std::span<const NewSample> samples);
  // `call` has what each append() stored, before that returns. REQUIRES: set before the first append.
  void on_append(std::function<void(std::span<const NewSample>)> call);

  Result<std::vector<std::shared_ptr<const StoredSeries>>> select(std::span<const Matcher> matchers, std::int64_t mint,
                                                                  std::int64_t maxt) const override;
  // Sorted, of series that match (all when there are no matchers).
  std::vector<std::string> label_names(std::span<const Matcher> matchers) const;
  std::vector<std::string> label_values(std::string_view name, std::span<const Matcher> matchers) const;

  // Removes the samples of mint..maxt of what matches. Gives how many series were touched.
  Result<std::size_t> remove(std::span<const Matcher> matchers, std::int64_t mint, std::int64_t maxt);
  // Moves what is old enough to blocks, merges small blocks, drops what is beyond the retention and replaces a long log
  // by a snapshot. Called now and then.
  Result<void> maintain(std::int64_t now);
  TsdbStats stats() const;
  Cardinality cardinality(std::size_t limit) const;
  std::size_t series_max() const;  // as it was opened with

 private:
  struct Impl;
  class Appending;
  explicit Tsdb(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace caisson::metrics
