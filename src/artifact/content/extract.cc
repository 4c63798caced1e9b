// SPDX-License-Identifier: Apache-2.0
#include "artifact/content/extract.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/text.h"

namespace caisson::content {
namespace {

constexpr std::string_view kWhiteout = ".wh.";
constexpr std::string_view kOpaque = ".wh..wh..opq";

int open_in_root(int root, const std::string& path, int flags) {
  if (path.empty()) return ::openat(root, ".", flags | O_CLOEXEC);
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how));
}

Result<void> remove_at(int parent, const std::string& name) {
  if (::unlinkat(parent, name.c_str(), 0) == 0) return {};
  if (errno != EISDIR && errno != EPERM) return errno_error("remove " + name);
  const int fd = ::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return errno_error("open " + name);
  DIR* directory = ::fdopendir(fd);
  if (directory == nullptr) {
    ::close(fd);
    return errno_error("open " + name);
  }
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(directory)) {
    const std::string_view one = entry->d_name;
    if (one != "." && one != "..") names.emplace_back(one);
  }
  Result<void> gone;
  for (const std::string& one : names) {
    gone = remove_at(fd, one);
    if (!gone.ok()) break;
  }
  ::closedir(directory);
  TRY(std::move(gone));
  if (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) != 0) return errno_error("remove " + name);
  return {};
}

bool is_allowed_xattr(std::string_view name) {
  return name == "security.capability" || (name.starts_with("user.") && !name.starts_with("user.overlay."));
}

bool is_whiteout(const struct stat& st) {
  return S_ISCHR(st.st_mode) && st.st_rdev == 0;
}

