// SPDX-License-Identifier: Apache-2.0
// State: what the store holds in memory: every object's last version, and the recent events from which older states are
// made again. Invariant: tables() plus history() backwards is the state at any revision of [oldest(), revision()]. Not
// thread-safe: Store locks.
#pragma once
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/store/store.h"

namespace caisson::store {

struct Stored {
  ItemPtr item;
  std::int64_t row = 0;  // its row of the log
};

struct Table {
  std::map<std::string, Stored, std::less<>> objects;          // by Key::path()
  std::map<std::string, std::size_t, std::less<>> namespaces;  // how many objects each has
  Revision changed = 0;

  std::size_t count(std::string_view ns) const;  // of all namespaces when it is empty
};

// One row that became durable.
struct Applied {
  ItemPtr item;
  std::int64_t row = 0;
  bool deletion = false;
  std::int64_t at = 0;  // seconds since 1970
};

class State {
 public:
  explicit State(const StoreOptions& options) : options_(options) {}

  Revision revision() const { return revision_; }
  Revision oldest() const { return oldest_; }
  const Table* table(std::string_view resource) const;
  const Stored* find(std::string_view resource, std::string_view path) const;
  std::map<std::string, Table, std::less<>>& tables() { return tables_; }
  const std::map<std::string, Table, std::less<>>& tables() const { return tables_; }

  Event apply(const Applied& change);      // and remembers it in the history
  void trim(std::int64_t now);             // the history, to its bounds
  void begin_history_at(Revision oldest);  // after loading: what came before is not complete

  std::vector<Event> events_after(const WatchOptions& options) const;
  std::vector<Event> as_added(const WatchOptions& options) const;  // what is there, and a bookmark
  Result<Listing> list(std::string_view resource, const ListOptions& options) const;

  // Rows of the log that nobody needs any more, oldest first, at most `count`; never the last row, which holds the
  // revision.
  std::vector<std::int64_t> takeable_rows(std::size_t count) const;
  void rows_erased(std::size_t count) {
    unneeded_.erase(unneeded_.begin(), unneeded_.begin() + static_cast<long>(count));
  }

  std::size_t history_size() const { return history_.size(); }
  std::size_t history_bytes() const { return history_bytes_; }

 private:
  struct Past {
    Event event;
    std::int64_t at;
    std::size_t size_bytes;
  };
  struct Unneeded {
    std::int64_t row;
    Revision since;  // from which revision on
  };
  using Objects = std::map<std::string, ItemPtr, std::less<>>;
  // What was otherwise at that revision, of the paths that begin so: null where nothing was.
  Objects changed_since(std::string_view resource, std::string_view prefix, Revision at) const;

  StoreOptions options_;
  std::map<std::string, Table, std::less<>> tables_;
  std::deque<Past> history_;
  std::deque<Unneeded> unneeded_;
  std::size_t history_bytes_ = 0;
  Revision revision_ = 0, oldest_ = 0;
  std::int64_t last_row_ = 0;
};

}  // namespace caisson::store
