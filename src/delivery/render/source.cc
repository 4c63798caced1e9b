// SPDX-License-Identifier: Apache-2.0
// Trees of files on disk and in memory, and what kind of tree one is.
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <set>

#include "core/base/file.h"
#include "delivery/render/kustomize/kustomization.h"
#include "delivery/render/render.h"

namespace caisson::render {
namespace {

class DiskSource final : public FileSource {
 public:
  explicit DiskSource(std::string root) : root_(std::move(root)), real_root_(real(root_, ".")) {}

  Result<std::string> read(const std::string& path) const override {
    const std::string full = TRY(resolve(path));
    if (is_directory(full)) return Error{ErrorCode::bad_request, path + ": is a directory"};
    return read_file(full).in(path);
  }

  Result<std::vector<Entry>> list(const std::string& directory) const override {
    const std::string full = TRY(resolve(directory));
    const std::vector<std::string> names = TRY(list_dir(full));
    std::vector<Entry> entries;
    for (const std::string& name : names) entries.push_back({name, is_directory(path_join(full, name))});
    return entries;
  }

 private:
  // The real place of `path`, which must lie below the real place of the root.
  Result<std::string> resolve(const std::string& path) const {
    const std::string root = TRY(Result<std::string>(real_root_));
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
  Result<std::string> real_root_;  // at the time when the source was made
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
