// SPDX-License-Identifier: Apache-2.0
#include "core/base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "core/base/random.h"
#include "core/base/text.h"

namespace caisson {
namespace {

Result<void> write_fd_file(const std::string& path, std::string_view bytes, int flags, mode_t mode, bool sync) {
  const UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, mode));
  if (!fd) return errno_error("open " + path);
  TRY(write_all(fd.get(), bytes).in("write " + path));
  if (fchmod(fd.get(), mode) != 0 && (flags & O_CREAT)) return errno_error("chmod " + path);
  if (sync && fdatasync(fd.get()) != 0) return errno_error("sync " + path);
  return {};
}

Result<void> replace_file(const std::string& path, std::string_view bytes, mode_t mode, bool sync) {
  const std::string temporary = path + ".tmp-" + random_name_suffix(8);
  Result<void> written = write_fd_file(temporary, bytes, O_WRONLY | O_CREAT | O_EXCL, mode, sync);
  if (written.ok() && ::rename(temporary.c_str(), path.c_str()) != 0) written = errno_error("rename to " + path);
  if (!written.ok()) {
    ::unlink(temporary.c_str());
    return written;
  }
  return sync ? sync_dir(path_dir(path)) : Result<void>{};
}

// Removes what is below `parent`/`name`, and it. `device` keeps it on one file system.
Result<void> remove_at(int parent, const char* name, dev_t device, const std::string& shown) {
  struct stat info {};
  if (fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
    return errno == ENOENT ? Result<void>{} : errno_error("stat " + shown);
  if (!S_ISDIR(info.st_mode)) {
    if (unlinkat(parent, name, 0) != 0 && errno != ENOENT) return errno_error("remove " + shown);
    return {};
  }
  if (info.st_dev != device) return Error{ErrorCode::conflict, "remove " + shown + ": something is mounted there"};
  UniqueFd fd(openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return errno_error("open " + shown);
  DIR* dir = fdopendir(dup(fd.get()));
  if (!dir) return errno_error("read " + shown);
  std::vector<std::string> names;
  while (const dirent* entry = readdir(dir)) {
    const std::string_view child = entry->d_name;
    if (child != "." && child != "..") names.emplace_back(child);
  }
  closedir(dir);
  for (const auto& child : names) TRY(remove_at(fd.get(), child.c_str(), device, shown + "/" + child));
  if (unlinkat(parent, name, AT_REMOVEDIR) != 0 && errno != ENOENT) return errno_error("remove " + shown);
  return {};
}

}  // namespace

UniqueFd& UniqueFd::operator=(UniqueFd&& other) noexcept {
  if (this != &other) reset(other.release());
  return *this;
}
int UniqueFd::release() {
  return std::exchange(fd_, -1);
}
void UniqueFd::reset(int fd) {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

Error errno_error(std::string_view doing) {
  const int number = errno;
  ErrorCode code = ErrorCode::internal;
  if (number == ENOENT || number == ENOTDIR)
    code = ErrorCode::not_found;
  else if (number == EACCES || number == EPERM || number == EROFS)
    code = ErrorCode::forbidden;
  else if (number == EEXIST || number == EADDRINUSE)
    code = ErrorCode::already_exists;
  else if (number == ENOSPC || number == EDQUOT || number == EMFILE || number == ENFILE || number == ENOMEM)
    code = ErrorCode::unavailable;
  else if (number == ETIMEDOUT)
    code = ErrorCode::timeout;
  else if (number == ECONNREFUSED || number == ECONNRESET || number == EPIPE || number == EHOSTUNREACH ||
           number == ENETUNREACH)
    code = ErrorCode::unavailable;
  return {code, std::string(doing) + ": " + std::strerror(number)};
}

Result<std::string> read_file(const std::string& path, std::size_t size_bytes_max) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return errno_error("open " + path);
  std::string out;
  struct stat info {};
  if (fstat(fd.get(), &info) == 0 && info.st_size > 0)
    out.reserve(std::min<std::size_t>(static_cast<std::size_t>(info.st_size), size_bytes_max));
  char buffer[65536];
  for (;;) {
    const ssize_t got = ::read(fd.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error("read " + path);
    if (got == 0) return out;
    if (out.size() + static_cast<std::size_t>(got) > size_bytes_max) {
      return Error{ErrorCode::too_large, "read " + path + ": larger than " + std::to_string(size_bytes_max) + " bytes"};
    }
    out.append(buffer, static_cast<std::size_t>(got));
  }
}

Result<void> write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::write(fd, bytes.data(), bytes.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return errno_error("write");
    bytes.remove_prefix(static_cast<std::size_t>(wrote));
  }
  return {};
}

Result<void> write_file(const std::string& path, std::string_view bytes, mode_t mode) {
  return replace_file(path, bytes, mode, true);
}
Result<void> write_file_unsynced(const std::string& path, std::string_view bytes, mode_t mode) {
  return replace_file(path, bytes, mode, false);
}
Result<void> append_file(const std::string& path, std::string_view bytes) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!fd) return errno_error("open " + path);
  return write_all(fd.get(), bytes).in("append to " + path);
}

