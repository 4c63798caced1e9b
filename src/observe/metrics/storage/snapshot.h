// SPDX-License-Identifier: Apache-2.0
// Snapshot: all series with what of their samples is in memory, and the lists of the index, in one file that is written
// and read as a stream: neither needs memory beyond that of the series. File: magic · the first segment · how many
// series · the series by reference · the lists of references of each label · where the second half of the series begins
// · CRC-32C of what is before · magic. Many series are read by two threads.
#pragma once
#include "observe/metrics/storage/series_index.h"

namespace caisson::metrics {

// Where the rest is that is not within the snapshot.
struct SnapshotPlace {
  std::uint64_t first_segment = 0;  // of the log
};

// Syncs; what was there is replaced when the new one is whole. Errors: unavailable when the disk is full.
Result<void> write_snapshot(const std::string& path, const SeriesIndex& index, const SnapshotPlace& place);
// REQUIRES: `index` is empty. Errors: not_found; invalid when the file is damaged or of another version.
Result<SnapshotPlace> read_snapshot(const std::string& path, SeriesIndex& index);

}  // namespace caisson::metrics
