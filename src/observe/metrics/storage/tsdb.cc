// SPDX-License-Identifier: Apache-2.0
// On disk: <dir>/wal/… and <dir>/snapshot (snapshot.h). A log record is a list of entries: 1 new series (ref, labels) ·
// 2 float (ref, time, value; of former versions) · 3 histogram (ref, time, histogram) · 4 removal (ref, from, to) · 5
// floats (time, how many, and of each how its ref differs from the last one's, how its time differs from that time, its
// value). Blocks: block.h. A crash between writing a block and the snapshot that no longer has its samples leaves them
// in both; readers take each once.
#include "observe/metrics/storage/tsdb.h"

#include <malloc.h>

#include <algorithm>
#include <map>
#include <shared_mutex>
#include <unordered_map>
#include <unordered_set>

#include "core/base/log.h"
#include "observe/metrics/storage/block_set.h"
#include "observe/metrics/storage/codec.h"
#include "observe/metrics/storage/snapshot.h"
#include "observe/metrics/storage/wal.h"

namespace caisson::metrics {
namespace {

enum Entry : std::uint64_t { kSeries = 1, kFloat = 2, kHistogram = 3, kRemoval = 4, kFloats = 5 };
constexpr std::int64_t kHour = 3'600'000;
constexpr std::int64_t kCutAfterMs = kHour;                       // a span becomes a block when it ended this long ago
constexpr std::int64_t kMergedSpans[] = {8 * kHour, 48 * kHour};  // blocks of one span become one
constexpr std::uint64_t kMergedBytesMax = 64u << 20;              // merging holds them in memory

std::int64_t wrapping_minus(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
}
std::int64_t wrapping_plus(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}

// A series as a query reads it: what is in memory first, then blocks, so that what moves between the two meanwhile is
// met at least once; and each sample once.
class StoredView : public StoredSeries {
 public:
  StoredView(SeriesPtr series, std::shared_ptr<const BlockSet> blocks)
      : series_(std::move(series)), blocks_(std::move(blocks)) {}
  const Labels& labels() const override { return series_->labels(); }
  Result<void> read(std::int64_t mint, std::int64_t maxt, Samples& into) const override {
    Samples newest;
    TRY(series_->read(mint, maxt, newest));
    const std::size_t floats = into.floats.size(), histograms = into.histograms.size();
    const auto blocks = blocks_->list();
    for (const auto& block : *blocks) TRY(block->read(series_->ref(), mint, maxt, into));
    into.floats.insert(into.floats.end(), newest.floats.begin(), newest.floats.end());
    into.histograms.insert(into.histograms.end(), newest.histograms.begin(), newest.histograms.end());
    put_in_order(into.floats, floats);
    put_in_order(into.histograms, histograms);
    return {};
  }

 private:
  // Blocks come by their times, so what was appended from `first` on most often is in order.
  template <class Point>
  static void put_in_order(std::vector<Point>& points, std::size_t first) {
    const auto begin = points.begin() + static_cast<std::ptrdiff_t>(first);
    const auto not_after = [](const Point& a, const Point& b) { return a.t >= b.t; };
    if (std::adjacent_find(begin, points.end(), not_after) == points.end()) return;
    std::stable_sort(begin, points.end(), [](const Point& a, const Point& b) { return a.t < b.t; });
    points.erase(std::unique(begin, points.end(), [](const Point& a, const Point& b) { return a.t == b.t; }),
                 points.end());
  }

  SeriesPtr series_;
  std::shared_ptr<const BlockSet> blocks_;
};

}  // namespace

struct Tsdb::Impl {
  std::string dir;
  TsdbOptions options;
  std::mutex write_mutex;  // appends, removals, maintenance: one at a time; taken before index_mutex
  WriteAheadLog log;
  std::function<void(std::span<const NewSample>)> stored;
  std::shared_ptr<BlockSet> blocks = std::make_shared<BlockSet>();
  std::uint64_t next_ref = 1;                              // GUARDED_BY(write_mutex)
  std::unordered_map<std::uint64_t, TsdbSeries*> renamed;  // while the log is read: by their other reference
  mutable std::shared_mutex index_mutex;
  SeriesIndex index;  // GUARDED_BY(index_mutex); who holds write_mutex reads it without, as nobody else changes it

