// SPDX-License-Identifier: Apache-2.0
// BlockSet: the blocks of a storage: <dir>/NNNNNNNN.block, numbered as they were made. Readers take a list that does
// not change under them; a file goes when its last reader does. Any thread; one writer at a time.
#pragma once
#include <mutex>

#include "observe/metrics/storage/block.h"

namespace caisson::metrics {

class BlockSet {
 public:
  using List = std::vector<std::shared_ptr<const Block>>;

  // What is damaged is set aside as NAME.damaged and said in the log.
  Result<void> open(const std::string& dir);
  std::shared_ptr<const List> list() const;  // by their first times
  // Writes a block; the caller publishes it with replace().
  Result<std::shared_ptr<const Block>> write(const std::vector<BlockSeries>& series);
  // `fresh` (null: nothing) takes the place of `old`, whose files are removed.
  Result<void> replace(const List& old, std::shared_ptr<const Block> fresh);
  std::uint64_t size_bytes() const;

 private:
  std::string dir_;
  std::uint64_t next_ = 1;
  mutable std::mutex mutex_;
  std::shared_ptr<const List> list_ = std::make_shared<const List>();
};

}  // namespace caisson::metrics
