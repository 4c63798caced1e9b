// SPDX-License-Identifier: Apache-2.0
#include "observe/logs/store/store.h"

#include <algorithm>
#include <condition_variable>
#include <list>
#include <mutex>
#include <set>
#include <thread>

#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "observe/logs/store/head.h"
#include "observe/logs/store/record.h"
#include "observe/logs/store/rules.h"
#include "observe/metrics/storage/wal.h"

namespace caisson::logs {
namespace {

constexpr std::size_t kGroupBytesMax = 8u << 20;  // of pushes that share one sync
constexpr std::int64_t kIdleStream = 2LL * 3'600 * 1'000'000'000;
constexpr auto kWriterTimeMax = std::chrono::seconds(3);
constexpr auto kFlushTimeMax = std::chrono::seconds(60);
constexpr std::string_view kSuffix = ".segment";

std::string segment_name(std::uint64_t number) {
  const std::string digits = std::to_string(number);
  return std::string(digits.size() < 8 ? 8 - digits.size() : 0, '0') + digits + std::string(kSuffix);
}

// A block that can't be read stays: whoever reads it is told.
void leave_out(std::vector<BlockRef>& blocks, const Labels& stream, std::span<const Deletion> deletions) {
  std::vector<BlockRef> left;
  for (BlockRef& block : blocks) {
    auto rest = without(block, stream, deletions);
    if (!rest.ok())
      left.push_back(std::move(block));
    else if (*rest)
      left.push_back(std::move(**rest));
  }
  blocks = std::move(left);
}

}  // namespace

struct Store::Impl {
  Impl(std::string where, const StoreOptions& how, Clock& time)
      : dir(std::move(where)),
        options(how),
        clock(time),
        retention(std::make_shared<const Retention>(how.retention)),
        rate(how.rate_bytes, how.burst_bytes) {}

  const std::string dir;
  const StoreOptions options;
  Clock& clock;
  std::atomic<std::shared_ptr<const Retention>> retention;
  std::atomic<std::shared_ptr<const std::vector<Deletion>>> hidden;  // nullptr: none

  // Whoever leads writes for all that wait: one sync for many pushes.
  struct Waiting {
    metrics::Writer record;  // empty: only asks for what is in memory to be written

    std::span<const NewStream> streams;
    const Positions* moved;
    std::span<const std::string> dropped;
    bool done = false;
    std::size_t duplicate = 0;
    std::optional<Error> error;
  };
  std::mutex queue_mutex;
  std::condition_variable queue_changed;
  std::vector<Waiting*> queue;  // GUARDED_BY(queue_mutex), as the two below
  bool led = false;
  RateBucket rate;

  std::mutex log_mutex;
  metrics::WriteAheadLog log;      // GUARDED_BY(log_mutex)
  std::uint64_t last_record = 0;   // of the leader
  std::uint64_t log_from = 0;      // the log before this part is in `writing`; set while that is empty
  std::uint64_t next_segment = 1;  // of the writer

  mutable std::mutex mutex;
  Head head;  // GUARDED_BY(mutex), as all below
  Positions places;
  std::vector<SegmentStream> writing;  // taken from the head, not yet in a segment
  Segment::Meta writing_meta;
  std::vector<std::shared_ptr<const Segment>> segments;  // oldest first
  std::uint64_t entries = 0, text_bytes = 0;             // in memory
  std::uint64_t log_size = 0;
  std::condition_variable writer_work, writer_done;
  bool stopping = false;
  std::thread writer;
  std::mutex maintain_mutex;  // one maintenance at a time

  std::mutex listeners_mutex;
  std::list<PushListener> listeners;

  std::int64_t now() const { return clock.now().time_since_epoch().count(); }

  Result<void> load();
  Result<std::size_t> apply(std::span<const NewStream> streams, const Positions& moved,
                            std::span<const std::string> dropped);
  std::vector<NewStream> admit(std::span<const NewStream> streams, PushReport& report);
  Result<void> lead(std::vector<Waiting*>& group);
  Result<void> wait_for_writer();
  void commit(Waiting& mine);
  void tell(std::span<const NewStream> streams);