  void add_series(const SeriesPtr& series) {
    const std::unique_lock lock(index_mutex);
    index.add(series);
    next_ref = std::max(next_ref, series->ref() + 1);
  }

  Result<void> load() {
    std::uint64_t first_segment = 0;
    const std::string snapshot = snapshot_path();
    if (exists(snapshot)) {
      const auto place = read_snapshot(snapshot, index);
      if (place.ok()) {
        first_segment = place->first_segment;
      } else {  // what is in the blocks and in the log is left, and the program starts
        log::error("snapshot of metrics is set aside", {{"error", place.error()}});
        index = SeriesIndex();
        TRY(rename_file(snapshot, snapshot + ".damaged"));
      }
    }
    for (const SeriesPtr& series : index.all()) next_ref = std::max(next_ref, series->ref() + 1);
    TRY(blocks->open(dir + "/blocks"));
    if (first_segment == 0) TRY(note_blocks());  // else the snapshot knows all that blocks have
    log = TRY(WriteAheadLog::open(
        dir + "/wal", [this](std::string_view record) { return replay(record); }, first_segment));
    renamed.clear();
    return {};
  }

  Result<void> note_blocks() {
    std::map<std::uint64_t, SeriesPtr> found;
    for (const auto& block : *blocks->list())
      TRY(block->each([&](std::uint64_t ref, const Block::ReadLabels& labels) -> Result<void> {
        SeriesPtr& series = found[ref];
        if (!series) series = std::make_shared<TsdbSeries>(ref, TRY(labels()));
        series->note_newest(block->maxt());
        return {};
      }));
    for (const auto& [ref, series] : found) add_series(series);
    return {};
  }

  Result<void> replay(std::string_view record) {
    Reader in(record);
    while (!in.at_end()) {
      const std::uint64_t kind = TRY(in.number());
      if (kind == kFloats) {
        TRY(replay_floats(in));
        continue;
      }
      const std::uint64_t ref = TRY(in.number());
      if (kind == kSeries) {
        replay_series(ref, TRY(in.labels()));
        continue;
      }
      TsdbSeries* series = logged(ref);
      const std::int64_t t = TRY(in.signed_number());
      if (kind == kFloat) {
        replay_sample(series, t, TRY(in.real()), nullptr);
      } else if (kind == kHistogram) {
        replay_sample(series, t, 0, std::make_shared<const FloatHistogram>(TRY(in.histogram())));
      } else if (kind == kRemoval) {
        const std::int64_t to = TRY(in.signed_number());
        if (series) TRY(series->remove(t, to));
      } else {
        return Error{ErrorCode::invalid, "log entry of an unknown kind"};
      }
    }
    return {};
  }

  // What was forgotten and made again has two references in the log.
  void replay_series(std::uint64_t ref, const Labels& labels) {
    if (index.find(ref)) return;
    if (TsdbSeries* same = index.find(labels)) {
      renamed[ref] = same;
      next_ref = std::max(next_ref, ref + 1);
    } else {
      add_series(std::make_shared<TsdbSeries>(ref, labels));
    }
  }

  TsdbSeries* logged(std::uint64_t ref) const {
    if (TsdbSeries* series = index.find(ref)) return series;
    const auto at = renamed.find(ref);
    return at == renamed.end() ? nullptr : at->second;
  }

  Result<void> replay_floats(Reader& in) {
    const std::int64_t time = TRY(in.signed_number());
    std::int64_t ref = 0;
    for (std::uint64_t n = TRY(in.number()); n > 0; --n) {
      ref = wrapping_plus(ref, TRY(in.signed_number()));
      const std::int64_t t = wrapping_plus(time, TRY(in.signed_number()));
      replay_sample(logged(static_cast<std::uint64_t>(ref)), t, TRY(in.real()), nullptr);
    }
    return {};
  }

  // A snapshot may hold what the log tells again.
  static void replay_sample(TsdbSeries* series, std::int64_t t, double v, const HistogramPtr& h) {
    if (series) series->add_logged(t, v, h);
  }

