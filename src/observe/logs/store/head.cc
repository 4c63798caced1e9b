// SPDX-License-Identifier: Apache-2.0
#include "observe/logs/store/head.h"

#include <algorithm>

namespace caisson::logs {

BlockRef ref_of(SealedBlock block) {
  const auto owned = std::make_shared<const SealedBlock>(std::move(block));
  return {owned->info, owned->columns, owned->text, owned->filter, owned, nullptr};
}

std::uint32_t HeadStream::set_index(const Labels& metadata) {
  if (metadata.empty()) return 0;
  const auto [at, fresh] = set_index_.emplace(metadata, static_cast<std::uint32_t>(open_.sets.size()));
  if (fresh) open_.sets.push_back(metadata);
  return at->second;
}

bool HeadStream::append(const NewEntry& entry) {
  const std::size_t hash = std::hash<std::string_view>()(entry.line) ^ entry.metadata.hash();
  if (entry.t == newest_ && std::find(newest_hashes_.begin(), newest_hashes_.end(), hash) != newest_hashes_.end())
    return false;
  if (entry.t > newest_) {
    newest_ = entry.t;
    newest_hashes_.clear();
  }
  // Enough for what clients repeat: a push whose answer was lost.
  constexpr std::size_t kHashesMax = 10'000;
  if (entry.t == newest_ && newest_hashes_.size() < kHashesMax) newest_hashes_.push_back(hash);
  // Lines before the newest are not compared as they come: putting the block in order drops those sent again.
  const bool may_be_again = entry.t < newest_ && !open_.times.empty();
  open_.append(entry.t, entry.line, set_index(entry.metadata));
  if (may_be_again) open_.sorted = false;
  open_mint_ = std::min(open_mint_, entry.t);
  oldest_ = std::min(oldest_, entry.t);
  return true;
}

Result<void> HeadStream::seal_open() {
  if (open_.times.empty()) return {};
  sealed_.push_back(ref_of(TRY(seal(open_.sorted ? open_ : open_.ordered()))));
  open_ = Lines();
  set_index_.clear();
  open_mint_ = INT64_MAX;
  return {};
}

void HeadStream::blocks(std::int64_t mint, std::int64_t maxt, std::vector<BlockRef>& into) const {
  for (const BlockRef& block : sealed_)
    if (block.info.mint <= maxt && block.info.maxt >= mint) into.push_back(block);
  if (open_.times.empty() || open_mint_ > maxt || newest_ < mint) return;
  BlockRef open;
  auto lines = std::make_shared<const Lines>(open_.sorted ? open_ : open_.ordered());
  open.info = {lines->times.front(), lines->times.back(), static_cast<std::uint32_t>(lines->size()), lines->text.size(),
               lines->sets.size() > 1};
  open.lines = std::move(lines);
  into.push_back(std::move(open));
}

std::vector<BlockRef> HeadStream::take() {
  oldest_ = INT64_MAX;
  return std::exchange(sealed_, {});
}

HeadStream& Head::stream(const Labels& labels) {
  auto& slot = streams[labels];
  if (!slot) slot = std::make_unique<HeadStream>(labels);
  return *slot;
}

void Head::select(std::span<const Matcher> matchers, std::int64_t mint, std::int64_t maxt,
                  std::unordered_map<Labels, std::vector<BlockRef>, LabelsHash>& into) const {
  for (const auto& [labels, stream] : streams) {
    if (stream->empty() || !metrics::matches_all(matchers, labels)) continue;
    std::vector<BlockRef> found;
    stream->blocks(mint, maxt, found);
    if (found.empty()) continue;
    auto& list = into[labels];
    list.insert(list.end(), found.begin(), found.end());
  }
}

std::int64_t Head::oldest() const {
  std::int64_t oldest = INT64_MAX;
  for (const auto& [labels, stream] : streams) oldest = std::min(oldest, stream->oldest());
  return oldest;
}

}  // namespace caisson::logs