  Result<void> take_head();
  void write_segments();
  Result<void> write_segment();
  Result<void> flush();
  Result<std::uint64_t> replace(const std::shared_ptr<const Segment>& old, const std::vector<SegmentStream>* left);
  Result<void> erase_from(const std::shared_ptr<const Segment>& segment, std::span<const Deletion> deletions,
                          bool last);
  Result<void> expire();
  std::int64_t horizon(const Labels& labels, std::int64_t at) const;
};

// --- opening

Result<void> Store::Impl::load() {
  TRY(make_dirs(dir + "/segments", 0750));
  std::uint64_t in_segments = 0;
  std::uint64_t newest = 0;
  for (const std::string& name : TRY(list_dir(dir + "/segments"))) {
    const std::string path = dir + "/segments/" + name;
    if (!name.ends_with(kSuffix)) {
      TRY(remove_file(path));  // left by a crash
      continue;
    }
    auto segment = TRY(Segment::open(path));
    next_segment = std::max(next_segment,
                            static_cast<std::uint64_t>(
                                parse_int(std::string_view(name).substr(0, name.size() - kSuffix.size())).value_or(0)) +
                                1);
    if (segment->meta().last_record >= newest) {
      newest = segment->meta().last_record;
      places = segment->meta().positions;
    }
    in_segments = std::max(in_segments, segment->meta().last_record);
    segments.push_back(std::move(segment));
  }
  last_record = in_segments;
  log = TRY(metrics::WriteAheadLog::open(dir + "/wal", [&](std::string_view bytes) -> Result<void> {
    metrics::Reader reader(bytes);
    const std::uint64_t number = TRY(reader.number());
    if (number <= in_segments) return {};  // the crash came between the segment and the end of its log
    last_record = std::max(last_record, number);
    while (!reader.at_end()) {
      const ReadPush push = TRY(read_push(reader));
      TRY(apply(push.streams, push.moved, push.dropped));
    }
    return {};
  }));
  log_size = log.size_bytes();
  return {};
}

// --- pushes

// What the rules let through; lines stay where they are.
std::vector<NewStream> Store::Impl::admit(std::span<const NewStream> streams, PushReport& report) {
  std::vector<NewStream> taken;
  const std::int64_t at = now();
  const auto refuse = [&](std::size_t count, Error error) {
    report.refused += count;
    if (!report.error) report.error = std::move(error);
  };
  std::size_t fresh = 0;
  const std::lock_guard lock(mutex);
  for (const NewStream& stream : streams) {
    if (auto valid = check_labels(stream.labels, options); !valid.ok()) {
      refuse(stream.entries.size(), std::move(valid).error());
      continue;
    }
    const auto known = head.streams.find(stream.labels);
    if (known == head.streams.end() && head.streams.size() + ++fresh > options.streams_max) {
      refuse(stream.entries.size(),
             {ErrorCode::too_many_requests,
              "Maximum active stream limit exceeded, reduce the number of active streams (reduce labels or reduce "
              "label values), or contact your Loki administrator to see if the limit can be increased"});
      continue;
    }
    std::int64_t newest = known == head.streams.end() ? INT64_MIN : known->second->newest();
    NewStream& out = taken.emplace_back(NewStream{stream.labels, {}});
    out.entries.reserve(stream.entries.size());
    for (const NewEntry& entry : stream.entries) {
      if (auto valid = check_entry(stream.labels, entry, newest, at, options); !valid.ok()) {
        refuse(1, std::move(valid).error());
        continue;
      }
      newest = std::max(newest, entry.t);
      out.entries.push_back(entry);
    }
    if (out.entries.empty()) taken.pop_back();
  }
  return taken;
}

Result<std::size_t> Store::Impl::apply(std::span<const NewStream> streams, const Positions& moved,
                                       std::span<const std::string> dropped) {
  const std::int64_t at = now();
  std::size_t duplicate = 0;
  const std::lock_guard lock(mutex);
  for (const NewStream& stream : streams) {
    HeadStream& into = head.stream(stream.labels);
    into.touched = at;
    for (const NewEntry& entry : stream.entries) {
      if (!into.append(entry)) {
        ++duplicate;
        continue;
      }
      ++entries;
      text_bytes += entry.line.size();
      if (into.open_bytes() >= kBlockTextBytes) TRY(into.seal_open());
    }
  }
  for (const auto& [source, position] : moved) places[source] = position;
  for (const std::string& source : dropped) places.erase(source);
  return duplicate;
}

// While a segment is written the log holds what memory holds, and both have an end: who pushes faster waits.
Result<void> Store::Impl::wait_for_writer() {
  std::unique_lock lock(mutex);
  const bool has_room = writer_done.wait_for(lock, kWriterTimeMax,
                                             [this] { return writing.empty() || log_size <= 4 * options.log_bytes; });
  if (has_room) return {};
  return Error{ErrorCode::unavailable, "logs can't be written to disk: what waits in memory has reached its limit"};
}

// The leader's part: one record, one sync, then everybody's lines.
Result<void> Store::Impl::lead(std::vector<Waiting*>& group) {
  metrics::Writer number;
  number.number(last_record + 1);
  std::string payload = number.bytes();
  const std::size_t empty = payload.size();
  bool flush = false;
  for (const Waiting* one : group) {
    payload += one->record.bytes();
    flush |= one->record.bytes().empty();
  }
  if (payload.size() > empty) {
    TRY(wait_for_writer());
    const std::lock_guard lock(log_mutex);
    TRY(log.append(payload));
    ++last_record;
    flush |= log.size_bytes() >= options.log_bytes;
  }
  for (Waiting* one : group) one->duplicate = TRY(apply(one->streams, *one->moved, one->dropped));
  if (flush) TRY(take_head());
  const std::scoped_lock lock(log_mutex, mutex);
  log_size = log.size_bytes();
  return {};
}

// Gives what is in memory to the writer, unless that still has something.
Result<void> Store::Impl::take_head() {
  const std::scoped_lock lock(log_mutex, mutex);
  if (!writing.empty()) return {};
  for (auto& [labels, stream] : head.streams) TRY(stream->seal_open());
  for (auto& [labels, stream] : head.streams)
    if (!stream->empty()) writing.push_back({labels, stream->take()});
  if (writing.empty()) return {};
  const std::int64_t idle = now() - kIdleStream;
  std::erase_if(head.streams, [&](const auto& one) { return one.second->touched < idle; });
  writing_meta = {last_record, places};
  auto cut = log.cut();
  if (cut.ok()) log_from = *cut;  // else the old log stays, and its records are known to be in the segment
  writer_work.notify_all();
  return {};
}

void Store::Impl::commit(Waiting& mine) {
  std::unique_lock lock(queue_mutex);
  queue.push_back(&mine);
  while (!mine.done) {
    queue_changed.wait(lock, [&] { return mine.done || !led; });
    if (mine.done) return;
    led = true;
    std::vector<Waiting*> group;
    for (std::size_t size = 0; !queue.empty() && size < kGroupBytesMax;) {
      size += queue.front()->record.bytes().size();
      group.push_back(queue.front());
      queue.erase(queue.begin());
    }
    lock.unlock();
    const auto written = lead(group);
    lock.lock();
    for (Waiting* one : group) {
      one->done = true;
      if (!written.ok()) one->error = written.error();
    }
    led = false;
    queue_changed.notify_all();
  }
}

void Store::Impl::tell(std::span<const NewStream> streams) {
  const std::lock_guard lock(listeners_mutex);
  for (const PushListener& listener : listeners) listener(streams);
}

Result<PushReport> Store::push(std::span<const NewStream> streams, const Positions& moved,
                               std::span<const std::string> dropped) {
  Impl& it = *impl_;
  PushReport report;
  const std::vector<NewStream> taken = it.admit(streams, report);
  std::size_t lines = 0, bytes = 0;
  for (const NewStream& stream : taken) {
    lines += stream.entries.size();
    for (const NewEntry& entry : stream.entries) bytes += entry.line.size();
  }
  if (taken.empty() && moved.empty() && dropped.empty()) return report;
  {
    const std::lock_guard lock(it.queue_mutex);
    if (!it.rate.take(static_cast<double>(bytes), it.clock.monotonic()))
      return Error{
          ErrorCode::too_many_requests,
          "Ingestion rate limit exceeded for user fake (limit: " +
              std::to_string(static_cast<std::uint64_t>(it.options.rate_bytes)) +
              " bytes/sec) while attempting to ingest '" + std::to_string(lines) + "' lines totaling '" +
              std::to_string(bytes) +
              "' bytes, reduce log volume or contact your Loki administrator to see if the limit can be increased"};
  }
  Impl::Waiting mine{{}, taken, &moved, dropped};
  write_push(mine.record, {taken, &moved, dropped});
  if (mine.record.bytes().size() > metrics::WriteAheadLog::kRecordBytesMax / 2)
    return Error{ErrorCode::too_large, "push is too large: " + std::to_string(mine.record.bytes().size()) +
                                           " bytes, limit " +
                                           std::to_string(metrics::WriteAheadLog::kRecordBytesMax / 2)};
  it.commit(mine);
  if (mine.error) return *mine.error;
  report.duplicate = mine.duplicate;
  report.added = lines - mine.duplicate;
  if (report.added > 0) it.tell(taken);
  return report;
}

std::shared_ptr<void> Store::listen(PushListener listener) {
  Impl& it = *impl_;
  const std::lock_guard lock(it.listeners_mutex);
  it.listeners.push_back(std::move(listener));
  const auto at = std::prev(it.listeners.end());
  return std::shared_ptr<void>(nullptr, [&it, at](void*) {
    const std::lock_guard guard(it.listeners_mutex);
    it.listeners.erase(at);
  });
}

// --- segments

Result<void> Store::Impl::write_segment() {
  const std::string path = dir + "/segments/" + segment_name(next_segment);
  TRY(Segment::write(path, writing, writing_meta));  // only this thread changes `writing` while it is not empty
  auto segment = TRY(Segment::open(path));
  ++next_segment;
  {
    const std::scoped_lock lock(log_mutex, mutex);
    segments.push_back(std::move(segment));
    for (const SegmentStream& stream : writing)
      for (const BlockRef& block : stream.blocks) {
        entries -= block.info.count;
        text_bytes -= block.info.text_bytes;
      }
    writing.clear();
    TRY(log.drop_before(log_from));
    log_size = log.size_bytes();
  }
  writer_done.notify_all();
  return {};
}

void Store::Impl::write_segments() {
  std::unique_lock lock(mutex);
  while (!stopping) {
    if (writing.empty()) {
      writer_work.wait(lock);
      continue;
    }
    lock.unlock();
    const auto written = write_segment();
    lock.lock();
    if (written.ok()) continue;
    log::warning("logs not written to disk, trying again", {{"error", written.error()}});
    writer_work.wait_for(lock, std::chrono::seconds(5));
  }
}

std::int64_t Store::Impl::horizon(const Labels& labels, std::int64_t at) const {
  const auto kept = retention.load();
  const RetentionRule* best = nullptr;
  for (const RetentionRule& rule : kept->rules)
    if ((!best || rule.priority > best->priority) && metrics::matches_all(rule.matchers, labels)) best = &rule;
  return at - (best ? best->period : kept->period);
}

// Segments whose lines are all over go; one that is half over is written anew without them. The newest stays, as the
// positions of readers are in it.
Result<void> Store::Impl::expire() {
  const std::int64_t at = now();
  std::vector<std::shared_ptr<const Segment>> all;
  {
    const std::lock_guard lock(mutex);
    all = segments;
  }
  std::uint64_t bytes = 0;
  for (const auto& segment : all) bytes += segment->size_bytes();
  for (std::size_t i = 0; i + 1 < all.size(); ++i) {
    const Segment& segment = *all[i];
    std::vector<SegmentStream> kept;
    std::uint64_t kept_bytes = 0;
    for (const SegmentStream& stream : segment.streams()) {
      const std::int64_t oldest = horizon(stream.labels, at);
      SegmentStream& left = kept.emplace_back(SegmentStream{stream.labels, {}});
      for (const BlockRef& block : stream.blocks)
        if (block.info.maxt >= oldest) {
          left.blocks.push_back(block);
          kept_bytes += block.columns.size() + block.text.size() + block.filter.size();
        }
    }
    const bool gone = kept_bytes == 0 || bytes > options.retention_bytes;
    if (!gone && kept_bytes * 2 > segment.size_bytes()) continue;
    bytes += TRY(replace(all[i], gone ? nullptr : &kept));
    bytes -= segment.size_bytes();
  }
  return {};
}

// Puts a segment of `left` in the place of `old` and gives its bytes; nullptr: nothing. Who reads the old one goes on.
Result<std::uint64_t> Store::Impl::replace(const std::shared_ptr<const Segment>& old,
                                           const std::vector<SegmentStream>* left) {
  std::shared_ptr<const Segment> fresh;
  if (left) {
    TRY(Segment::write(old->path(), *left, old->meta()));
    fresh = TRY(Segment::open(old->path()));
  }
  {
    const std::lock_guard lock(mutex);
    const auto slot = std::find(segments.begin(), segments.end(), old);
    if (slot == segments.end()) return std::uint64_t{0};
    if (fresh)
      *slot = fresh;
    else
      segments.erase(slot);
  }
  if (!fresh) TRY(remove_file(old->path()));
  return fresh ? fresh->size_bytes() : std::uint64_t{0};
}

// --- deletion

// Everything that memory holds now is in segments afterwards, and no longer in the log.
Result<void> Store::Impl::flush() {
  const Positions none;
  for (int round = 0; round < 2; ++round) {  // the first may find the writer busy with what was there before
    Waiting now{{}, {}, &none, {}};
    commit(now);
    if (now.error) return *now.error;
    std::unique_lock lock(mutex);
    if (!writer_done.wait_for(lock, kFlushTimeMax, [this] { return writing.empty(); }))
      return Error{ErrorCode::unavailable, "logs can't be written to disk"};
  }
  return {};
}

// The last segment stays even when it is empty, as the positions of readers are in it.
Result<void> Store::Impl::erase_from(const std::shared_ptr<const Segment>& segment, std::span<const Deletion> deletions,
                                     bool last) {
  std::vector<SegmentStream> kept;
  bool changed = false, empty = true;
  for (const SegmentStream& stream : segment->streams()) {
    SegmentStream& left = kept.emplace_back(SegmentStream{stream.labels, {}});
    for (const BlockRef& block : stream.blocks) {
      std::optional<BlockRef> rest = TRY(without(block, stream.labels, deletions));
      changed |= !rest || rest->lines;
      if (!rest) continue;
      empty = false;
      if (rest->lines) {
        const auto sealed = std::make_shared<const SealedBlock>(TRY(seal(*rest->lines)));
        rest = BlockRef{sealed->info, sealed->columns, sealed->text, sealed->filter, sealed, nullptr};
      }
      left.blocks.push_back(std::move(*rest));
    }
  }
  if (changed) TRY(replace(segment, empty && !last ? nullptr : &kept));
  return {};
}

void Store::hide(std::vector<Deletion> deletions) {
  impl_->hidden.store(deletions.empty() ? nullptr
                                        : std::make_shared<const std::vector<Deletion>>(std::move(deletions)));
}

Result<void> Store::erase(std::span<const Deletion> deletions) {
  Impl& it = *impl_;
  const std::lock_guard one(it.maintain_mutex);
  TRY(it.flush());
  std::vector<std::shared_ptr<const Segment>> all;
  {
    const std::lock_guard lock(it.mutex);
    all = it.segments;
  }
  for (std::size_t i = 0; i < all.size(); ++i) TRY(it.erase_from(all[i], deletions, i + 1 == all.size()));
  return {};
}

Result<void> Store::maintain() {
  Impl& it = *impl_;
  const std::lock_guard one(it.maintain_mutex);
  bool old = false;
  {
    const std::lock_guard lock(it.mutex);
    const std::int64_t oldest = it.head.oldest();
    old = oldest != INT64_MAX && oldest < it.now() - it.options.segment_age;
  }
  if (old) {
    const Positions none;
    Impl::Waiting flush{{}, {}, &none, {}};
    it.commit(flush);
    if (flush.error) return *flush.error;
  }
  return it.expire();
}

// --- reading

Positions Store::positions() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->places;
}

