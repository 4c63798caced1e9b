// SPDX-License-Identifier: Apache-2.0
// Segment: blocks of many streams in one file that never changes, read through a mapping. File: magic · the blocks'
// columns, text and filters · index (streams with their blocks, positions of readers, the last record of the log that
// is in it) · trailer (place, length and CRC-32C of the index, magic). Any thread.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "observe/logs/store/lines.h"
#include "observe/metrics/storage/mapped_file.h"

namespace caisson::logs {

// How far a source that is read from outside (a container's log file) has been taken: kept together with its lines, so
// that a restart neither loses nor repeats one.
struct Position {
  std::string file;          // which of the source's files: it may be rotated
  std::uint64_t offset = 0;  // of the first byte that is not in the store
  Labels labels;             // of the source's streams, as they were when it was first seen
  bool operator==(const Position&) const = default;
};
using Positions = std::map<std::string, Position, std::less<>>;  // by source

// A block, wherever it is: sealed (in memory or in a segment), or still lines.
struct BlockRef {
  BlockInfo info;
  std::string_view columns, text, filter;
  std::shared_ptr<const void> owner;   // of what the views point to
  std::shared_ptr<const Lines> lines;  // when it is not sealed

  // Sorted. Errors: invalid when the block is damaged.
  Result<std::shared_ptr<const Lines>> read(Columns wanted) const;
};

struct SegmentStream {
  Labels labels;
  std::vector<BlockRef> blocks;  // by mint; without owner: it is the segment
};

class Segment {
 public:
  // Errors: invalid when the file is damaged; not_found.
  static Result<std::shared_ptr<const Segment>> open(const std::string& path);

  struct Meta {
    std::uint64_t last_record = 0;
    Positions positions;
  };
  // Syncs. Streams without blocks are left out. Errors: unavailable when the disk is full; nothing is left then.
  static Result<void> write(const std::string& path, const std::vector<SegmentStream>& streams, const Meta& meta);

  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

  const std::string& path() const { return path_; }
  std::uint64_t size_bytes() const { return bytes_.size(); }
  std::int64_t mint() const { return mint_; }
  std::int64_t maxt() const { return maxt_; }
  const std::vector<SegmentStream>& streams() const { return streams_; }
  const Meta& meta() const { return meta_; }

 private:
  Segment() = default;
  Result<void> parse();

  std::string path_;
  metrics::MappedFile file_;
  std::string_view bytes_;  // of file_
  std::int64_t mint_ = INT64_MAX, maxt_ = INT64_MIN;
  std::vector<SegmentStream> streams_;
  Meta meta_;
};

}  // namespace caisson::logs
