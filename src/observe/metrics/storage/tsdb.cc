// SPDX-License-Identifier: Apache-2.0
// On disk: <dir>/wal/… and <dir>/snapshot. A log record is a list of entries: 1 new series (ref, labels) · 2 float
// (ref, time, value) · 3 histogram (ref, time, histogram) · 4 removal (ref, from, to). A snapshot holds per series its
// labels, chunks and loose samples, and the first log segment that is not within it. Blocks: block.h. A crash between
// writing a block and the snapshot that no longer has its samples leaves them in both; readers take each once.
#include "observe/metrics/storage/tsdb.h"

#include <algorithm>
#include <map>
#include <shared_mutex>
#include <unordered_map>

#include "core/base/log.h"
#include "observe/metrics/storage/block_set.h"
#include "observe/metrics/storage/codec.h"
#include "observe/metrics/storage/series.h"
#include "observe/metrics/storage/wal.h"

namespace caisson::metrics {
namespace {

enum Entry : std::uint64_t { kSeries = 1, kFloat = 2, kHistogram = 3, kRemoval = 4 };
constexpr std::uint64_t kSnapshotVersion = 1;
constexpr std::size_t kSnapshotBytesMax = 8ull << 30;
constexpr std::int64_t kHour = 3'600'000;
constexpr std::int64_t kCutAfterMs = kHour;                       // a span becomes a block when it ended this long ago
constexpr std::int64_t kMergedSpans[] = {8 * kHour, 48 * kHour};  // blocks of one span become one
constexpr std::uint64_t kMergedBytesMax = 64u << 20;              // merging holds them in memory

using SeriesPtr = std::shared_ptr<TsdbSeries>;
using Postings = std::vector<std::uint64_t>;  // refs, ascending

Postings intersection(const Postings& a, const Postings& b) {
  Postings out;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out));
  return out;
}

// A series as a query reads it: what is in memory first, then blocks, so that what moves between the two meanwhile is
// met at least once; and each sample once.
class StoredView : public StoredSeries {
 public:
  StoredView(SeriesPtr series, std::shared_ptr<const BlockSet> blocks)
      : series_(std::move(series)), blocks_(std::move(blocks)) {}
  const Labels& labels() const override { return series_->labels(); }
  Result<void> read(std::int64_t mint, std::int64_t maxt, Samples& into) const override {
    Samples found;
    TRY(series_->read(mint, maxt, found));
    const auto blocks = blocks_->list();
    for (const auto& block : *blocks) TRY(block->read(series_->ref(), mint, maxt, found));
    take(found.floats, into.floats);
    take(found.histograms, into.histograms);
    return {};
  }

 private:
  template <class Point>
  static void take(std::vector<Point>& from, std::vector<Point>& into) {
    const auto earlier = [](const Point& a, const Point& b) { return a.t < b.t; };
    if (!std::is_sorted(from.begin(), from.end(), earlier)) std::stable_sort(from.begin(), from.end(), earlier);
    from.erase(std::unique(from.begin(), from.end(), [](const Point& a, const Point& b) { return a.t == b.t; }),
               from.end());
    if (into.empty())
      into = std::move(from);
    else
      into.insert(into.end(), from.begin(), from.end());
  }

  SeriesPtr series_;
  std::shared_ptr<const BlockSet> blocks_;
};

TsdbSeries::Contents until(TsdbSeries::Contents all, std::int64_t t) {
  std::erase_if(all.chunks, [t](const FloatChunk& chunk) { return chunk.last_time() >= t; });
  std::erase_if(all.loose.floats, [t](const FloatPoint& p) { return p.t >= t; });
  std::erase_if(all.loose.histograms, [t](const HistogramPoint& p) { return p.t >= t; });
  return all;
}

}  // namespace

