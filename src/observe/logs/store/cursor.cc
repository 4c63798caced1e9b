// SPDX-License-Identifier: Apache-2.0
#include "observe/logs/store/cursor.h"

#include <algorithm>

namespace caisson::logs {

Cursor::Cursor(std::vector<BlockRef> blocks, CursorOptions options)
    : blocks_(std::move(blocks)), options_(std::move(options)) {
  std::erase_if(blocks_, [&](const BlockRef& block) {
    return block.info.mint > options_.maxt || block.info.maxt < options_.mint ||
           (options_.may_matter && !options_.may_matter(block));
  });
  std::stable_sort(blocks_.begin(), blocks_.end(),
                   [&](const BlockRef& a, const BlockRef& b) { return key(a) < key(b); });
  // Where blocks overlap a line may be in two of them, which only its text tells.
  std::int64_t last = INT64_MIN;
  for (const BlockRef& block : blocks_) {
    const std::int64_t end = options_.direction == Direction::forward ? block.info.maxt : -block.info.mint;
    if (key(block) <= last) options_.columns = Columns::all;
    last = std::max(last, end);
  }
}

std::int64_t Cursor::bound() const {
  std::int64_t least = next_ < blocks_.size() ? key(blocks_[next_]) : INT64_MAX;
  for (const Open& open : open_) least = std::min(least, key(open));
  if (least == INT64_MAX) return options_.direction == Direction::forward ? INT64_MAX : INT64_MIN;
  return key(least);
}

Result<void> Cursor::open_next() {
  const BlockRef& block = blocks_[next_++];
  auto lines = TRY(block.read(options_.columns));
  text_bytes_ += block.info.text_bytes;
  const auto& times = lines->times;
  const auto from =
      static_cast<std::size_t>(std::lower_bound(times.begin(), times.end(), options_.mint) - times.begin());
  const auto to = static_cast<std::size_t>(std::upper_bound(times.begin(), times.end(), options_.maxt) - times.begin());
  if (from < to)
    open_.push_back({std::move(lines), options_.direction == Direction::forward ? from : to - 1, to - from});
  return {};
}

std::size_t Cursor::before(const Open& open, std::int64_t limit) const {
  const auto& times = open.lines->times;
  if (options_.direction == Direction::forward) {
    const auto begin = times.begin() + static_cast<std::ptrdiff_t>(open.at);
    return static_cast<std::size_t>(std::lower_bound(begin, begin + static_cast<std::ptrdiff_t>(open.left), limit) -
                                    begin);
  }
  const auto begin = times.begin() + static_cast<std::ptrdiff_t>(open.at + 1 - open.left),
             end = times.begin() + static_cast<std::ptrdiff_t>(open.at + 1);
  return static_cast<std::size_t>(end - std::upper_bound(begin, end, -limit));
}

void Cursor::advance(Open& open, std::size_t count) {
  open.at = options_.direction == Direction::forward ? open.at + count : open.at - count;
  open.left -= count;
}

Result<Run> Cursor::next() {
  for (;;) {
    auto first =
        std::min_element(open_.begin(), open_.end(), [&](const Open& a, const Open& b) { return key(a) < key(b); });
    if (next_ < blocks_.size() && (first == open_.end() || key(blocks_[next_]) <= key(*first))) {
      TRY(open_next());
      continue;
    }
    if (first == open_.end()) return Run{};
    std::int64_t limit = next_ < blocks_.size() ? key(blocks_[next_]) : INT64_MAX;
    for (const Open& open : open_)
      if (&open != &*first) limit = std::min(limit, key(open));
    const std::int64_t at = key(*first);
    current_ = first->lines;
    Run run{current_.get(), first->at, 0, options_.direction == Direction::forward ? 1 : -1};
    bool twice = false;
    if (at != seen_key_ && limit > at) {
      run.count = limit == INT64_MAX ? first->left : before(*first, limit);
    } else {  // another block has lines of this time
      if (at != seen_key_) seen_.clear();
      seen_key_ = at;
      std::pair<std::string, Labels> mine(current_->line(run.first), current_->metadata_of(run.first));
      twice = std::find(seen_.begin(), seen_.end(), mine) != seen_.end();
      if (!twice) seen_.push_back(std::move(mine));
      run.count = 1;
    }
    advance(*first, run.count);
    if (first->left == 0) open_.erase(first);
    if (!twice) return run;
  }
}

}  // namespace caisson::logs
