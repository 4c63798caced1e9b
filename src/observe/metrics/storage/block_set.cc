// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/storage/block_set.h"

#include <algorithm>

#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/text.h"

namespace caisson::metrics {
namespace {

// Readers of a series meet its samples in order of time then.
void sort_by_time(BlockSet::List& list) {
  std::stable_sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a->mint() < b->mint(); });
}

}  // namespace

Result<void> BlockSet::open(const std::string& dir) {
  dir_ = dir;
  TRY(make_dirs(dir, 0750));
  List found;
  for (const std::string& name : TRY(list_dir(dir))) {
    const auto number = name.ends_with(".block") ? parse_int(name.substr(0, name.size() - 6)) : std::nullopt;
    if (!number) continue;
    next_ = std::max(next_, static_cast<std::uint64_t>(*number) + 1);
    auto block = Block::open(dir + "/" + name);
    if (block.ok()) {
      found.push_back(std::move(block).value());
      continue;
    }
    log::error("block of metrics is damaged and set aside", {{"file", name}, {"error", block.error()}});
    TRY(rename_file(dir + "/" + name, dir + "/" + name + ".damaged"));
  }
  sort_by_time(found);
  const std::lock_guard lock(mutex_);
  list_ = std::make_shared<const List>(std::move(found));
  return {};
}

std::shared_ptr<const BlockSet::List> BlockSet::list() const {
  const std::lock_guard lock(mutex_);
  return list_;
}

Result<std::shared_ptr<const Block>> BlockSet::write(const std::vector<BlockSeries>& series) {
  char name[32];
  std::snprintf(name, sizeof name, "/%08llu.block", static_cast<unsigned long long>(next_++));
  const std::string path = dir_ + name;
  TRY(Block::write(path, series));
  return Block::open(path);
}

Result<void> BlockSet::replace(const List& old, std::shared_ptr<const Block> fresh) {
  List next;
  for (const auto& block : *list())
    if (std::find(old.begin(), old.end(), block) == old.end()) next.push_back(block);
  if (fresh) next.push_back(std::move(fresh));
  sort_by_time(next);
  {
    const std::lock_guard lock(mutex_);
    list_ = std::make_shared<const List>(std::move(next));
  }
  for (const auto& block : old) TRY(remove_file(block->path()));
  return {};
}

std::uint64_t BlockSet::size_bytes() const {
  std::uint64_t total = 0;
  for (const auto& block : *list()) total += block->size_bytes();
  return total;
}

}  // namespace caisson::metrics
