// SPDX-License-Identifier: Apache-2.0
#include "artifact/scan/database.h"

#include <sqlite3.h>

#include <utility>

#include "core/base/file.h"

namespace caisson::scan {
namespace {

constexpr int kBusyMs = 10'000;

Error failure(sqlite3* db, std::string_view doing) {
  return {ErrorCode::unavailable, std::string(doing) + ": " + (db != nullptr ? sqlite3_errmsg(db) : "out of memory")};
}

int read_int(void* into, int, char** values, char**) {
  *static_cast<int*>(into) = values[0] != nullptr ? std::atoi(values[0]) : 0;
  return 0;
}

}  // namespace

Statement::Statement(Statement&& other) noexcept
    : statement_(std::exchange(other.statement_, nullptr)), bound_(other.bound_) {}
Statement& Statement::operator=(Statement&& other) noexcept {
  std::swap(statement_, other.statement_);
  std::swap(bound_, other.bound_);
  return *this;
}
Statement::~Statement() {
  sqlite3_finalize(statement_);
}

Statement& Statement::bind(std::string_view text) {
  sqlite3_bind_text(statement_, ++bound_, text.data() != nullptr ? text.data() : "", static_cast<int>(text.size()),
                    SQLITE_TRANSIENT);
  return *this;
}
Statement& Statement::bind(std::int64_t number) {
  sqlite3_bind_int64(statement_, ++bound_, number);
  return *this;
}
Statement& Statement::bind(double number) {
  sqlite3_bind_double(statement_, ++bound_, number);
  return *this;
}
Statement& Statement::bind_null() {
  sqlite3_bind_null(statement_, ++bound_);
  return *this;
}

Result<bool> Statement::step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  Error error = failure(sqlite3_db_handle(statement_), "step");
  reset();
  return error;
}

Result<void> Statement::finish() {
  while (TRY(step())) continue;
  reset();
  return {};
}

void Statement::reset() {
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
  bound_ = 0;
}

std::string Statement::text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  return text != nullptr ? std::string(text, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column)))
                         : std::string();
}
std::int64_t Statement::number(int column) const {
  return sqlite3_column_int64(statement_, column);
}
double Statement::real(int column) const {
  return sqlite3_column_double(statement_, column);
}
bool Statement::is_null(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

Result<Database> Database::open(const std::string& path, int format, const char* schema) {
  for (const bool again : {false, true}) {
    Database out;
    if (sqlite3_open_v2(path.c_str(), &out.db_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                        nullptr) != SQLITE_OK)
      return failure(out.db_, "open " + path);
    sqlite3_busy_timeout(out.db_, kBusyMs);
    int there = -1;
    const int read = sqlite3_exec(out.db_, "PRAGMA user_version", read_int, &there, nullptr);
    if (read == SQLITE_OK && there == format) {
      TRY(out.run("PRAGMA synchronous=NORMAL"));
      return out;
    }
    if (read == SQLITE_OK && there == 0) {
      TRY(out.run("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL"));
      TRY(out.run("BEGIN IMMEDIATE"));
      TRY(out.run(schema));
      TRY(out.run(("PRAGMA user_version=" + std::to_string(format)).c_str()));
      TRY(out.run("COMMIT"));
      return out;
    }
    if (again) return failure(out.db_, "open " + path);
    for (const char* suffix : {"", "-wal", "-shm"}) TRY(remove_file(path + suffix));
  }
  return Error{ErrorCode::internal, "open " + path};
}

Database::Database(Database&& other) noexcept : db_(std::exchange(other.db_, nullptr)) {}
Database& Database::operator=(Database&& other) noexcept {
  std::swap(db_, other.db_);
  return *this;
}
Database::~Database() {
  sqlite3_close_v2(db_);
}

Result<Statement> Database::prepare(std::string_view sql) {
  Statement out;
  if (sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &out.statement_,
                         nullptr) != SQLITE_OK)
    return failure(db_, "prepare");
  return out;
}

Result<void> Database::run(const char* sql) {
  if (sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return failure(db_, "write");
  return {};
}

}  // namespace caisson::scan
