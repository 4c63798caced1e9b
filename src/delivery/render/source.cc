// SPDX-License-Identifier: Apache-2.0
// Trees of files on disk and in memory, and what kind of tree one is.
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <memory>

#include "core/base/file.h"
#include "delivery/render/kustomize/kustomization.h"
#include "delivery/render/render.h"

namespace caisson::render {
namespace {

constexpr std::size_t kFileBytesMax = 64u << 20;

Error too_large(const std::string& path) {
  return Error{ErrorCode::too_large, path + ": larger than " + std::to_string(kFileBytesMax >> 20) + " MiB"};
}

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};

// The kernel keeps an open below the root (openat2, Linux 5.6). Only where it would not, because a link is absolute, is
// the whole path looked up and compared.
class DiskSource final : public FileSource {
 public:
  explicit DiskSource(std::string root)
      : root_(std::move(root)), fd_(::open(root_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {}

  Result<std::string> read(const std::string& path) const override {
    const UniqueFd file = TRY(open_below(path));
    struct stat info {};
    if (::fstat(file.get(), &info) != 0) return errno_error(path);
    if (S_ISDIR(info.st_mode)) return Error{ErrorCode::bad_request, path + ": is a directory"};
    if (!S_ISREG(info.st_mode)) return Error{ErrorCode::bad_request, path + ": is no regular file"};
    if (static_cast<std::uint64_t>(info.st_size) > kFileBytesMax) return too_large(path);
    std::string out(static_cast<std::size_t>(info.st_size), '\0');
    std::size_t have = 0;
    for (;;) {
      if (have == out.size()) out.resize(have + 4096);  // one byte more than it says tells of its end
      const ssize_t got = ::read(file.get(), out.data() + have, out.size() - have);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return errno_error(path);
      have += static_cast<std::size_t>(got);
      if (have > kFileBytesMax) return too_large(path);
      if (got == 0 || (have == static_cast<std::size_t>(info.st_size) && info.st_size > 0)) break;
    }
    out.resize(have);
    return out;
  }

  Result<std::vector<Entry>> list(const std::string& directory) const override {
    UniqueFd fd = TRY(open_below(directory));
    const std::unique_ptr<DIR, CloseFolder> folder(::fdopendir(fd.get()));
    if (!folder) return errno_error(directory);
    fd.release();
    std::vector<Entry> entries;
    while (const dirent* entry = ::readdir(folder.get())) {
      const std::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      bool is_folder = entry->d_type == DT_DIR;
      if (entry->d_type == DT_LNK || entry->d_type == DT_UNKNOWN) {
        struct stat info {};
        is_folder = ::fstatat(::dirfd(folder.get()), entry->d_name, &info, 0) == 0 && S_ISDIR(info.st_mode);
      }
      entries.push_back({std::string(name), is_folder});
    }
    std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.name < b.name; });
    return entries;
  }

 private:
  Result<UniqueFd> open_below(const std::string& path) const {
    if (!fd_) return Error{ErrorCode::not_found, root_ + ": no such directory"};
    open_how how{};
    how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
    how.resolve = RESOLVE_BENEATH;
    const std::size_t start = std::min(path.find_first_not_of('/'), path.size());
    const char* below = start == path.size() ? "." : path.c_str() + start;
    UniqueFd file(static_cast<int>(::syscall(SYS_openat2, fd_.get(), below, &how, sizeof how)));
    if (file) return file;
    if (errno != EXDEV && errno != ENOSYS && errno != EPERM && errno != EAGAIN) return errno_error(path);
    const std::string full = TRY(resolve(path));
    file.reset(::open(full.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!file) return errno_error(path);
    return file;
  }

  // The real place of `path`, which must lie below the real place of the root.
  Result<std::string> resolve(const std::string& path) const {
    const std::string root = TRY(real(root_, "."));
    const std::string full = TRY(real(path_join(root_, path), path));
    if (full != root && !full.starts_with(root == "/" ? root : root + "/")) {
      return Error{ErrorCode::forbidden, path + ": leads out of the directory"};
    }
    return full;
  }

  static Result<std::string> real(const std::string& path, const std::string& shown) {
    char resolved[PATH_MAX];
    if (::realpath(path.c_str(), resolved) == nullptr) return errno_error(shown);
    return std::string(resolved);
  }

  std::string root_;
  UniqueFd fd_;  // of the root, at the time when the source was made
};

}  // namespace

std::unique_ptr<FileSource> disk_source(std::string root) {
  return std::make_unique<DiskSource>(std::move(root));
}

Result<std::string> MemorySource::read(const std::string& path) const {
  const auto found = files_.find(path_clean(path));
  if (found == files_.end()) return Error{ErrorCode::not_found, path + ": no such file"};
  return found->second;
}

Result<std::vector<FileSource::Entry>> MemorySource::list(const std::string& directory) const {
  const std::string clean = path_clean(directory);
  const std::string prefix = clean == "." ? "" : clean + "/";
  std::map<std::string, bool> names;
  for (auto at = files_.lower_bound(prefix); at != files_.end() && at->first.starts_with(prefix); ++at) {
    const std::string rest = at->first.substr(prefix.size());
    const std::size_t slash = rest.find('/');
    names[rest.substr(0, slash)] |= slash != std::string::npos;
  }
  if (names.empty()) return Error{ErrorCode::not_found, directory + ": no such directory"};
  std::vector<Entry> entries;
  for (const auto& [name, is_directory] : names) entries.push_back({name, is_directory});
  return entries;
}

Result<Kind> detect(const FileSource& source, const std::string& path) {
  const std::vector<FileSource::Entry> entries = TRY(source.list(path));
  Kind kind = Kind::directory;
  for (const FileSource::Entry& entry : entries) {
    if (entry.directory) continue;
    if (kustomize_impl::is_kustomization_name(entry.name)) return Kind::kustomize;
    if (entry.name == "Chart.yaml") kind = Kind::helm;
  }
  return kind;
}

}  // namespace caisson::render