struct Tsdb::Impl {
  std::string dir;
  TsdbOptions options;
  std::mutex write_mutex;  // appends, removals, maintenance: one at a time; taken before index_mutex
  WriteAheadLog log;
  std::function<void(std::span<const NewSample>)> stored;
  std::shared_ptr<BlockSet> blocks = std::make_shared<BlockSet>();
  mutable std::shared_mutex index_mutex;  // guards what follows
  std::unordered_map<Labels, SeriesPtr, LabelsHash> by_labels;
  std::map<std::uint64_t, SeriesPtr> by_ref;
  std::map<std::string, std::map<std::string, Postings>, std::less<>> postings;
  std::uint64_t next_ref = 1;

  SeriesPtr add_series(std::uint64_t ref, const Labels& labels) {
    auto series = std::make_shared<TsdbSeries>(ref, labels);
    const std::unique_lock lock(index_mutex);
    by_labels.emplace(labels, series);
    by_ref.emplace(ref, series);
    for (const Label& label : labels.items()) {
      Postings& list = postings[label.name][label.value];
      if (list.empty() || list.back() < ref)
        list.push_back(ref);
      else
        list.insert(std::lower_bound(list.begin(), list.end(), ref), ref);
    }
    next_ref = std::max(next_ref, ref + 1);
    return series;
  }

  void forget(const SeriesPtr& series) {
    const std::unique_lock lock(index_mutex);
    for (const Label& label : series->labels().items()) {
      const auto values = postings.find(label.name);
      if (values == postings.end()) continue;
      const auto list = values->second.find(label.value);
      if (list == values->second.end()) continue;
      std::erase(list->second, series->ref());
      if (list->second.empty()) values->second.erase(list);
      if (values->second.empty()) postings.erase(values);
    }
    by_labels.erase(series->labels());
    by_ref.erase(series->ref());
  }

  SeriesPtr find(std::uint64_t ref) const {
    const auto at = by_ref.find(ref);
    return at == by_ref.end() ? nullptr : at->second;
  }

  // The matchers that need a value narrow by the index; the others look at what is left. REQUIRES: index_mutex.
  std::vector<SeriesPtr> matching(std::span<const Matcher> matchers) const {
    bool narrowed = false;
    Postings refs;
    for (const Matcher& m : matchers) {
      if (m.matches("")) continue;
      Postings own = postings_of(m);
      refs = narrowed ? intersection(refs, own) : std::move(own);
      narrowed = true;
      if (refs.empty()) return {};
    }
    std::vector<SeriesPtr> found;
    const auto take = [&](const SeriesPtr& series) {
      for (const Matcher& m : matchers)
        if (m.matches("") && !m.matches(series->labels().get(m.name))) return;
      found.push_back(series);
    };
    if (!narrowed)
      for (const auto& [ref, series] : by_ref) take(series);
    for (const std::uint64_t ref : refs) take(find(ref));
    return found;
  }

  Postings postings_of(const Matcher& m) const {
    const auto values = postings.find(m.name);
    if (values == postings.end()) return {};
    if (m.type == MatchType::equal) {
      const auto list = values->second.find(m.value);
      return list == values->second.end() ? Postings{} : list->second;
    }
    Postings all;
    for (const auto& [value, list] : values->second)
      if (m.matches(value)) all.insert(all.end(), list.begin(), list.end());
    std::sort(all.begin(), all.end());
    return all;
  }

  Result<void> replay(std::string_view record) {
    Reader in(record);
    while (!in.at_end()) {
      const std::uint64_t kind = TRY(in.number()), ref = TRY(in.number());
      const SeriesPtr series = find(ref);
      if (kind == kSeries) {
        const Labels labels = TRY(in.labels());
        if (!series && !by_labels.contains(labels)) add_series(ref, labels);
        continue;
      }
      const std::int64_t t = TRY(in.signed_number());
      if (kind == kFloat) {
        const double v = TRY(in.real());
        if (series && is_new(*series, t, v, nullptr)) series->add(t, v, nullptr);
      } else if (kind == kHistogram) {
        const auto h = std::make_shared<const FloatHistogram>(TRY(in.histogram()));
        if (series && is_new(*series, t, 0, h.get())) series->add(t, 0, h);
      } else if (kind == kRemoval) {
        const std::int64_t to = TRY(in.signed_number());
        if (series) TRY(series->remove(t, to));
      } else {
        return Error{ErrorCode::invalid, "log entry of an unknown kind"};
      }
    }
    return {};
  }