std::vector<StreamBlocks> Store::select(std::span<const Matcher> matchers, std::int64_t mint, std::int64_t maxt) const {
  std::unordered_map<Labels, std::vector<BlockRef>, LabelsHash> found;
  const auto take = [&](const SegmentStream& stream, const std::shared_ptr<const void>& owner) {
    std::vector<BlockRef>* into = nullptr;
    for (const BlockRef& block : stream.blocks) {
      if (block.info.mint > maxt || block.info.maxt < mint) continue;
      if (!into && !metrics::matches_all(matchers, stream.labels)) return;
      if (!into) into = &found[stream.labels];
      into->push_back(block);
      if (owner) into->back().owner = owner;
    }
  };
  std::vector<std::shared_ptr<const Segment>> segments;
  {
    const std::lock_guard lock(impl_->mutex);
    segments = impl_->segments;
    for (const SegmentStream& stream : impl_->writing) take(stream, nullptr);
    impl_->head.select(matchers, mint, maxt, found);
  }
  for (const auto& segment : segments)
    if (segment->mint() <= maxt && segment->maxt() >= mint)
      for (const SegmentStream& stream : segment->streams()) take(stream, segment);
  const auto hidden = impl_->hidden.load();
  std::vector<StreamBlocks> out;
  out.reserve(found.size());
  for (auto& [labels, blocks] : found) {
    if (hidden) leave_out(blocks, labels, *hidden);
    std::sort(blocks.begin(), blocks.end(),
              [](const BlockRef& a, const BlockRef& b) { return a.info.mint < b.info.mint; });
    out.push_back({labels, std::move(blocks)});
  }
  std::sort(out.begin(), out.end(), [](const StreamBlocks& a, const StreamBlocks& b) { return a.labels < b.labels; });
  return out;
}

