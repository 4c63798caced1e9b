// SPDX-License-Identifier: Apache-2.0
#include "artifact/content/tree_tar.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "artifact/content/tar.h"
#include "core/base/text.h"

namespace caisson::content {
namespace {

class Walk {
 public:
  Walk(std::string root, std::uint64_t entries_max, const std::function<void(std::string_view)>& raw)
      : root_(std::move(root)), entries_max_(entries_max), raw_(raw) {}

  Result<void> directory(const std::string& path) {
    if (is_opaque(host(path))) {
      TarEntry mark;
      mark.name = (path.empty() ? "" : path + "/") + ".wh..wh..opq";
      header(mark);
    }
    for (const std::string& name : TRY(list_dir(host(path)))) {
      TRY(entry(path.empty() ? name : path + "/" + name, name));
    }
    return {};
  }

  TreeTar finish() {
    emit(std::string(kTrailerBytes, '\0'));
    return TreeTar{hasher_.finish(), size_};
  }

 private:
  std::string host(const std::string& path) const { return path.empty() ? root_ : root_ + "/" + path; }

  static bool is_opaque(const std::string& path) {
    char value[2] = {};
    return ::lgetxattr(path.c_str(), "trusted.overlay.opaque", value, sizeof value) == 1 && value[0] == 'y';
  }

  void emit(std::string_view bytes) {
    hasher_.update(bytes);
    size_ += bytes.size();
    raw_(bytes);
  }
  void header(const TarEntry& entry) {
    std::string out;
    append_header(out, entry);
    emit(out);
  }

  Result<void> entry(const std::string& path, const std::string& name) {
    if (++entries_ > entries_max_)
      return Error{ErrorCode::too_large, "a layer of more than " + std::to_string(entries_max_) + " entries"};
    struct stat st {};
    if (::lstat(host(path).c_str(), &st) != 0) return errno_error("stat " + host(path));
    TarEntry e;
    e.name = path;
    if (S_ISCHR(st.st_mode) && st.st_rdev == 0) {  // all whiteouts of a mount may be one inode: never hard links
      e.name = path.substr(0, path.size() - name.size()) + ".wh." + name;
      header(e);
      return {};
    }
    if (S_ISSOCK(st.st_mode)) return remove_file(host(path));
    e.mode = st.st_mode & 07777;
    e.uid = st.st_uid;
    e.gid = st.st_gid;
    e.mtime_s = st.st_mtim.tv_sec;
    if (!S_ISDIR(st.st_mode) && st.st_nlink > 1) {
      const auto [first, is_new] = links_.try_emplace({st.st_dev, st.st_ino}, path);
      if (!is_new) {
        e.type = EntryType::hard_link;
        e.link = first->second;
        header(e);
        return {};
      }
    }
    if (!S_ISLNK(st.st_mode)) e.xattrs = read_layer_xattrs(host(path));
    if (S_ISREG(st.st_mode)) return file(e, static_cast<std::uint64_t>(st.st_size));
    if (S_ISDIR(st.st_mode)) {
      e.type = EntryType::directory;
      e.name += "/";
      header(e);
      return directory(path);
    }
    if (S_ISLNK(st.st_mode)) {
      std::string target(4097, '\0');
      const ssize_t n = ::readlink(host(path).c_str(), target.data(), target.size());
      if (n < 0) return errno_error("read link " + host(path));
      e.type = EntryType::symlink;
      e.link = target.substr(0, static_cast<std::size_t>(n));
      e.mode = 0777;
    } else {
      e.type = S_ISCHR(st.st_mode)   ? EntryType::char_device
               : S_ISBLK(st.st_mode) ? EntryType::block_device
                                     : EntryType::fifo;
      e.device_major = major(st.st_rdev);
      e.device_minor = minor(st.st_rdev);
    }
    header(e);
    return {};
  }

  Result<void> file(TarEntry& e, std::uint64_t size) {
    e.size_bytes = size;
    header(e);
    if (size == 0) return {};
    const std::string path = host(e.name);
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) return errno_error("open " + path);
    buffer_.resize(1u << 20);
    std::uint64_t left = size;
    while (left > 0) {
      const ssize_t n = ::read(fd.get(), buffer_.data(), std::min<std::uint64_t>(buffer_.size(), left));
      if (n < 0) return errno_error("read " + path);
      if (n == 0) return Error{ErrorCode::conflict, path + " became shorter while it was read"};
      hasher_.update(std::string_view(buffer_.data(), static_cast<std::size_t>(n)));
      size_ += static_cast<std::uint64_t>(n);
      left -= static_cast<std::uint64_t>(n);
    }
    emit(std::string(padding_bytes(size), '\0'));
    return {};
  }

  std::string root_;
  const std::uint64_t entries_max_;
  std::uint64_t entries_ = 0;
  const std::function<void(std::string_view)>& raw_;
  Hasher hasher_;
  std::uint64_t size_ = 0;
  std::map<std::pair<dev_t, ino_t>, std::string> links_;
  std::string buffer_;
};

}  // namespace

std::vector<std::pair<std::string, std::string>> read_layer_xattrs(const std::string& path) {
  std::vector<std::pair<std::string, std::string>> out;
  std::string names(64u << 10, '\0');
  const ssize_t length = ::llistxattr(path.c_str(), names.data(), names.size());
  if (length <= 0) return out;  // none, or a file system without them
  names.resize(static_cast<std::size_t>(length));
  for (const std::string_view name : split(names, '\0')) {
    if (name != "security.capability" && (!name.starts_with("user.") || name.starts_with("user.overlay."))) continue;
    std::string value(64u << 10, '\0');
    const ssize_t size = ::lgetxattr(path.c_str(), std::string(name).c_str(), value.data(), value.size());
    if (size < 0) continue;
    value.resize(static_cast<std::size_t>(size));
    out.emplace_back(std::string(name), std::move(value));
  }
  std::sort(out.begin(), out.end());
  return out;
}

Result<TreeTar> hash_tree_tar(const std::string& directory, std::uint64_t entries_max,
                              const std::function<void(std::string_view)>& raw) {
  Walk walk(directory, entries_max, raw);
  TRY(walk.directory(""));
  return walk.finish();
}

Result<UniqueFd> open_tree_file(int tree, const std::string& path) {
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  UniqueFd fd(static_cast<int>(::syscall(SYS_openat2, tree, path.c_str(), &how, sizeof how)));
  if (!fd) return errno_error("open " + path);
  struct stat st {};
  if (::fstat(fd.get(), &st) != 0 || !S_ISREG(st.st_mode))
    return Error{ErrorCode::internal, path + " is no regular file"};
  return fd;
}

}  // namespace caisson::content
