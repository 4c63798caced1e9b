// SPDX-License-Identifier: Apache-2.0
// A SQLite file with its statements: rows bound and read by position. Of this room only. One thread at a time.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace caisson::scan {

class Database;

// A prepared statement. `bind` in order, then `step` until it gives false, then `reset`.
class Statement {
 public:
  Statement() = default;
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&& other) noexcept;
  ~Statement();
  Statement& bind(std::string_view text);
  Statement& bind(std::int64_t number);
  Statement& bind(double number);
  Statement& bind_null();
  Result<bool> step();    // whether there is a row
  Result<void> finish();  // runs to the end and resets
  void reset();
  std::string text(int column) const;
  std::int64_t number(int column) const;
  double real(int column) const;
  bool is_null(int column) const;

 private:
  friend class Database;
  sqlite3_stmt* statement_ = nullptr;
  int bound_ = 0;
};

class Database {
 public:
  // Makes the file with `schema` when it is not there. A power cut may lose the last transactions, never a part of one;
  // a file of another format (user_version) is begun anew. Errors: unavailable, with SQLite's words.
  static Result<Database> open(const std::string& path, int format, const char* schema);
  Database(Database&& other) noexcept;
  Database& operator=(Database&& other) noexcept;
  ~Database();
  Result<Statement> prepare(std::string_view sql);
  Result<void> run(const char* sql);

 private:
  Database() = default;
  sqlite3* db_ = nullptr;
};

}  // namespace caisson::scan
