// SPDX-License-Identifier: Apache-2.0
// On disk: <dir>/wal/… and <dir>/snapshot. A log record is a list of entries: 1 new series (ref, labels) · 2 float
// (ref, time, value) · 3 histogram (ref, time, histogram) · 4 removal (ref, from, to). A snapshot holds per series its
// labels, chunks and loose samples, and the first log segment that is not within it.
#include "observe/metrics/storage/tsdb.h"

#include <algorithm>
#include <map>
#include <shared_mutex>
#include <unordered_map>

#include "core/base/log.h"
#include "observe/metrics/storage/codec.h"
#include "observe/metrics/storage/series.h"
#include "observe/metrics/storage/wal.h"

namespace caisson::metrics {
namespace {

enum Entry : std::uint64_t { kSeries = 1, kFloat = 2, kHistogram = 3, kRemoval = 4 };
constexpr std::uint64_t kSnapshotVersion = 1;
constexpr std::size_t kSnapshotBytesMax = 8ull << 30;

using SeriesPtr = std::shared_ptr<TsdbSeries>;
using Postings = std::vector<std::uint64_t>;  // refs, ascending

Postings intersection(const Postings& a, const Postings& b) {
  Postings out;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out));
  return out;
}

}  // namespace

struct Tsdb::Impl {
  std::string dir;
  TsdbOptions options;
  std::mutex write_mutex;  // appends, removals, maintenance: one at a time; taken before index_mutex
  WriteAheadLog log;
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
        out.number(chunk.count());
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
    const SeriesPtr series = add_series(ref, TRY(in.labels()));
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
  return counts;
}

Result<std::vector<std::shared_ptr<const StoredSeries>>> Tsdb::select(std::span<const Matcher> matchers,
                                                                      std::int64_t mint, std::int64_t) const {
  const std::shared_lock lock(impl_->index_mutex);
  std::vector<std::shared_ptr<const StoredSeries>> found;
  for (SeriesPtr& series : impl_->matching(matchers))
    if (series->newest() >= mint) found.push_back(std::move(series));
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
  return found.size();
}

Result<void> Tsdb::maintain(std::int64_t now) {
  const std::lock_guard write(impl_->write_mutex);
  std::vector<SeriesPtr> all;
  {
    const std::shared_lock lock(impl_->index_mutex);
    all = impl_->matching({});
  }
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
  for (const SeriesPtr& series : all)
    if (series->empty()) impl_->forget(series);
  if (impl_->log.size_bytes() > impl_->options.snapshot_log_bytes) return impl_->write_snapshot();
  return {};
}

TsdbStats Tsdb::stats() const {
  const std::shared_lock lock(impl_->index_mutex);
  TsdbStats stats;
  stats.series = impl_->by_ref.size();
  stats.log_bytes = impl_->log.size_bytes();
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