  // Not yet there: a snapshot may hold what the log tells again.
  static bool is_new(const TsdbSeries& series, std::int64_t t, double v, const FloatHistogram* h) {
    const Admission admission = series.admit(t, v, h, INT64_MAX);
    return admission == Admission::in_order || admission == Admission::out_of_order;
  }

  Result<void> read_blocks() {
    TRY(blocks->open(dir + "/blocks"));
    for (const auto& block : *blocks->list()) TRY(note_block(*block));
    return {};
  }

  Result<void> note_block(const Block& block) {
    return block.each([&](std::uint64_t ref, const Labels& labels) {
      SeriesPtr series = find(ref);
      if (!series) series = add_series(ref, labels);
      series->add_block(block.maxt());
    });
  }

  Result<void> forget_block(const Block& block) {
    return block.each([&](std::uint64_t ref, const Labels&) {
      if (const SeriesPtr series = find(ref)) series->drop_block();
    });
  }

  // REQUIRES: write_mutex, as what follows.
  Result<void> replace_blocks(const BlockSet::List& old, const std::shared_ptr<const Block>& fresh) {
    if (fresh) TRY(note_block(*fresh));
    for (const auto& block : old) TRY(forget_block(*block));
    return blocks->replace(old, fresh);
  }

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
          BlockSeries one{series->ref(), series->labels(), until(series->contents(), border)};
          for (FloatChunk& chunk : one.contents.chunks) chunk.seal();
          if (!one.contents.chunks.empty() || !one.contents.loose.empty()) moving.push_back(std::move(one));
        }
      if (moving.empty()) return any;
      border -= options.block_ms;
      TRY(replace_blocks({}, TRY(blocks->write(moving))));
      for (const BlockSeries& one : moving) find(one.ref)->drop_before(border);
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
        TRY(replace_blocks(group, merged));
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
      TRY(replace_blocks({block}, nullptr));
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
      TRY(replace_blocks({block}, rest));
    }
    return {};
  }

  std::string snapshot_path() const { return dir + "/snapshot"; }

  Result<void> write_snapshot() {
    const std::uint64_t first_segment = TRY(log.cut());
    Writer out;
    out.number(kSnapshotVersion);
    const std::vector<SeriesPtr> all = [&] {
      const std::shared_lock lock(index_mutex);
      return matching({});
    }();
    for (const SeriesPtr& series : all) {
      const TsdbSeries::Contents contents = series->contents();
      out.number(series->ref());
      out.labels(series->labels());
      out.number(contents.chunks.size());
      for (const FloatChunk& chunk : contents.chunks) {
        out.number(chunk.head());
        out.text(chunk.bytes());
      }
      out.number(contents.loose.floats.size());
      for (const FloatPoint& p : contents.loose.floats) {
        out.signed_number(p.t);
        out.real(p.v);
      }
      out.number(contents.loose.histograms.size());
      for (const HistogramPoint& p : contents.loose.histograms) {
        out.signed_number(p.t);
        out.histogram(*p.h);
      }
    }
    Writer tail;
    tail.number(crc32c(out.bytes()));
    TRY(write_file(snapshot_path(), out.bytes() + std::string(tail.bytes()) + static_cast<char>(tail.bytes().size()),
                   0640));
    return log.drop_before(first_segment);
  }

  Result<void> read_snapshot() {
    if (!exists(snapshot_path())) return {};
    const std::string bytes = TRY(read_file(snapshot_path(), kSnapshotBytesMax));
    const std::size_t tail = bytes.empty() ? 0 : static_cast<unsigned char>(bytes.back());
    if (bytes.size() < tail + 1) return Error{ErrorCode::invalid, snapshot_path() + " ends early"};
    const std::string_view body = std::string_view(bytes).substr(0, bytes.size() - tail - 1);
    Reader crc(std::string_view(bytes).substr(body.size(), tail));
    if (TRY(crc.number()) != crc32c(body)) return Error{ErrorCode::invalid, snapshot_path() + " is damaged"};
    Reader in(body);
    if (TRY(in.number()) != kSnapshotVersion)
      return Error{ErrorCode::invalid, snapshot_path() + " has another version"};
    while (!in.at_end()) TRY(read_series(in));
    return {};
  }

  Result<void> read_series(Reader& in) {
    const std::uint64_t ref = TRY(in.number());
    const Labels labels = TRY(in.labels());
    SeriesPtr series = find(ref);
    if (!series) series = add_series(ref, labels);
    for (std::uint64_t n = TRY(in.number()); n > 0; --n) {
      const std::uint64_t count = TRY(in.number());
      series->restore(TRY(FloatChunk::restore(static_cast<std::uint32_t>(count), std::string(TRY(in.text())))));
    }
    for (std::uint64_t n = TRY(in.number()); n > 0; --n) {
      const std::int64_t t = TRY(in.signed_number());
      series->add(t, TRY(in.real()), nullptr);
    }
    for (std::uint64_t n = TRY(in.number()); n > 0; --n) {
      const std::int64_t t = TRY(in.signed_number());
      series->add(t, 0, std::make_shared<const FloatHistogram>(TRY(in.histogram())));
    }
    return {};
  }
};

