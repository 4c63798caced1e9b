// SPDX-License-Identifier: Apache-2.0
// Block: the samples of a span of time in one file that never changes, read through a mapping, so that memory holds
// what queries touch and no more. File: magic · per series its labels, chunks and loose samples · table of (ref,
// offset) by ref · footer with the table's place, the span of time and a CRC-32C of the table. Any thread.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "observe/metrics/storage/mapped_file.h"
#include "observe/metrics/storage/series.h"

namespace caisson::metrics {

struct BlockSeries {
  std::uint64_t ref = 0;
  Labels labels;
  TsdbSeries::Contents contents;
};

class Block {
 public:
  // Errors: invalid when the file is damaged; not_found.
  static Result<std::shared_ptr<const Block>> open(const std::string& path);
  // Syncs. `series` are ordered by ref; those without samples are left out.
  static Result<void> write(const std::string& path, const std::vector<BlockSeries>& series);
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  const std::string& path() const { return path_; }
  std::int64_t mint() const { return mint_; }
  std::int64_t maxt() const { return maxt_; }
  std::uint64_t size_bytes() const { return bytes_.size(); }
  bool has(std::uint64_t ref) const;

  // Appends the samples of mint..maxt; nothing when the series is not here.
  Result<void> read(std::uint64_t ref, std::int64_t mint, std::int64_t maxt, Samples& into) const;
  // Every series in order, without its samples. `labels` reads them, for who does not know them.
  using ReadLabels = std::function<Result<Labels>()>;
  Result<void> each(const std::function<Result<void>(std::uint64_t ref, const ReadLabels& labels)>& call) const;
  Result<std::vector<BlockSeries>> contents() const;

 private:
  Block() = default;
  Result<void> parse();
  std::uint64_t table(std::size_t index, std::size_t field) const;
  std::size_t place_of(std::uint64_t ref) const;  // in the table; count_: not there

  std::string path_;
  MappedFile file_;
  std::string_view bytes_;  // of file_
  std::size_t table_at_ = 0, count_ = 0;
  std::int64_t mint_ = 0, maxt_ = 0;
};

// The series of several blocks, each sample once.
Result<std::vector<BlockSeries>> merge_blocks(std::span<const std::shared_ptr<const Block>> blocks);

}  // namespace caisson::metrics
