// SPDX-License-Identifier: Apache-2.0
// The newest lines, in memory. Of the store; one thread at a time.
#pragma once
#include <unordered_map>

#include "observe/logs/store/store.h"

namespace caisson::logs {

// One stream: sealed blocks, and the lines that are not sealed yet.
class HeadStream {
 public:
  explicit HeadStream(Labels labels) : labels_(std::move(labels)) {}
  const Labels& labels() const { return labels_; }
  std::int64_t newest() const { return newest_; }

  // False: a line with this time, text and metadata came last already.
  bool append(const NewEntry& entry);
  // Errors: internal.
  Result<void> seal_open();
  void blocks(std::int64_t mint, std::int64_t maxt, std::vector<BlockRef>& into) const;
  // Takes what there is; what was newest is remembered.
  std::vector<BlockRef> take();

  std::size_t open_bytes() const { return open_.text.size() + open_.size() * sizeof(std::int64_t); }
  bool empty() const { return sealed_.empty() && open_.times.empty(); }
  std::int64_t oldest() const { return oldest_; }
  std::int64_t touched = 0;  // when it last got a line, by the clock

 private:
  std::uint32_t set_index(const Labels& metadata);

  Labels labels_;
  std::vector<BlockRef> sealed_;
  Lines open_;
  std::unordered_map<Labels, std::uint32_t, LabelsHash> set_index_;
  std::int64_t newest_ = INT64_MIN, oldest_ = INT64_MAX, open_mint_ = INT64_MAX;
  std::vector<std::size_t> newest_hashes_;  // of the lines at newest_
};

// A sealed block as a reference that owns it.
BlockRef ref_of(SealedBlock block);

// The head as a whole. One made full is handed to a writer and read on meanwhile.
struct Head {
  std::unordered_map<Labels, std::unique_ptr<HeadStream>, LabelsHash> streams;
  HeadStream& stream(const Labels& labels);
  void select(std::span<const Matcher> matchers, std::int64_t mint, std::int64_t maxt,
              std::unordered_map<Labels, std::vector<BlockRef>, LabelsHash>& into) const;
  std::int64_t oldest() const;
};

}  // namespace caisson::logs