std::pair<std::string, std::string> split_path(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {"", path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

}  // namespace

Result<std::string> entry_path(std::string_view name) {
  std::string out;
  if (name.find('\0') != std::string_view::npos) return Error{ErrorCode::bad_request, "an entry's name holds a NUL"};
  for (const std::string_view part : split(name, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..")
      return Error{ErrorCode::bad_request,
                   "\"" + std::string(name.substr(0, 300)) + "\" leads out of the archive's root"};
    if (!out.empty()) out += '/';
    out += part;
  }
  return out;
}

struct Extractor::Impl {
  UniqueFd root;
  ExtractOptions options;
  bool replaced = false;
  std::string parent_path{"\1"};  // of `parent`: entries come grouped by directory
  UniqueFd parent;
  struct DirectoryTime {
    std::string path;
    timespec mtime;
  };
  std::vector<DirectoryTime> directory_times;

  // Opens (and makes) the directory `path`.
  Result<int> open_directory(const std::string& path) {
    if (path == parent_path) return parent.get();
    int fd = open_in_root(root.get(), path, O_PATH | O_DIRECTORY);
    if (fd < 0 && errno == ENOENT) {
      const auto [above, name] = split_path(path);
      const int up = TRY(open_directory(above));
      if (::mkdirat(up, name.c_str(), 0755) != 0) return errno_error("mkdir " + path);
      fd = open_in_root(root.get(), path, O_PATH | O_DIRECTORY);
    }
    if (fd < 0) return errno_error("open " + path);
    parent_path = path;
    parent.reset(fd);
    return fd;
  }

  Result<void> set_xattrs(int fd, const TarEntry& entry) {
    for (const auto& [name, value] : entry.xattrs) {
      if (!is_allowed_xattr(name)) continue;
      if (::fsetxattr(fd, name.c_str(), value.data(), value.size(), 0) != 0 && errno != ENOTSUP) {
        return errno_error("set " + name);
      }
    }
    return {};
  }

  static timespec mtime_of(const TarEntry& entry) {
    return timespec{static_cast<time_t>(entry.mtime_s), static_cast<long>(entry.mtime_ns)};
  }

  // Owner, mode, attributes, in the order in which none clears another.
  Result<void> set_attributes(int fd, const TarEntry& entry) {
    if (::fchown(fd, entry.uid, entry.gid) != 0) return errno_error("chown");
    if (::fchmod(fd, entry.mode) != 0) return errno_error("chmod");
    return set_xattrs(fd, entry);
  }

  Result<void> make_opaque(int up, const std::string& name) {
    const UniqueFd fd(::openat(up, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) return errno_error("open directory");
    if (::fsetxattr(fd.get(), "trusted.overlay.opaque", "y", 1, 0) != 0)
      return errno_error("set trusted.overlay.opaque");
    return {};
  }

  Result<void> add_whiteout(int up, const std::string& name, const TarEntry& entry) {
    if (entry.size_bytes > 0) replaced = true;
    if (name == kOpaque) return make_opaque(up, ".");
    if (std::string_view(name).starts_with(".wh..wh.")) return {};  // AUFS's own
    const std::string hidden = name.substr(kWhiteout.size());
    if (hidden.empty() || hidden == "." || hidden == "..")
      return Error{ErrorCode::bad_request, "a whiteout without a name"};
    struct stat st {};
    if (::fstatat(up, hidden.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0) {
      // A whiteout hides what lower layers have, never its own layer's entry.
      return S_ISDIR(st.st_mode) ? make_opaque(up, hidden) : Result<void>();
    }
    if (::mknodat(up, hidden.c_str(), S_IFCHR, 0) != 0) return errno_error("whiteout");
    return {};
  }

  Result<void> add_file(int up, const std::string& name, const TarEntry& entry, const ByteSource& contents) {
    const UniqueFd file(::openat(up, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file) return errno_error("create");
    for (;;) {
      const std::string piece = TRY(contents());
      if (piece.empty()) break;
      TRY(write_all(file.get(), piece));
    }
    TRY(set_attributes(file.get(), entry));
    const timespec times[2] = {mtime_of(entry), mtime_of(entry)};
    if (::futimens(file.get(), times) != 0) return errno_error("set times");
    return {};
  }

  Result<void> add_directory(int up, const std::string& name, const std::string& path, const TarEntry& entry) {
    if (!name.empty() && ::mkdirat(up, name.c_str(), 0700) != 0 && errno != EEXIST) return errno_error("mkdir");
    const UniqueFd fd(::openat(up, name.empty() ? "." : name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) return errno_error("open directory");
    TRY(set_attributes(fd.get(), entry));
    directory_times.push_back({path, mtime_of(entry)});
    return {};
  }

  Result<void> add_hard_link(int up, const std::string& name, const TarEntry& entry) {
    const std::string target = TRY(entry_path(entry.link));
    const auto [above, base] = split_path(target);
    const UniqueFd from(open_in_root(root.get(), above, O_PATH | O_DIRECTORY));
    if (!from) return errno_error("hard link to " + target);
    struct stat st {};
    if (base.empty() || ::fstatat(from.get(), base.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) {
      return errno_error("hard link to \"" + target + "\"");
    }
    if (S_ISDIR(st.st_mode)) return Error{ErrorCode::bad_request, "hard link to the directory \"" + target + "\""};
    if (::linkat(from.get(), base.c_str(), up, name.c_str(), 0) != 0)
      return errno_error("hard link to \"" + target + "\"");
    return {};
  }

  Result<void> add_special(int up, const std::string& name, const TarEntry& entry) {
    if (entry.type == EntryType::symlink) {
      if (entry.link.empty()) return Error{ErrorCode::bad_request, "a symbolic link to nothing"};
      if (::symlinkat(entry.link.c_str(), up, name.c_str()) != 0) return errno_error("symbolic link");
    } else {
      const mode_t kind = entry.type == EntryType::char_device    ? S_IFCHR
                          : entry.type == EntryType::block_device ? S_IFBLK
                                                                  : S_IFIFO;
      const dev_t device = entry.type == EntryType::fifo ? 0 : makedev(entry.device_major, entry.device_minor);
      if (::mknodat(up, name.c_str(), kind | entry.mode, device) != 0) return errno_error("make device");
    }
    if (::fchownat(up, name.c_str(), entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW) != 0) return errno_error("chown");
    if (entry.type != EntryType::symlink && ::fchmodat(up, name.c_str(), entry.mode, 0) != 0)
      return errno_error("chmod");
    const timespec times[2] = {mtime_of(entry), mtime_of(entry)};
    if (::utimensat(up, name.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) return errno_error("set times");
    return {};
  }

  Result<void> add(const TarEntry& entry, const ByteSource& contents) {
    const std::string path = TRY(entry_path(entry.name));
    const auto [above, name] = split_path(path);
    const int up = TRY(open_directory(above));
    if (name.empty()) {
      if (entry.type != EntryType::directory) return Error{ErrorCode::bad_request, "the root is no directory"};
      return add_directory(up, name, path, entry);
    }
    if (options.whiteouts && name.starts_with(kWhiteout)) return add_whiteout(up, name, entry);
    struct stat st {};
    bool opaque = false;
    if (::fstatat(up, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0) {
      const bool both_directories = S_ISDIR(st.st_mode) && entry.type == EntryType::directory;
      opaque = options.whiteouts && is_whiteout(st) && entry.type == EntryType::directory;
      if (!both_directories) {
        if (entry.type == EntryType::hard_link && TRY(entry_path(entry.link)) == path) return {};  // a link to itself
        replaced = true;
        TRY(remove_at(up, name));
        if (!S_ISREG(st.st_mode)) parent_path = "\1";  // a path that led here may lead elsewhere now
      }
    }
    switch (entry.type) {
      case EntryType::file:
        return add_file(up, name, entry, contents);
      case EntryType::directory: {
        TRY(add_directory(up, name, path, entry));
        if (opaque) return make_opaque(up, name);
        return {};
      }
      case EntryType::hard_link:
        return add_hard_link(up, name, entry);
      default:
        return add_special(up, name, entry);
    }
  }
};

Extractor::Extractor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Extractor::Extractor(Extractor&&) noexcept = default;
Extractor::~Extractor() = default;

Result<Extractor> Extractor::open(const std::string& directory, ExtractOptions options) {
  auto impl = std::make_unique<Impl>();
  impl->root.reset(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!impl->root) return errno_error("open " + directory);
  impl->options = options;
  return Extractor(std::move(impl));
}

Result<void> Extractor::add(const TarEntry& entry, const ByteSource& contents) {
  Result<void> added = impl_->add(entry, contents);
  if (added.ok()) return added;
  Error error = std::move(added).error();
  // What the archive asked for and the file system refused is the archive's fault, but for a full disk.
  if (error.code != ErrorCode::unavailable && error.code != ErrorCode::too_large) error.code = ErrorCode::bad_request;
  return std::move(error).in("archive entry \"" + entry.name.substr(0, 300) + "\"");
}

Result<void> Extractor::finish() {
  for (const Impl::DirectoryTime& one : impl_->directory_times) {
    const UniqueFd fd(open_in_root(impl_->root.get(), one.path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    if (!fd) continue;  // a later entry took its place
    const timespec times[2] = {one.mtime, one.mtime};
    if (::futimens(fd.get(), times) != 0) return errno_error("set times of " + one.path);
  }
  return {};
}

bool Extractor::replaced() const {
  return impl_->replaced;
}

}  // namespace caisson::content
