// SPDX-License-Identifier: Apache-2.0
#include "cluster/store/log_file.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "cluster/store/written_json.h"
#include "core/base/file.h"
#include "core/document/json.h"

namespace caisson::store {
namespace {

// "csn1": marks the file as ours to file(1) and to a later version of this program.
constexpr int kApplicationId = 0x63736e31;
constexpr int kFormat = 1;
constexpr std::size_t kZerosAtOnce = 64u << 10;  // SQLite's unix VFS takes less than 128 KiB
constexpr std::uint64_t kRoomForEachZero = 64;   // bytes that the disk has free for each that lengthens the WAL

void bind_text(sqlite3_stmt* statement, int index, std::string_view text) {
  // SQLITE_STATIC: the row outlives the step. A null pointer would bind NULL.
  sqlite3_bind_text(statement, index, text.data() ? text.data() : "", static_cast<int>(text.size()), SQLITE_STATIC);
}

std::string_view column_text(sqlite3_stmt* statement, int index) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, index));
  return text ? std::string_view(text, static_cast<std::size_t>(sqlite3_column_bytes(statement, index)))
              : std::string_view();
}

std::string key_of(const LogRow& row) {
  return std::string(row.resource) + "/" + std::string(row.ns) + "/" + std::string(row.name);
}

// A sealed value belongs to one row: moved to another one it does not open.
std::string place_of(const LogRow& row) {
  return key_of(row) + "#" + std::to_string(row.id);
}

// A disk that loses what it has confirmed can leave pages of different ages in the file, which SQLite does not notice.
Result<void> check_value(const LogRow& row) {
  if (is_json(row.value)) return {};
  const auto value = json::parse(row.value);
  if (value.ok()) return {};
  return Error{ErrorCode::internal, "the file is damaged: row " + std::to_string(row.id) + " (" + key_of(row) +
                                        ") holds no JSON: " + value.error().message +
                                        "; put a backup in its place, and distrust the disk"};
}

}  // namespace

Error LogFile::failure(sqlite3* db, std::string_view doing) const {
  const int code = db ? sqlite3_errcode(db) & 0xff : SQLITE_NOMEM;
  const bool may_recover = code == SQLITE_FULL || code == SQLITE_IOERR || code == SQLITE_BUSY ||
                           code == SQLITE_LOCKED || code == SQLITE_READONLY || code == SQLITE_CANTOPEN ||
                           code == SQLITE_NOMEM;
  // The WAL's index wants room too, when the WAL itself has it already: SQLite calls its lack an I/O error.
  const bool full = db && code == SQLITE_IOERR &&
                    (sqlite3_extended_errcode(db) == SQLITE_IOERR_SHMSIZE || sqlite3_system_errno(db) == ENOSPC);
  const char* const why = !db ? "out of memory" : full ? sqlite3_errstr(SQLITE_FULL) : sqlite3_errmsg(db);
  return Error{may_recover ? ErrorCode::unavailable : ErrorCode::internal,
               std::string(doing) + " " + path_ + ": " + why};
}

