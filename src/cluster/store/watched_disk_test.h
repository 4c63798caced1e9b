// SPDX-License-Identifier: Apache-2.0
// A disk that tests look on at: an SQLite VFS over the real one that tells what is done to the files below a directory,
// as it is done. Makes itself the default VFS while it lives; one at a time. Threads: the functions are called on
// SQLite's.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

struct sqlite3_file;
struct sqlite3_vfs;

namespace caisson::store::testing {

class WatchedDisk {
 public:
  explicit WatchedDisk(std::string directory);
  virtual ~WatchedDisk();
  WatchedDisk(const WatchedDisk&) = delete;
  WatchedDisk& operator=(const WatchedDisk&) = delete;

  // Before it is done.
  virtual void writes(const std::string&, std::int64_t /*offset*/, std::string_view) {}
  virtual void truncates(const std::string&, std::int64_t /*size*/) {}
  virtual bool syncs(const std::string&) { return true; }  // false: it is not done
  virtual void removes(const std::string&) {}
  // After it.
  virtual void synced(const std::string&) {}

  bool watches(std::string_view path) const {
    return path.starts_with(directory_ + "/") && !path.ends_with("-shm");
  }
  sqlite3_vfs* real() const { return real_; }

 private:
  const std::string directory_;
  sqlite3_vfs* real_ = nullptr;
  std::unique_ptr<sqlite3_vfs> vfs_;
};

}  // namespace caisson::store::testing
