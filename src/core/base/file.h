// SPDX-License-Identifier: Apache-2.0
// Files, with durability said out loud. Paths are plain strings; errors name the path and errno's text.
// Any thread.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace caisson {

// Owns a file descriptor.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept;
  ~UniqueFd() { reset(); }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release();
  void reset(int fd = -1);

 private:
  int fd_ = -1;
};

// The error for the current errno: "open /x/y: No such file or directory", coded not_found, forbidden, already_exists,
// unavailable (disk full) or internal.
Error errno_error(std::string_view doing);

Result<std::string> read_file(const std::string& path, std::size_t size_bytes_max = 64u << 20);
// Writes a temporary file beside `path`, syncs it, renames it, syncs the directory.
Result<void> write_file(const std::string& path, std::string_view bytes, mode_t mode = 0644);
// The same without the syncs: for what can be made again.
Result<void> write_file_unsynced(const std::string& path, std::string_view bytes, mode_t mode = 0644);
Result<void> append_file(const std::string& path, std::string_view bytes);
Result<void> write_all(int fd, std::string_view bytes);
Result<void> sync_dir(const std::string& path);

bool exists(const std::string& path);  // follows no final link
bool is_directory(const std::string& path);
Result<void> make_dirs(const std::string& path, mode_t mode = 0755);  // and its parents; fine when it is there
Result<void> remove_tree(const std::string& path);                    // stays on one file system; fine when absent
Result<void> remove_file(const std::string& path);                    // fine when absent
Result<void> rename_file(const std::string& from, const std::string& to);
Result<std::vector<std::string>> list_dir(const std::string& path);  // names, sorted, without . and ..

std::string path_join(std::string_view a, std::string_view b);
std::string path_base(std::string_view path);
std::string path_dir(std::string_view path);
// Cleans "a/./b//../c" as Go's path.Clean does.
std::string path_clean(std::string_view path);

// A relative path from outside (an archive, a request) that stays below its root: no "..", no leading "/", no NUL.
// Errors: bad_request, which quotes the path.
Result<std::string> safe_path(std::string_view path);

// A directory that is removed with the object.
class TempDir {
 public:
  static Result<TempDir> make(std::string_view prefix = "caisson", std::string_view parent = "");
  TempDir(TempDir&& other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }
  TempDir& operator=(TempDir&& other) noexcept;
  ~TempDir();
  const std::string& path() const { return path_; }

 private:
  explicit TempDir(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace caisson
