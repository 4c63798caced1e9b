// SPDX-License-Identifier: Apache-2.0
// The storage of logs: streams (a label set each) whose newest lines are in memory, a write-ahead log, and segments on
// disk for what is older. Behaviour of pushes (limits, windows, texts of refusals) follows Loki 3.7's distributor and
// ingester.
//
// Invariant: push() returns when its lines are synced to the log; opened again after a crash, the storage has every one
// of them once, and the positions that came with them. Times are nanoseconds. Threads: every method may be called from
// any thread; readers do not wait for the disk.
#pragma once
#include <functional>
#include <span>

#include "core/base/clock.h"
#include "observe/logs/store/deletion.h"
#include "observe/logs/store/segment.h"

namespace caisson::logs {

struct NewEntry {
  std::int64_t t = 0;
  std::string_view line;
  Labels metadata;  // structured metadata
};
struct NewStream {
  Labels labels;
  std::vector<NewEntry> entries;
};

// How long lines of the streams that match are kept; of several the one with the highest priority counts.
struct RetentionRule {
  std::vector<Matcher> matchers;
  std::int64_t period = 0;
  int priority = 0;
};

struct Retention {
  std::int64_t period = 30LL * 24 * 3'600 * 1'000'000'000;
  std::vector<RetentionRule> rules;
};

struct StoreOptions {
  Retention retention;
  std::uint64_t retention_bytes = 4ull << 30;              // of segments; the oldest go first
  std::uint64_t log_bytes = 48u << 20;                     // the log is replaced by a segment when it is larger
  std::int64_t segment_age = 6LL * 3'600 * 1'000'000'000;  // or when its oldest line is that old

  std::size_t streams_max = 10'000;  // that got lines of late
  std::size_t line_bytes_max = 256u << 10;
  std::size_t label_names_max = 15;
  std::size_t label_name_bytes_max = 1024, label_value_bytes_max = 2048;
  std::size_t metadata_bytes_max = 64u << 10, metadata_names_max = 128;
  std::int64_t out_of_order = 3'600LL * 1'000'000'000;   // how much older than the newest of its stream
  std::int64_t too_old = 168LL * 3'600 * 1'000'000'000;  // than now
  std::int64_t too_new = 600LL * 1'000'000'000;          // than now
  double rate_bytes = 256e6, burst_bytes = 512e6;        // of lines, in a second
};

struct PushReport {
  std::size_t added = 0, duplicate = 0, refused = 0;
  std::optional<Error> error;  // why lines were refused; too_many_requests for limits of rate and streams
};

struct StreamBlocks {
  Labels labels;
  std::vector<BlockRef> blocks;  // by mint
};

struct StoreStats {
  std::size_t streams = 0, blocks = 0, segments = 0;
  std::uint64_t entries = 0, text_bytes = 0;  // of all lines
  std::uint64_t log_bytes = 0, segment_bytes = 0;
};

using PushListener = std::function<void(std::span<const NewStream>)>;

class Store {
 public:
  static Result<std::unique_ptr<Store>> open(const std::string& dir, const StoreOptions& options, Clock& clock);
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  ~Store();

  // A line that is refused does not refuse the others. `moved` are positions that hold once the lines do; `dropped`
  // sources that are over. Errors: unavailable when the disk is full; nothing of it is kept then.
  Result<PushReport> push(std::span<const NewStream> streams, const Positions& moved = {},
                          std::span<const std::string> dropped = {});
  Positions positions() const;

  // What may hold lines of mint..maxt (both included). Lines beyond their stream's retention are left out by `horizon`.
  std::vector<StreamBlocks> select(std::span<const Matcher> matchers, std::int64_t mint, std::int64_t maxt) const;
  // Label sets only.
  std::vector<Labels> series(std::span<const Matcher> matchers, std::int64_t mint, std::int64_t maxt) const;
  // Lines of the stream that are older than this are over.
  std::int64_t horizon(const Labels& labels, std::int64_t now) const;

  // Called with what was added, on the thread that pushed, until the handle goes. Must be quick.
  std::shared_ptr<void> listen(PushListener listener);

  // From now on select() leaves these lines out; what a former call named is there again. For lines that erase() will
  // take, or has not taken yet.
  void hide(std::vector<Deletion> deletions);
  // Takes these lines out of memory, log and segments, which are written anew; what is pushed meanwhile may stay.
  // Errors: unavailable when the disk is full or slow; some of the lines may be gone then, and another call goes on.
  Result<void> erase(std::span<const Deletion> deletions);

  // Makes segments, drops what is over. Called now and then.
  Result<void> maintain();
  StoreStats stats() const;
  const StoreOptions& options() const;  // as it was opened with
  void set_retention(Retention retention);

 private:
  struct Impl;
  explicit Store(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace caisson::logs