Result<void> LogFile::execute(sqlite3* db, const char* sql) const {
  if (sqlite3_exec(db, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return failure(db, "write");
  return {};
}

Result<void> LogFile::run(sqlite3_stmt* statement) const {
  std::optional<Error> error;
  if (sqlite3_step(statement) != SQLITE_DONE) error = failure(db_, "write");  // before the reset, which may forget it
  sqlite3_reset(statement);
  if (error) return *std::move(error);
  return {};
}

Result<sqlite3*> LogFile::connect(int flags) const {
  sqlite3* db = nullptr;
  if (sqlite3_open_v2(path_.c_str(), &db, flags | SQLITE_OPEN_NOMUTEX, nullptr) != SQLITE_OK) {
    const Error error = failure(db, "open");
    sqlite3_close(db);
    return error;
  }
  sqlite3_extended_result_codes(db, 1);
  sqlite3_busy_timeout(db, 5'000);  // an sqlite3 shell, or the checkpoint's end
  // The map in memory is the cache; SQLite's own may be small.
  const auto set = execute(
      db, "PRAGMA cache_size=-256; PRAGMA temp_store=MEMORY; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;");
  if (!set.ok()) {
    sqlite3_close(db);
    return set.error();
  }
  return db;
}

Result<std::unique_ptr<LogFile>> LogFile::open(const std::string& path, std::vector<std::string> sealed_resources) {
  std::unique_ptr<LogFile> file(new LogFile(path));
  file->sealed_resources_ = std::move(sealed_resources);
  if (!file->sealed_resources_.empty()) file->sealer_ = TRY(Sealer::open(path + ".key"));
  file->db_ = TRY(file->connect(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
  TRY(file->prepare_tables());
  sqlite3_wal_hook(
      file->db_,
      [](void* self, sqlite3*, const char*, int pages) {
        static_cast<LogFile*>(self)->wal_pages_ = pages;
        return SQLITE_OK;
      },
      file.get());
  return file;
}

Result<void> LogFile::prepare_tables() {
  int application = 0, format = 0;
  const auto read_int = [](void* out, int, char** columns, char**) {
    *static_cast<int*>(out) = std::atoi(columns[0]);
    return 0;
  };
  if (sqlite3_exec(db_, "PRAGMA application_id", read_int, &application, nullptr) != SQLITE_OK ||
      sqlite3_exec(db_, "PRAGMA user_version", read_int, &format, nullptr) != SQLITE_OK)
    return failure(db_, "read");
  if (application != 0 && application != kApplicationId)
    return Error{ErrorCode::internal, path_ + " is the SQLite file of another program"};
  if (format > kFormat)
    return Error{ErrorCode::internal, path_ + " has format " + std::to_string(format) +
                                          ", written by a later version; this one reads " + std::to_string(kFormat)};
  TRY(execute(db_, "PRAGMA journal_mode=WAL;"));  // a backup is not in WAL mode
  if (format == 0) {
    TRY(execute(db_,
                "BEGIN IMMEDIATE;"
                "CREATE TABLE log(id INTEGER PRIMARY KEY, revision INTEGER NOT NULL, resource TEXT NOT NULL, namespace "
                "TEXT NOT NULL,"
                " name TEXT NOT NULL, deleted INTEGER NOT NULL, at INTEGER NOT NULL, value TEXT NOT NULL);"
                // For people with the sqlite3 shell; the program keeps its own map.
                "CREATE VIEW objects AS SELECT resource, namespace, name, revision, datetime(at, 'unixepoch') AS at, "
                "value FROM log WHERE id"
                " IN (SELECT max(id) FROM log GROUP BY resource, namespace, name) AND NOT deleted;"
                "PRAGMA application_id=1668509233; PRAGMA user_version=1; COMMIT;"));
    TRY(sync_dir(path_dir(path_)));
  }
  for (const auto& [sql, statement] : std::initializer_list<std::pair<const char*, sqlite3_stmt**>>{
           {"BEGIN IMMEDIATE", &begin_},
           {"COMMIT", &commit_},
           {"INSERT INTO log VALUES(?,?,?,?,?,?,?,?)", &insert_},
           {"DELETE FROM log WHERE id=?", &erase_}})
    if (sqlite3_prepare_v3(db_, sql, -1, SQLITE_PREPARE_PERSISTENT, statement, nullptr) != SQLITE_OK)
      return failure(db_, "read");
  return {};
}

LogFile::~LogFile() {
  for (sqlite3_stmt* statement : {begin_, commit_, insert_, erase_}) sqlite3_finalize(statement);
  sqlite3_close(checkpoint_db_);
  sqlite3_close(db_);  // the last connection checkpoints and removes the WAL
}

bool LogFile::seals(std::string_view resource) const {
  return std::find(sealed_resources_.begin(), sealed_resources_.end(), resource) != sealed_resources_.end();
}

Result<void> LogFile::reseal(std::span<const std::pair<std::int64_t, std::string>> values) {
  if (values.empty()) return {};
  TRY(execute(db_, "PRAGMA secure_delete=ON"));  // what was there before is not to be left in free pages
  sqlite3_stmt* update = nullptr;
  if (sqlite3_prepare_v2(db_, "UPDATE log SET value=? WHERE id=?", -1, &update, nullptr) != SQLITE_OK)
    return failure(db_, "write");
  const auto done = in_transaction([&]() -> Result<void> {
    for (const auto& [id, value] : values) {
      bind_text(update, 1, value);
      sqlite3_bind_int64(update, 2, id);
      if (sqlite3_step(update) != SQLITE_DONE) return failure(db_, "write");
      sqlite3_reset(update);
    }
    return {};
  });
  sqlite3_finalize(update);
  TRY(done);
  TRY(execute(db_, "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA secure_delete=OFF"));
  return {};
}

Result<void> LogFile::load(const std::function<void(const LogRow&)>& row) {
  std::vector<std::pair<std::int64_t, std::string>> old;  // rows to be sealed, or sealed anew
  std::optional<Error> unreadable;
  std::string opened;
  sqlite3_stmt* select = nullptr;
  if (sqlite3_prepare_v2(db_, "SELECT id, revision, resource, namespace, name, deleted, at, value FROM log ORDER BY id",
                         -1, &select, nullptr) != SQLITE_OK)
    return failure(db_, "read");
  int code;
  while ((code = sqlite3_step(select)) == SQLITE_ROW) {
    LogRow read{.id = sqlite3_column_int64(select, 0),
                .revision = sqlite3_column_int64(select, 1),
                .resource = column_text(select, 2),
                .ns = column_text(select, 3),
                .name = column_text(select, 4),
                .deleted = sqlite3_column_int(select, 5) != 0,
                .at = sqlite3_column_int64(select, 6),
                .value = column_text(select, 7)};
    if (sealer_ && (seals(read.resource) || Sealer::is_sealed(read.value))) {
      auto value = unsealed(read, old);
      if (!value.ok()) {
        unreadable = std::move(value).error();
        break;
      }
      opened = std::move(value).value();
      read.value = opened;
    }
    if (auto checked = check_value(read).in(path_); !checked.ok()) {
      unreadable = std::move(checked).error();
      break;
    }
    row(read);
  }
  sqlite3_finalize(select);
  if (unreadable) return *std::move(unreadable);
  if (code != SQLITE_DONE) return failure(db_, "read");
  return reseal(old);
}

Result<std::string> LogFile::unsealed(const LogRow& row, std::vector<std::pair<std::int64_t, std::string>>& old) const {
  const std::string place = place_of(row);
  std::string value(row.value);
  if (Sealer::is_sealed(row.value)) value = TRY(sealer_->unseal(place, row.value).in(path_ + ": " + key_of(row)));
  if (!sealer_->is_current(row.value)) {
    std::string sealed = TRY(sealer_->seal(place, value));
    old.emplace_back(row.id, std::move(sealed));
  }
  return value;
}

Result<void> LogFile::in_transaction(const std::function<Result<void>()>& work) {
  TRY(run(begin_));
  auto done = work();
  if (done.ok()) done = run(commit_);
  // A failed COMMIT may have rolled back by itself; asking again then does nothing.
  if (!done.ok() && !sqlite3_get_autocommit(db_)) sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
  return done;
}

Result<void> LogFile::append(std::span<const LogRow> rows) {
  return in_transaction([&]() -> Result<void> {
    for (const LogRow& row : rows) {
      std::string sealed;
      if (sealer_ && seals(row.resource)) sealed = TRY(sealer_->seal(place_of(row), row.value));
      sqlite3_bind_int64(insert_, 1, row.id);
      sqlite3_bind_int64(insert_, 2, row.revision);
      bind_text(insert_, 3, row.resource);
      bind_text(insert_, 4, row.ns);
      bind_text(insert_, 5, row.name);
      sqlite3_bind_int(insert_, 6, row.deleted);
      sqlite3_bind_int64(insert_, 7, row.at);
      bind_text(insert_, 8, sealed.empty() ? row.value : std::string_view(sealed));
      TRY(run(insert_));
    }
    return {};
  });
}

Result<void> LogFile::erase(std::span<const std::int64_t> ids) {
  return in_transaction([&]() -> Result<void> {
    for (const std::int64_t id : ids) {
      sqlite3_bind_int64(erase_, 1, id);
      TRY(run(erase_));
    }
    return {};
  });
}

Result<void> LogFile::checkpoint() {
  if (!checkpoint_db_) checkpoint_db_ = TRY(connect(SQLITE_OPEN_READWRITE));
  if (sqlite3_wal_checkpoint_v2(checkpoint_db_, nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr) != SQLITE_OK)
    return failure(checkpoint_db_, "checkpoint");
  return {};
}

Result<void> LogFile::checkpoint_rest() {
  if (sqlite3_wal_checkpoint_v2(db_, nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr) != SQLITE_OK)
    return failure(db_, "checkpoint");
  return {};
}

Result<void> LogFile::lengthen_wal(std::int64_t size_bytes) {
  struct statvfs disk {};
  if (statvfs(path_.c_str(), &disk) != 0) return errno_error("statvfs " + path_);
  if (disk.f_bavail * disk.f_frsize / kRoomForEachZero < static_cast<std::uint64_t>(size_bytes)) return {};
  sqlite3_file* wal = nullptr;
  if (sqlite3_file_control(db_, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal) != SQLITE_OK) return failure(db_, "write");
  if (wal == nullptr || wal->pMethods == nullptr) return {};  // nothing was written yet
  sqlite3_int64 size = 0;
  int code = wal->pMethods->xFileSize(wal, &size);
  const std::string zeros(kZerosAtOnce, '\0');
  while (code == SQLITE_OK && size < size_bytes) {
    const auto count = std::min<std::int64_t>(size_bytes - size, static_cast<std::int64_t>(zeros.size()));
    code = wal->pMethods->xWrite(wal, zeros.data(), static_cast<int>(count), size);
    size += count;
  }
  if (code == SQLITE_OK) return {};
  return Error{ErrorCode::unavailable, "lengthen the WAL of " + path_ + ": " + sqlite3_errstr(code)};
}

Result<void> LogFile::backup(const std::string& path) const {
  if (exists(path)) return Error{ErrorCode::already_exists, path + " exists; a backup does not replace a file"};
  const std::string unfinished = path + ".unfinished";
  TRY(remove_file(unfinished));
  sqlite3* db = TRY(connect(SQLITE_OPEN_READWRITE));
  sqlite3_stmt* vacuum = nullptr;
  int code = sqlite3_prepare_v2(db, "VACUUM INTO ?", -1, &vacuum, nullptr);
  if (code == SQLITE_OK) {
    bind_text(vacuum, 1, unfinished);
    code = sqlite3_step(vacuum);
  }
  const Error error = failure(db, "back up");
  sqlite3_finalize(vacuum);
  sqlite3_close(db);
  if (code != SQLITE_DONE) {
    TRY(remove_file(unfinished));
    return error;
  }
  const UniqueFd copy(::open(unfinished.c_str(), O_RDONLY | O_CLOEXEC));
  if (!copy || ::fsync(copy.get()) != 0) return errno_error("sync " + unfinished);
  TRY(rename_file(unfinished, path));
  return sync_dir(path_dir(path));
}

}  // namespace caisson::store
