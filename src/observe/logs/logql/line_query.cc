// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "observe/logs/logql/evaluator.h"
#include "observe/logs/store/filter.h"

namespace caisson::logs::logql {
namespace {

// The best `limit` lines so far: a heap whose top is the one that goes first.
class Best {
 public:
  Best(std::size_t limit, Direction direction) : limit_(limit), forward_(direction == Direction::forward) {}

  // Nothing from this time on can be among them.
  bool is_beyond(std::int64_t t) const {
    if (heap_.size() < limit_) return false;
    return forward_ ? t >= heap_.front().line.t : t <= heap_.front().line.t;
  }
  void add(FoundLine line) {
    const auto goes_first = [this](const Item& a, const Item& b) { return is_before(a, b); };
    heap_.push_back({std::move(line), ++added_});
    std::push_heap(heap_.begin(), heap_.end(), goes_first);
    if (heap_.size() <= limit_) return;
    std::pop_heap(heap_.begin(), heap_.end(), goes_first);
    heap_.pop_back();
  }
  std::vector<FoundLine> take() {
    std::sort(heap_.begin(), heap_.end(), [this](const Item& a, const Item& b) { return is_before(a, b); });
    std::vector<FoundLine> out;
    for (Item& item : heap_) out.push_back(std::move(item.line));
    return out;
  }

 private:
  struct Item {
    FoundLine line;
    std::size_t number;
  };
  bool is_before(const Item& a, const Item& b) const {
    if (a.line.t != b.line.t) return forward_ ? a.line.t < b.line.t : a.line.t > b.line.t;
    return a.number < b.number;
  }
  const std::size_t limit_;
  const bool forward_;
  std::size_t added_ = 0;
  std::vector<Item> heap_;
};

}  // namespace

Labels FoundLine::labels() const {
  if (metadata.empty() && parsed.empty()) return stream;
  std::vector<LabelView> all;
  for (const Labels* part : {&stream, &metadata, &parsed})
    all.insert(all.end(), part->items().begin(), part->items().end());
  return Labels::from_views(all);
}

bool block_may_match(const BlockRef& block, const Pipeline& pipeline) {
  return std::all_of(pipeline.needles().begin(), pipeline.needles().end(),
                     [&](const std::string& needle) { return may_contain(block.filter, needle); });
}

Result<std::vector<FoundLine>> query_lines(const Store& store, const EngineOptions& options, const Selector& selector,
                                           const LogQuery& query, std::int64_t now, QueryStats& stats) {
  const Deadline deadline(options.timeout);
  const Pipeline pipeline = TRY(Pipeline::compile(selector.stages));
  Best best(query.limit, query.direction);
  if (query.limit == 0 || query.end <= query.start) return best.take();
  std::vector<std::pair<Labels, Cursor>> cursors;
  for (StreamBlocks& stream : store.select(selector.matchers, query.start, query.end - 1)) {
    CursorOptions how{
        std::max(query.start, store.horizon(stream.labels, now)), query.end - 1, query.direction, Columns::all, {}};
    if (!pipeline.needles().empty())
      how.may_matter = [&pipeline](const BlockRef& block) { return block_may_match(block, pipeline); };
    cursors.emplace_back(stream.labels, Cursor(std::move(stream.blocks), std::move(how)));
  }
  stats.streams += cursors.size();
  // Streams with the newest (forward: the oldest) lines first: then most of the others need not be opened.
  std::stable_sort(cursors.begin(), cursors.end(), [&](const auto& a, const auto& b) {
    return query.direction == Direction::forward ? a.second.bound() < b.second.bound()
                                                 : a.second.bound() > b.second.bound();
  });
  LineState state;
  for (auto& [labels, cursor] : cursors) {
    while (!best.is_beyond(cursor.bound())) {
      TRY(deadline.check());
      const Run run = TRY(cursor.next());
      if (run.count == 0) break;
      for (std::size_t i = 0; i < run.count; ++i) {
        const std::size_t at = run.index(i);
        if (best.is_beyond(run.lines->times[at])) break;
        ++stats.lines;
        state.reset(run.lines->times[at], run.lines->line(at), labels, run.lines->metadata_of(at));
        if (!pipeline.apply(state)) continue;
        const bool plain = state.is_plain();
        best.add({state.time(), std::string(state.line()), plain ? labels : state.labels_of(Origin::stream),
                  plain ? run.lines->metadata_of(at) : state.labels_of(Origin::metadata),
                  plain ? Labels() : state.labels_of(Origin::parsed)});
      }
    }
    stats.text_bytes += cursor.text_bytes();
  }
  return best.take();
}

}  // namespace caisson::logs::logql