Result<void> sync_dir(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return errno_error("open " + path);
  if (fsync(fd.get()) != 0) return errno_error("sync " + path);
  return {};
}

bool exists(const std::string& path) {
  struct stat info {};
  return lstat(path.c_str(), &info) == 0;
}

bool is_directory(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

Result<void> make_dirs(const std::string& path, mode_t mode) {
  if (path.empty() || is_directory(path)) return {};
  const std::string parent = path_dir(path);
  if (parent != path) TRY(make_dirs(parent, mode));
  if (::mkdir(path.c_str(), mode) != 0 && (errno != EEXIST || !is_directory(path)))
    return errno_error("make directory " + path);
  return {};
}

Result<void> remove_tree(const std::string& path) {
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) return errno == ENOENT ? Result<void>{} : errno_error("stat " + path);
  return remove_at(AT_FDCWD, path.c_str(), info.st_dev, path);
}

Result<void> remove_file(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return errno_error("remove " + path);
  return {};
}

Result<void> rename_file(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return errno_error("rename " + from + " to " + to);
  return {};
}

Result<std::vector<std::string>> list_dir(const std::string& path) {
  DIR* dir = opendir(path.c_str());
  if (!dir) return errno_error("read directory " + path);
  std::vector<std::string> names;
  while (const dirent* entry = readdir(dir)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  closedir(dir);
  std::sort(names.begin(), names.end());
  return names;
}

std::string path_join(std::string_view a, std::string_view b) {
  if (a.empty()) return std::string(b);
  if (b.empty()) return std::string(a);
  return std::string(a) + (a.back() == '/' ? "" : "/") + std::string(b);
}

std::string path_base(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  const auto slash = path.rfind('/');
  return std::string(slash == std::string_view::npos || path.size() == 1 ? path : path.substr(slash + 1));
}

std::string path_dir(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  const auto slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return slash == 0 ? "/" : std::string(path.substr(0, slash));
}

std::string path_clean(std::string_view path) {
  const bool absolute = path.starts_with('/');
  std::vector<std::string> parts;
  for (const std::string_view part : split(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == ".." && !parts.empty() && parts.back() != "..")
      parts.pop_back();
    else if (part == ".." && absolute)
      continue;
    else
      parts.emplace_back(part);
  }
  const std::string joined = join(parts, "/");
  if (absolute) return "/" + joined;
  return joined.empty() ? "." : joined;
}

Result<std::string> safe_path(std::string_view path) {
  const auto refuse = [&](std::string_view why) {
    return Error{ErrorCode::bad_request, "path '" + std::string(path) + "' " + std::string(why)};
  };
  if (path.find('\0') != std::string_view::npos) return refuse("holds a NUL byte");
  if (path.starts_with('/')) return refuse("is absolute");
  std::vector<std::string> parts;
  for (const std::string_view part : split(path, '/')) {
    if (part == "..") return refuse("leads out of its root");
    if (!part.empty() && part != ".") parts.emplace_back(part);
  }
  return join(parts, "/");
}

Result<TempDir> TempDir::make(std::string_view prefix, std::string_view parent) {
  const char* base = std::getenv("TMPDIR");
  std::string root = parent.empty() ? std::string(base && *base ? base : "/tmp") : std::string(parent);
  std::string pattern = path_join(root, std::string(prefix) + "-XXXXXX");
  if (!mkdtemp(pattern.data())) return errno_error("make a temporary directory in " + root);
  return TempDir(std::move(pattern));
}

TempDir& TempDir::operator=(TempDir&& other) noexcept {
  std::swap(path_, other.path_);
  return *this;
}

TempDir::~TempDir() {
  // Nothing can be done about what a test or a crash left mounted there; doctor names such directories.
  if (!path_.empty()) (void)remove_tree(path_);
}

}  // namespace caisson
