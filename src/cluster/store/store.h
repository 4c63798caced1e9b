// SPDX-License-Identifier: Apache-2.0
// Store: all objects of the platform, with one global revision. Multi-version key-value on one SQLite file in WAL mode
// (synchronous=FULL); follows what kube-apiserver expects of etcd v3.
//
// Invariants: a write is acknowledged only after the commit that holds it is on disk, and visible to readers only then;
// revisions never repeat or go back, over restarts too; memory always shows exactly what the file holds at revision().
// History (for watches and old lists) is bounded by StoreOptions. The file is readable with the sqlite3 shell: see
// README.md. Threads: every method may be called from any thread. get and list answer from memory and never wait for a
// commit.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/store/item.h"
#include "core/base/clock.h"
#include "core/base/result.h"

namespace caisson::store {

// One step of a transaction.
struct Change {
  Key key;
  // What the object shall be; the store writes metadata.resourceVersion into it. Of a deletion: its last state (null:
  // as stored).
  Value value;
  bool deletion = false;
  // 0: must not exist; a revision: must be the stored object's (an object that this transaction changed before counts
  // as changed, whatever revision is expected); none: whatever there is.
  std::optional<Revision> expected;
};

// What happened to one object. Shared parts are the store's own.
struct Event {
  enum class Type { added, modified, deleted, bookmark, closed } type;
  Revision revision = 0;       // of a bookmark: nothing up to it is missing
  ItemPtr before;              // null for added
  ItemPtr after;               // of deleted: the last state, with the deletion's revision
  std::optional<Error> error;  // with closed: why; none when the watch's time is over
};

struct WatchOptions {
  std::string resource;        // "deployments.apps"
  std::string ns;              // empty: all
  Revision after = 0;          // events of later revisions
  bool state_first = false;    // instead: everything that is there now, as added, a bookmark, then what comes later
  Duration bookmark_every{0};  // 0: none
  Duration time_max{0};        // then a closed event; 0: none
};

// Ends when destroyed; after the destructor no callback runs (a callback may destroy its own watch).
class Watch {
 public:
  virtual ~Watch() = default;
};

struct Listing {
  std::vector<ItemPtr> items;  // sorted by "namespace/name", as etcd's keys are
  Revision revision = 0;
  bool more = false;          // `limit` cut it
  std::size_t remaining = 0;  // how many were cut; as far as ListOptions::given is right
};

struct ListOptions {
  std::string ns;         // empty: all
  std::string after;      // keys after this "namespace/name"
  std::size_t limit = 0;  // 0: all
  // How many of the same list were given before `after`, when that is known: then what remains need not be counted one
  // by one.
  std::optional<std::size_t> given;
  Revision at = 0;  // as it was at this revision; 0: now
};

struct StoreOptions {
  std::int64_t history_revisions_max = 10'000;
  Duration history_age_max = std::chrono::minutes(5);
  std::size_t history_bytes_max = 32u << 20;  // in memory
  // Of the JSON whose parsed form is kept, too; that takes three to four times as much.
  std::size_t parsed_bytes_max = 4u << 20;
  std::size_t object_bytes_max =
      3u << 20;  // etcd's default request limit is 1.5 MiB; ours serves Spans and PushEvents as well
  // How long the file's log is made, of zeros, once the store is written to much (log_file.h, lengthen_wal).
  std::int64_t wal_bytes = 20 << 20;
  // Their values lie encrypted on disk (sealing.h), by the keys of the file PATH.key. Empty: none, and no key file.
  std::vector<std::string> sealed_resources = {"secrets"};
};

struct StoreStats {
  Revision revision = 0, oldest = 0;  // oldest: watches may begin after it
  std::size_t objects = 0, objects_bytes = 0, history = 0, history_bytes = 0, watches = 0;
  std::size_t parsed_bytes = 0;  // of the JSON whose parsed form is kept
  std::uint64_t commits = 0, rows = 0;
};

class Store {
 public:
  // Creates the file when absent. Errors: internal for a file of a later format or a damaged one; unavailable when the
  // disk is full.
  static Result<std::unique_ptr<Store>> open(const std::string& path, Clock& clock, const StoreOptions& options = {});
  virtual ~Store() = default;  // after what was acknowledged is on disk (it always is)

  virtual Revision revision() const = 0;
  // The last revision that changed something of `resource`; 0 when nothing ever did.
  virtual Revision revision_of(std::string_view resource) const = 0;

  virtual ItemPtr get(std::string_view resource, std::string_view ns,
                      std::string_view name) const = 0;  // null when absent
  // Errors: expired when `at` is older than the history; timeout when it is in the future.
  virtual Result<Listing> list(std::string_view resource, const ListOptions& options = {}) const = 0;
  virtual std::vector<std::string> resources() const = 0;  // that have objects

  // All or nothing, with one revision and one sync; blocks until it is durable. Gives what was written, in order (of a
  // deletion: the last state). A later change of the transaction sees the earlier ones. Errors: already_exists,
  // not_found, conflict (the expectation does not hold), too_large, unavailable (disk full: reads go on, and writes do
  // as soon as there is room).
  virtual Result<std::vector<ItemPtr>> commit(std::vector<Change> changes) = 0;
  // The same without waiting for the disk: `done` gets once what commit would have given, on a thread that writes (on
  // this one, before commit_then returns, where there is nothing to write). It must neither block nor commit: others'
  // answers wait for it. The store must not be destroyed before.
  using Done = std::function<void(Result<std::vector<ItemPtr>>)>;
  virtual void commit_then(std::vector<Change> changes, Done done) = 0;

  // Calls `call` with each event in order, on the store's one delivery thread: it must not block. Errors: expired "too
  // old resource version" when `after` is older than the history.
  virtual Result<std::unique_ptr<Watch>> watch(const WatchOptions& options, std::function<void(const Event&)> call) = 0;

  // A consistent copy in one file, while writes go on. Errors: already_exists, unavailable.
  virtual Result<void> backup(const std::string& path) = 0;

  virtual StoreStats stats() const = 0;
};

}  // namespace caisson::store