  // REQUIRES: write_mutex, as what follows.
  // Moves what ended before the last whole span to blocks. Gives whether there was something.
  Result<bool> cut_blocks(const std::vector<SeriesPtr>& all, std::int64_t now) {
    bool any = false;
    for (;;) {
      std::int64_t oldest = INT64_MAX;
      for (const SeriesPtr& series : all) oldest = std::min(oldest, series->oldest());
      if (oldest == INT64_MAX) return any;
      // Whole spans only. A chunk that reaches over the border waits for the next, so the border moves on until one
      // fits.
      std::int64_t border = (oldest / options.block_ms + 1) * options.block_ms;
      std::vector<BlockSeries> moving;
      for (; border <= now - kCutAfterMs && moving.empty(); border += options.block_ms)
        for (const SeriesPtr& series : all) {
          BlockSeries one{series->ref(), series->labels(), series->contents_before(border)};
          for (FloatChunk& chunk : one.contents.chunks) chunk.seal();
          if (!one.contents.chunks.empty() || !one.contents.loose.empty()) moving.push_back(std::move(one));
        }
      if (moving.empty()) return any;
      border -= options.block_ms;
      std::sort(moving.begin(), moving.end(), [](const auto& a, const auto& b) { return a.ref < b.ref; });
      TRY(blocks->replace({}, TRY(blocks->write(moving))));
      for (const BlockSeries& one : moving) index.find(one.ref)->drop_before(border);
      any = true;
    }
  }

  Result<void> merge_small(std::int64_t now) {
    for (const std::int64_t span : kMergedSpans) {
      std::map<std::int64_t, BlockSet::List> groups;
      for (const auto& block : *blocks->list())
        if (block->maxt() - block->mint() < span) groups[block->mint() / span].push_back(block);
      for (auto& [index, group] : groups) {
        std::uint64_t bytes = 0;
        for (const auto& block : group) bytes += block->size_bytes();
        if (group.size() < 2 || (index + 1) * span > now - kCutAfterMs || bytes > kMergedBytesMax) continue;
        std::sort(group.begin(), group.end(), [](const auto& a, const auto& b) { return a->mint() < b->mint(); });
        const auto merged = TRY(blocks->write(TRY(merge_blocks(group))));
        TRY(blocks->replace(group, merged));
      }
    }
    return {};
  }

  // By time, and by the bytes that are left when memory has its part.
  Result<void> drop_blocks(std::int64_t keep_from, std::uint64_t bytes_max) {
    BlockSet::List list = *blocks->list();
    std::sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a->maxt() < b->maxt(); });
    std::uint64_t bytes = blocks->size_bytes();
    for (const auto& block : list) {
      if (block->maxt() >= keep_from && bytes <= bytes_max) break;
      bytes -= block->size_bytes();
      TRY(blocks->replace({block}, nullptr));
    }
    return {};
  }

  Result<void> remove_from_blocks(const std::vector<SeriesPtr>& found, std::int64_t mint, std::int64_t maxt) {
    const BlockSet::List list = *blocks->list();
    for (const auto& block : list) {
      if (block->maxt() < mint || block->mint() > maxt) continue;
      std::vector<BlockSeries> all = TRY(block->contents());
      bool touched = false, left = false;
      for (BlockSeries& one : all) {
        const bool wanted =
            std::any_of(found.begin(), found.end(), [&](const SeriesPtr& s) { return s->ref() == one.ref; });
        if (wanted) {
          TsdbSeries rest(one.ref, one.labels);
          for (const FloatChunk& chunk : one.contents.chunks) rest.restore(chunk);
          TRY(rest.remove(mint, maxt));
          auto kept = rest.contents();
          const auto gone = [&](const auto& p) { return p.t >= mint && p.t <= maxt; };
          std::erase_if(one.contents.loose.floats, gone);
          std::erase_if(one.contents.loose.histograms, gone);
          one.contents.chunks = std::move(kept.chunks);
          touched = true;
        }
        left |= !one.contents.chunks.empty() || !one.contents.loose.empty();
      }
      if (!touched) continue;
      const std::shared_ptr<const Block> rest = left ? TRY(blocks->write(all)) : nullptr;
      TRY(blocks->replace({block}, rest));
    }
    return {};
  }

  std::string snapshot_path() const { return dir + "/snapshot"; }

  Result<void> write_snapshot() {
    const std::uint64_t first_segment = TRY(log.cut());
    TRY(metrics::write_snapshot(snapshot_path(), index, {first_segment}));
    TRY(log.drop_before(first_segment));
    // What was moved out lies in holes between what is left; a few times a day they are given back.
    ::malloc_trim(0);
    return {};
  }

  // Nothing of them is left, in memory or in a block.
  void forget_empty(const std::vector<SeriesPtr>& all) {
    std::int64_t oldest = INT64_MAX;
    for (const auto& block : *blocks->list()) oldest = std::min(oldest, block->mint());
    const std::unique_lock lock(index_mutex);
    for (const SeriesPtr& series : all)
      if (series->empty() && series->newest() < oldest) index.remove(*series);
  }

  // The same of series whose samples were deleted, whatever their times were.
  void forget_deleted(const std::vector<SeriesPtr>& found) {
    const auto list = blocks->list();
    const std::unique_lock lock(index_mutex);
    for (const SeriesPtr& series : found) {
      const auto has = [&](const auto& block) { return block->has(series->ref()); };
      if (series->empty() && std::none_of(list->begin(), list->end(), has)) index.remove(*series);
    }
  }
};

