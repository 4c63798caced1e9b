// SPDX-License-Identifier: Apache-2.0
// LogFile: the store's SQLite file. One table is the log of all versions that are kept; nothing else knows SQL.
//
// Invariant: append returns after the rows are on disk (WAL, synchronous=FULL), or leaves no trace. Threads: load,
// append and erase by one thread at a time (who leads the group commit); checkpoint and backup have connections of
// their own and may run beside it.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/store/item.h"
#include "cluster/store/sealing.h"
#include "core/base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace caisson::store {

struct LogRow {
  std::int64_t id = 0;    // grows by one a row
  Revision revision = 0;  // the transaction's, which is the id of its last row
  std::string_view resource, ns, name;
  bool deleted = false;
  std::int64_t at = 0;     // seconds since 1970
  std::string_view value;  // JSON
};

class LogFile {
 public:
  // Values of `sealed_resources` are sealed by the keys of PATH.key.
  static Result<std::unique_ptr<LogFile>> open(const std::string& path, std::vector<std::string> sealed_resources);
  ~LogFile();
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;

  // In order of id. Ends with an error at the first row whose value is no JSON, or does not open: the file is damaged.
  Result<void> load(const std::function<void(const LogRow&)>& row);
  Result<void> append(std::span<const LogRow> rows);
  Result<void> erase(std::span<const std::int64_t> ids);
  int wal_pages() const { return wal_pages_; }  // after the last append or erase
  // Makes the WAL `size_bytes` long, of zeros, where it is shorter and the disk has far more room than that: a sync of
  // what replaces bytes costs a fraction of one that makes a file longer, whose new length and blocks go to the file
  // system's journal (docs/benchmarks.md). Readers of a WAL stop at the first page that no commit wrote.
  Result<void> lengthen_wal(std::int64_t size_bytes);

  // Copies the WAL into the file as far as no reader is in the way. From its own connection (the first call opens it).
  Result<void> checkpoint();
  // The same on the writer's connection: for the short rest that keeps the WAL from starting over under load.
  Result<void> checkpoint_rest();
  Result<void> backup(const std::string& path) const;

 private:
  explicit LogFile(std::string path) : path_(std::move(path)) {}
  Result<sqlite3*> connect(int flags) const;
  Result<void> prepare_tables();
  Result<void> execute(sqlite3* db, const char* sql) const;
  Result<void> run(sqlite3_stmt* statement) const;  // one that gives no rows; ready for the next time
  bool seals(std::string_view resource) const;
  // The row's value as it was given; a row that the first key did not seal goes to `old`, sealed.
  Result<std::string> unsealed(const LogRow& row, std::vector<std::pair<std::int64_t, std::string>>& old) const;
  Result<void> reseal(std::span<const std::pair<std::int64_t, std::string>> values);
  Result<void> in_transaction(const std::function<Result<void>()>& work);
  Error failure(sqlite3* db, std::string_view doing) const;

  std::string path_;
  std::vector<std::string> sealed_resources_;
  std::optional<Sealer> sealer_;  // there when something is sealed
  sqlite3* db_ = nullptr;
  sqlite3* checkpoint_db_ = nullptr;
  sqlite3_stmt* begin_ = nullptr;
  sqlite3_stmt* commit_ = nullptr;
  sqlite3_stmt* insert_ = nullptr;
  sqlite3_stmt* erase_ = nullptr;
  int wal_pages_ = 0;
};

}  // namespace caisson::store
