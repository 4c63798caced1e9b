// SPDX-License-Identifier: Apache-2.0
// Goes through the lines of one stream in order of time, forward or backward, block by block. Blocks that overlap
// (lines came out of order, or were sent again after a restart) are merged, and a line that is in two of them comes
// once. Opens a block when its time comes. One thread.
#pragma once
#include <functional>

#include "observe/logs/store/segment.h"

namespace caisson::logs {

enum class Direction : std::uint8_t { forward, backward };

// Some lines of one block: `count` from `first` on, in steps of +1 or -1.
struct Run {
  const Lines* lines = nullptr;
  std::size_t first = 0, count = 0;
  std::ptrdiff_t step = 1;
  std::size_t index(std::size_t i) const {
    return first + static_cast<std::size_t>(static_cast<std::ptrdiff_t>(i) * step);
  }
};

struct CursorOptions {
  std::int64_t mint = INT64_MIN, maxt = INT64_MAX;  // both included
  Direction direction = Direction::forward;
  Columns columns = Columns::all;
  std::function<bool(const BlockRef&)> may_matter;  // false: the block is passed over; may be empty
};

class Cursor {
 public:
  Cursor(std::vector<BlockRef> blocks, CursorOptions options);
  // The time of the first line that may come next; INT64_MAX (backward INT64_MIN) at the end. Opens nothing.
  std::int64_t bound() const;
  // An empty run at the end. Valid until the next call. Errors: invalid when a block is damaged.
  Result<Run> next();
  std::uint64_t text_bytes() const { return text_bytes_; }  // of the blocks that were opened

 private:
  struct Open {
    std::shared_ptr<const Lines> lines;
    std::size_t at, left;  // index of the next line; how many
  };
  // Times as they are ordered here: backward they are turned around.
  std::int64_t key(std::int64_t t) const { return options_.direction == Direction::forward ? t : -t; }
  std::int64_t key(const BlockRef& block) const {
    return options_.direction == Direction::forward ? block.info.mint : -block.info.maxt;
  }
  std::int64_t key(const Open& open) const { return key(open.lines->times[open.at]); }
  Result<void> open_next();
  std::size_t before(const Open& open, std::int64_t limit) const;  // how many lines are before that key
  void advance(Open& open, std::size_t count);

  std::vector<BlockRef> blocks_;  // in the order of their keys
  std::size_t next_ = 0;
  CursorOptions options_;
  std::vector<Open> open_;
  std::shared_ptr<const Lines> current_;  // keeps the run that was given
  std::int64_t seen_key_ = INT64_MIN;     // what came at that time, while blocks overlap
  std::vector<std::pair<std::string, Labels>> seen_;
  std::uint64_t text_bytes_ = 0;
};

}  // namespace caisson::logs