Tsdb::Tsdb(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tsdb::~Tsdb() = default;

Result<std::unique_ptr<Tsdb>> Tsdb::open(const std::string& dir, const TsdbOptions& options) {
  auto impl = std::make_unique<Impl>();
  impl->dir = dir;
  impl->options = options;
  TRY(make_dirs(dir, 0750));
  TRY(impl->load());
  return std::unique_ptr<Tsdb>(new Tsdb(std::move(impl)));
}

// One append. Nobody else changes the index or drops a series meanwhile.
class Tsdb::Appending {
 public:
  explicit Appending(Impl& tsdb) : tsdb_(tsdb), next_ref_(tsdb.next_ref) {}

  void take(const NewSample& sample) {
    TsdbSeries* series = tsdb_.index.find(sample.labels);
    if (!series) series = create(sample.labels);
    if (!series) {
      ++counts_.over_limit;
      return;
    }
    switch (series->admit(sample.t, sample.v, sample.h.get(), tsdb_.options.out_of_order_ms)) {
      case Admission::too_old:
        ++counts_.too_old;
        return;
      case Admission::duplicate:
        ++counts_.duplicate;
        return;
      case Admission::conflicting:
        ++counts_.conflicting;
        return;
      case Admission::in_order:
      case Admission::out_of_order:
        break;
    }
    if (is_repeated(*series, sample.t)) {
      ++counts_.duplicate;
      return;
    }
    pending_.push_back({series, &sample});
  }

  Result<AppendCounts> commit() {
    if (pending_.empty()) return counts_;
    // In order of time, so that whoever sends backward does not make each sample move all before it.
    if (!seen_.empty())
      std::stable_sort(pending_.begin(), pending_.end(),
                       [](const Pending& a, const Pending& b) { return a.sample->t < b.sample->t; });
    TRY(tsdb_.log.append(record()));
    if (!created_.empty()) {
      const std::unique_lock lock(tsdb_.index_mutex);
      for (const SeriesPtr& series : created_) tsdb_.index.add(series);
      tsdb_.next_ref = next_ref_;
    }
    for (const Pending& p : pending_) p.series->add(p.sample->t, p.sample->v, p.sample->h);
    counts_.added = pending_.size();
    if (!tsdb_.stored) return counts_;
    std::vector<NewSample> stored;
    stored.reserve(pending_.size());
    for (const Pending& p : pending_) stored.push_back(*p.sample);
    tsdb_.stored(stored);
    return counts_;
  }

 private:
  struct Pending {
    TsdbSeries* series;
    const NewSample* sample;
  };
  using Place = std::pair<const TsdbSeries*, std::int64_t>;
  struct PlaceHash {
    std::size_t operator()(const Place& place) const {
      return std::hash<const void*>()(place.first) ^ static_cast<std::uint64_t>(place.second) * 0x9E3779B97F4A7C15u;
    }
  };

  // Known to readers once it is on the disk. Null: one too many.
  TsdbSeries* create(const Labels& labels) {
    if (const auto at = by_labels_.find(labels); at != by_labels_.end()) return at->second;
    if (tsdb_.index.size() + created_.size() >= tsdb_.options.series_max) return nullptr;
    created_.push_back(std::make_shared<TsdbSeries>(next_ref_++, labels));
    by_labels_.emplace(labels, created_.back().get());
    return created_.back().get();
  }

  // Whether the batch has a sample of that time already. Most have one of each series, or go on in time.
  bool is_repeated(TsdbSeries& series, std::int64_t t) {
    const std::uint32_t last = series.pending_place;
    const bool is_first = last >= pending_.size() || pending_[last].series != &series;
    if (is_first || t > pending_[last].sample->t) {
      series.pending_place = static_cast<std::uint32_t>(pending_.size());
      if (!seen_.empty()) seen_.insert({&series, t});
      return false;
    }
    if (seen_.empty())
      for (const Pending& p : pending_) seen_.insert({p.series, p.sample->t});
    return !seen_.insert({&series, t}).second;
  }

  std::string record() const {
    Writer out;
    for (const SeriesPtr& series : created_) {
      out.number(kSeries);
      out.number(series->ref());
      out.labels(series->labels());
    }
    std::size_t floats = 0;
    for (const Pending& p : pending_) floats += p.sample->h ? 0 : 1;
    if (floats > 0) put_floats(out, floats);
    for (const Pending& p : pending_) {
      if (!p.sample->h) continue;
      out.number(kHistogram);
      out.number(p.series->ref());
      out.signed_number(p.sample->t);
      out.histogram(*p.sample->h);
    }
    return out.take();
  }

  void put_floats(Writer& out, std::size_t count) const {
    const std::int64_t time = pending_[0].sample->t;
    out.number(kFloats);
    out.signed_number(time);
    out.number(count);
    std::int64_t last = 0;
    for (const Pending& p : pending_) {
      if (p.sample->h) continue;
      const auto ref = static_cast<std::int64_t>(p.series->ref());
      out.signed_number(wrapping_minus(ref, std::exchange(last, ref)));
      out.signed_number(wrapping_minus(p.sample->t, time));
      out.real(p.sample->v);
    }
  }

  Impl& tsdb_;
  std::uint64_t next_ref_;
  AppendCounts counts_;
  std::vector<Pending> pending_;
  std::vector<SeriesPtr> created_;  // by reference, as lists of the index grow at their end
  std::unordered_map<Labels, TsdbSeries*, LabelsHash> by_labels_;
  std::unordered_set<Place, PlaceHash> seen_;  // of the batch; filled when a series goes back in time
};

Result<AppendCounts> Tsdb::append(std::span<const NewSample> samples) {
  const std::lock_guard write(impl_->write_mutex);
  Appending batch(*impl_);
  for (const NewSample& sample : samples) batch.take(sample);
  return batch.commit();
}

void Tsdb::on_append(std::function<void(std::span<const NewSample>)> call) {
  impl_->stored = std::move(call);
}

Result<std::vector<std::shared_ptr<const StoredSeries>>> Tsdb::select(std::span<const Matcher> matchers,
                                                                      std::int64_t mint, std::int64_t maxt) const {
  const std::shared_lock lock(impl_->index_mutex);
  const auto blocks = impl_->blocks->list();
  const auto begins_later = [&](const TsdbSeries& series) {
    return series.oldest() > maxt && std::none_of(blocks->begin(), blocks->end(), [&](const auto& block) {
             return block->mint() <= maxt && block->has(series.ref());
           });
  };
  std::vector<std::shared_ptr<const StoredSeries>> found;
  for (SeriesPtr& series : impl_->index.matching(matchers))
    if (series->newest() >= mint && !begins_later(*series))
      found.push_back(std::make_shared<const StoredView>(std::move(series), impl_->blocks));
  return found;
}

std::vector<std::string> Tsdb::label_names(std::span<const Matcher> matchers) const {
  const std::shared_lock lock(impl_->index_mutex);
  std::vector<std::string> names;
  if (matchers.empty()) {
    for (const auto& [name, values] : impl_->index.names()) names.push_back(name);
    return names;
  }
  for (const SeriesPtr& series : impl_->index.matching(matchers))
    for (const LabelView label : series->labels().items()) names.emplace_back(label.name);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

std::vector<std::string> Tsdb::label_values(std::string_view name, std::span<const Matcher> matchers) const {
  const std::shared_lock lock(impl_->index_mutex);
  std::vector<std::string> found;
  if (matchers.empty()) {
    const auto values = impl_->index.names().find(name);
    if (values == impl_->index.names().end()) return found;
    for (const auto& [value, list] : values->second) found.push_back(value);
    return found;
  }
  for (const SeriesPtr& series : impl_->index.matching(matchers))
    if (const std::string_view value = series->labels().get(name); !value.empty()) found.emplace_back(value);
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

Result<std::size_t> Tsdb::remove(std::span<const Matcher> matchers, std::int64_t mint, std::int64_t maxt) {
  const std::lock_guard write(impl_->write_mutex);
  std::vector<SeriesPtr> found;
  {
    const std::shared_lock lock(impl_->index_mutex);
    found = impl_->index.matching(matchers);
  }
  if (found.empty()) return std::size_t{0};
  Writer record;
  for (const SeriesPtr& series : found) {
    record.number(kRemoval);
    record.number(series->ref());
    record.signed_number(mint);
    record.signed_number(maxt);
  }
  TRY(impl_->log.append(record.bytes()));
  for (const SeriesPtr& series : found) TRY(series->remove(mint, maxt));
  TRY(impl_->remove_from_blocks(found, mint, maxt));
  impl_->forget_deleted(found);
  return found.size();
}

Result<void> Tsdb::maintain(std::int64_t now) {
  const std::lock_guard write(impl_->write_mutex);
  std::vector<SeriesPtr> all;
  {
    const std::shared_lock lock(impl_->index_mutex);
    all = impl_->index.all();
  }
  const bool cut = TRY(impl_->cut_blocks(all, now));
  TRY(impl_->merge_small(now));
  std::int64_t keep_from = now - impl_->options.retention_ms;
  std::uint64_t bytes = 0;
  std::int64_t oldest = now;
  for (const SeriesPtr& series : all) {
    series->drop_before(keep_from);
    bytes += series->bytes();
    oldest = std::min(oldest, series->oldest());
  }
  // Too large: the oldest part of the time goes, an eighth at a time.
  while (bytes > impl_->options.retention_bytes && oldest < now) {
    keep_from = oldest + std::max<std::int64_t>(1, (now - oldest) / 8);
    bytes = 0;
    oldest = now;
    for (const SeriesPtr& series : all) {
      series->drop_before(keep_from);
      bytes += series->bytes();
      oldest = std::min(oldest, series->oldest());
    }
    log::info("metrics dropped by size", {{"size_bytes", std::to_string(bytes)}});
  }
  TRY(impl_->drop_blocks(now - impl_->options.retention_ms,
                         impl_->options.retention_bytes - std::min(bytes, impl_->options.retention_bytes)));
  impl_->forget_empty(all);
  if (cut || impl_->log.size_bytes() > impl_->options.snapshot_log_bytes) return impl_->write_snapshot();
  return {};
}

TsdbStats Tsdb::stats() const {
  const std::shared_lock lock(impl_->index_mutex);
  TsdbStats stats;
  stats.series = impl_->index.size();
  stats.log_bytes = impl_->log.size_bytes();
  stats.blocks = impl_->blocks->list()->size();
  stats.block_bytes = impl_->blocks->size_bytes();
  stats.oldest = INT64_MAX;
  stats.newest = INT64_MIN;
  for (const SeriesPtr& series : impl_->index.all()) {
    stats.samples += series->samples();
    stats.chunks += series->chunks();
    stats.sample_bytes += series->bytes();
    stats.oldest = std::min(stats.oldest, series->oldest());
    stats.newest = std::max(stats.newest, series->newest());
  }
  return stats;
}

Cardinality Tsdb::cardinality(std::size_t limit) const {
  const std::shared_lock lock(impl_->index_mutex);
  return cardinality_of(impl_->index, limit);
}

std::size_t Tsdb::series_max() const {
  return impl_->options.series_max;
}

}  // namespace caisson::metrics
