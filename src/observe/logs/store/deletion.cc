// SPDX-License-Identifier: Apache-2.0
#include "observe/logs/store/deletion.h"

#include <algorithm>

namespace caisson::logs {
namespace {

struct Applied {
  const Deletion* deletion;
  LineTest test;
};

BlockRef block_of(std::shared_ptr<const Lines> lines) {
  BlockRef block;
  block.info.mint = lines->times.front();
  block.info.maxt = lines->times.back();
  block.info.count = static_cast<std::uint32_t>(lines->size());
  block.info.text_bytes = lines->text.size();
  block.info.has_metadata =
      std::any_of(lines->metadata.begin(), lines->metadata.end(), [](auto set) { return set != 0; });
  block.lines = std::move(lines);
  return block;
}

}  // namespace

Result<std::optional<BlockRef>> without(const BlockRef& block, const Labels& stream,
                                        std::span<const Deletion> deletions) {
  std::vector<Applied> applied;
  for (const Deletion& one : deletions) {
    if (one.mint > block.info.maxt || one.maxt < block.info.mint) continue;
    if (!metrics::matches_all(one.matchers, stream)) continue;
    if (!one.make_test && one.mint <= block.info.mint && one.maxt >= block.info.maxt) return std::optional<BlockRef>();
    applied.push_back({&one, one.make_test ? one.make_test() : LineTest()});
  }
  if (applied.empty()) return std::optional<BlockRef>(block);
  const auto all = TRY(block.read(Columns::all));
  const auto goes = [&](std::size_t i) {
    return std::any_of(applied.begin(), applied.end(), [&](const Applied& one) {
      const std::int64_t t = all->times[i];
      return t >= one.deletion->mint && t <= one.deletion->maxt &&
             (!one.test || one.test(stream, t, all->line(i), all->metadata_of(i)));
    });
  };
  auto kept = std::make_shared<Lines>();
  kept->sets = all->sets;
  for (std::size_t i = 0; i < all->size(); ++i)
    if (!goes(i)) kept->append(all->times[i], all->line(i), all->metadata[i]);
  if (kept->size() == all->size()) return std::optional<BlockRef>(block);
  if (kept->size() == 0) return std::optional<BlockRef>();
  return std::optional<BlockRef>(block_of(std::move(kept)));
}

}  // namespace caisson::logs
