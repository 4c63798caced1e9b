// SPDX-License-Identifier: Apache-2.0
#include "artifact/build/context.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>

#include "artifact/build/glob.h"
#include "artifact/content/tar.h"
#include "core/base/file.h"
#include "core/base/hash.h"

namespace caisson::build {
namespace {

constexpr std::size_t kPieceBytes = 256u << 10;

Result<void> walk(const std::string& root, const std::string& below, const IgnoreRules& rules, const std::string& kept,
                  std::vector<std::string>& names) {
  for (const std::string& name : TRY(list_dir(path_join(root, below)))) {
    const std::string path = below.empty() ? name : below + "/" + name;
    struct stat info {};
    if (::lstat(path_join(root, path).c_str(), &info) != 0) return errno_error("read " + path);
    const bool ignored = rules.ignores(path) && path != kept;  // the Dockerfile is always sent
    if (S_ISDIR(info.st_mode)) {
      if (ignored && !rules.brings_back() && !kept.starts_with(path + "/")) continue;
      if (!ignored) names.push_back(path);
      TRY(walk(root, path, rules, kept, names));
    } else if (!ignored && (S_ISREG(info.st_mode) || S_ISLNK(info.st_mode))) {
      names.push_back(path);
    }
  }
  return {};
}

Result<content::TarEntry> entry_of(const std::string& root, const std::string& name) {
  const std::string path = path_join(root, name);
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return errno_error("read " + name);
  content::TarEntry entry;
  entry.name = name;
  entry.mode = info.st_mode & 07777;
  entry.mtime_s = info.st_mtime;  // kept: nginx makes its ETag from it
  if (S_ISDIR(info.st_mode)) {
    entry.type = content::EntryType::directory;
    entry.name += "/";
  } else if (S_ISLNK(info.st_mode)) {
    entry.type = content::EntryType::symlink;
    char target[4096];
    const ssize_t length = ::readlink(path.c_str(), target, sizeof target);
    if (length < 0) return errno_error("read link " + name);
    entry.link.assign(target, static_cast<std::size_t>(length));
  } else {
    entry.size_bytes = static_cast<std::uint64_t>(info.st_size);
  }
  return entry;
}

// Gives the tar piece by piece.
class Streamer {
 public:
  Streamer(const std::string& root, const std::vector<std::string>& names) : root_(root), names_(names) {}

  Result<std::string> next() {
    if (left_ > 0) return contents();
    std::string out;
    while (out.size() < kPieceBytes && left_ == 0 && at_ < names_.size()) {
      const content::TarEntry entry = TRY(entry_of(root_, names_[at_++]));
      content::append_header(out, entry);
      if (entry.size_bytes == 0) continue;
      file_.reset(::open(path_join(root_, entry.name).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
      if (!file_) return errno_error("open " + entry.name);
      left_ = entry.size_bytes;
      padding_ = content::padding_bytes(entry.size_bytes);
    }
    if (out.empty() && !ended_) {
      ended_ = true;
      out.assign(content::kTrailerBytes, '\0');
    }
    return out;
  }

 private:
  Result<std::string> contents() {
    std::string piece(std::min<std::uint64_t>(left_, kPieceBytes), '\0');
    const ssize_t got = ::read(file_.get(), piece.data(), piece.size());
    if (got < 0) return errno_error("read " + names_[at_ - 1]);
    if (got == 0) return Error{ErrorCode::conflict, names_[at_ - 1] + " became shorter while it was sent"};
    piece.resize(static_cast<std::size_t>(got));
    left_ -= static_cast<std::uint64_t>(got);
    if (left_ == 0) piece.append(padding_, '\0');
    return piece;
  }

  const std::string& root_;
  const std::vector<std::string>& names_;
  std::size_t at_ = 0, padding_ = 0;
  std::uint64_t left_ = 0;
  UniqueFd file_;
  bool ended_ = false;
};

}  // namespace

Result<Context> Context::open(const std::string& directory, const std::string& dockerfile) {
  if (!is_directory(directory)) return Error{ErrorCode::not_found, "the context " + directory + " is no directory"};
  const std::string kept = path_clean(dockerfile);
  if (!exists(path_join(directory, kept))) {
    return Error{ErrorCode::not_found,
                 "no Dockerfile '" + dockerfile + "' in the context " + directory + "; name it with --dockerfile"};
  }
  IgnoreRules rules;
  for (const std::string& name : {kept + ".dockerignore", std::string(".dockerignore")}) {
    if (!exists(path_join(directory, name))) continue;
    const std::string text = TRY(read_file(path_join(directory, name), 1 << 20));
    rules = TRY(IgnoreRules::parse(text).in(name));
    break;
  }
  Context context;
  context.directory_ = directory;
  TRY(walk(directory, "", rules, kept, context.names_));
  return context;
}

content::ByteSource Context::stream() const {
  return [streamer = std::make_shared<Streamer>(directory_, names_)] { return streamer->next(); };
}

Result<Context::Summary> Context::summary() const {
  Sha256 hash;
  Summary summary;
  summary.files = names_.size();
  const content::ByteSource next = stream();
  for (;;) {
    const std::string piece = TRY(next());
    if (piece.empty()) break;
    hash.update(piece);
    summary.size_bytes += piece.size();
  }
  summary.digest = TRY(content::Digest::parse("sha256:" + hash.finish_hex()));
  return summary;
}

}  // namespace caisson::build