std::vector<Labels> Store::series(std::span<const Matcher> matchers, std::int64_t mint, std::int64_t maxt) const {
  std::set<Labels> found;
  const auto take = [&](const SegmentStream& stream) {
    const bool live = std::any_of(stream.blocks.begin(), stream.blocks.end(),
                                  [&](const BlockRef& b) { return b.info.mint <= maxt && b.info.maxt >= mint; });
    if (live && metrics::matches_all(matchers, stream.labels)) found.insert(stream.labels);
  };
  const std::lock_guard lock(impl_->mutex);
  for (const auto& segment : impl_->segments)
    if (segment->mint() <= maxt && segment->maxt() >= mint)
      std::for_each(segment->streams().begin(), segment->streams().end(), take);
  std::for_each(impl_->writing.begin(), impl_->writing.end(), take);
  for (const auto& [labels, stream] : impl_->head.streams)
    if (stream->oldest() <= maxt && stream->newest() >= mint && metrics::matches_all(matchers, labels))
      found.insert(labels);
  return {found.begin(), found.end()};
}

std::int64_t Store::horizon(const Labels& labels, std::int64_t now) const {
  return impl_->horizon(labels, now);
}

StoreStats Store::stats() const {
  StoreStats stats;
  const std::lock_guard lock(impl_->mutex);
  stats.streams = impl_->head.streams.size();
  stats.segments = impl_->segments.size();
  stats.entries = impl_->entries;
  stats.text_bytes = impl_->text_bytes;
  stats.log_bytes = impl_->log_size;
  for (const auto& segment : impl_->segments) {
    stats.segment_bytes += segment->size_bytes();
    for (const SegmentStream& stream : segment->streams()) {
      stats.blocks += stream.blocks.size();
      for (const BlockRef& block : stream.blocks) {
        stats.entries += block.info.count;
        stats.text_bytes += block.info.text_bytes;
      }
    }
  }
  return stats;
}

const StoreOptions& Store::options() const {
  return impl_->options;
}

void Store::set_retention(Retention retention) {
  impl_->retention.store(std::make_shared<const Retention>(std::move(retention)));
}

Result<std::unique_ptr<Store>> Store::open(const std::string& dir, const StoreOptions& options, Clock& clock) {
  auto impl = std::make_unique<Impl>(dir, options, clock);
  TRY(impl->load().in("open the logs in " + dir));
  Impl* raw = impl.get();
  impl->writer = std::thread([raw] { raw->write_segments(); });
  return std::unique_ptr<Store>(new Store(std::move(impl)));
}

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Store::~Store() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->writer_work.notify_all();
  impl_->writer.join();
}

}  // namespace caisson::logs