Tsdb::Tsdb(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tsdb::~Tsdb() = default;

Result<std::unique_ptr<Tsdb>> Tsdb::open(const std::string& dir, const TsdbOptions& options) {
  auto impl = std::make_unique<Impl>();
  impl->dir = dir;
  impl->options = options;
  TRY(make_dirs(dir, 0750));
  TRY(impl->read_blocks());
  TRY(impl->read_snapshot());
  Impl& target = *impl;
  impl->log =
      TRY(WriteAheadLog::open(dir + "/wal", [&target](std::string_view record) { return target.replay(record); }));
  return std::unique_ptr<Tsdb>(new Tsdb(std::move(impl)));
}

Result<AppendCounts> Tsdb::append(std::span<const NewSample> samples) {
  const std::lock_guard write(impl_->write_mutex);
  AppendCounts counts;
  Writer record;
  struct Pending {
    SeriesPtr series;
    const NewSample* sample;
  };
  std::vector<Pending> pending;
  std::unordered_map<Labels, SeriesPtr, LabelsHash> created;  // of this batch; known to readers once it is on the disk
  std::map<std::pair<const TsdbSeries*, std::int64_t>, bool> in_batch;
  std::uint64_t next_ref = impl_->next_ref;
  for (const NewSample& sample : samples) {
    SeriesPtr series;
    {
      const std::shared_lock lock(impl_->index_mutex);
      if (const auto at = impl_->by_labels.find(sample.labels); at != impl_->by_labels.end())
        series = at->second;
      else if (impl_->by_labels.size() + created.size() >= impl_->options.series_max &&
               !created.contains(sample.labels)) {
        ++counts.over_limit;
        continue;
      }
    }
    if (!series) {
      SeriesPtr& fresh = created[sample.labels];
      if (!fresh) {
        fresh = std::make_shared<TsdbSeries>(next_ref++, sample.labels);
        record.number(kSeries);
        record.number(fresh->ref());
        record.labels(sample.labels);
      }
      series = fresh;
    }
    const Admission admission = series->admit(sample.t, sample.v, sample.h.get(), impl_->options.out_of_order_ms);
    if (admission == Admission::too_old) ++counts.too_old;
    if (admission == Admission::duplicate) ++counts.duplicate;
    if (admission == Admission::conflicting) ++counts.conflicting;
    if (admission != Admission::in_order && admission != Admission::out_of_order) continue;
    if (!in_batch.try_emplace({series.get(), sample.t}, true).second) {
      ++counts.duplicate;
      continue;
    }
    record.number(sample.h ? kHistogram : kFloat);
    record.number(series->ref());
    record.signed_number(sample.t);
    if (sample.h)
      record.histogram(*sample.h);
    else
      record.real(sample.v);
    pending.push_back({series, &sample});
  }
  if (pending.empty()) return counts;
  TRY(impl_->log.append(record.bytes()));
  std::unordered_map<std::uint64_t, SeriesPtr> known;
  for (const auto& [labels, series] : created) known[series->ref()] = impl_->add_series(series->ref(), labels);
  for (const Pending& p : pending) {
    const auto at = known.find(p.series->ref());
    (at == known.end() ? p.series : at->second)->add(p.sample->t, p.sample->v, p.sample->h);
  }
  counts.added = pending.size();
  if (impl_->stored) {
    std::vector<NewSample> stored;
    stored.reserve(pending.size());
    for (const Pending& p : pending) stored.push_back(*p.sample);
    impl_->stored(stored);
  }
  return counts;
}

void Tsdb::on_append(std::function<void(std::span<const NewSample>)> call) {
  impl_->stored = std::move(call);
}

Result<std::vector<std::shared_ptr<const StoredSeries>>> Tsdb::select(std::span<const Matcher> matchers,
                                                                      std::int64_t mint, std::int64_t) const {
  const std::shared_lock lock(impl_->index_mutex);
  std::vector<std::shared_ptr<const StoredSeries>> found;
  for (SeriesPtr& series : impl_->matching(matchers))
    if (series->newest() >= mint) found.push_back(std::make_shared<const StoredView>(std::move(series), impl_->blocks));
  return found;
}

std::vector<std::string> Tsdb::label_names(std::span<const Matcher> matchers) const {
  const std::shared_lock lock(impl_->index_mutex);
  std::vector<std::string> names;
  if (matchers.empty()) {
    for (const auto& [name, values] : impl_->postings) names.push_back(name);
    return names;
  }
  for (const SeriesPtr& series : impl_->matching(matchers))
    for (const Label& label : series->labels().items()) names.push_back(label.name);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

std::vector<std::string> Tsdb::label_values(std::string_view name, std::span<const Matcher> matchers) const {
  const std::shared_lock lock(impl_->index_mutex);
  std::vector<std::string> found;
  if (matchers.empty()) {
    const auto values = impl_->postings.find(name);
    if (values == impl_->postings.end()) return found;
    for (const auto& [value, list] : values->second) found.push_back(value);
    return found;
  }
  for (const SeriesPtr& series : impl_->matching(matchers))
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
    found = impl_->matching(matchers);
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
  return found.size();
}

Result<void> Tsdb::maintain(std::int64_t now) {
  const std::lock_guard write(impl_->write_mutex);
  std::vector<SeriesPtr> all;
  {
    const std::shared_lock lock(impl_->index_mutex);
    all = impl_->matching({});
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
  for (const SeriesPtr& series : all)
    if (series->empty() && !series->in_blocks()) impl_->forget(series);
  if (cut || impl_->log.size_bytes() > impl_->options.snapshot_log_bytes) return impl_->write_snapshot();
  return {};
}

TsdbStats Tsdb::stats() const {
  const std::shared_lock lock(impl_->index_mutex);
  TsdbStats stats;
  stats.series = impl_->by_ref.size();
  stats.log_bytes = impl_->log.size_bytes();
  stats.blocks = impl_->blocks->list()->size();
  stats.block_bytes = impl_->blocks->size_bytes();
  stats.oldest = INT64_MAX;
  stats.newest = INT64_MIN;
  for (const auto& [ref, series] : impl_->by_ref) {
    stats.samples += series->samples();
    stats.sample_bytes += series->bytes();
    stats.oldest = std::min(stats.oldest, series->oldest());
    stats.newest = std::max(stats.newest, series->newest());
  }
  return stats;
}

}  // namespace caisson::metrics
