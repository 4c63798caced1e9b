// SPDX-License-Identifier: Apache-2.0
#include "artifact/build/copier.h"

#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>

#include "artifact/container/spec.h"
#include "artifact/content/tree_tar.h"
#include "core/base/file.h"
#include "core/base/text.h"

namespace caisson::build {
namespace {

Error not_found(std::string_view path) {
  return Error{ErrorCode::not_found, "\"/" + std::string(path) + "\": not found"};
}

// "a/./b", "/a", "../a" as a path in a root.
std::string in_root(std::string_view path) {
  std::string clean = path_clean("/" + std::string(path));
  return clean.substr(1);
}

void walk_matches(const std::string& root, const std::string& at, std::string_view pattern,
                  std::vector<std::string>& out) {
  const std::size_t slash = pattern.find('/');
  const std::string_view part = pattern.substr(0, slash);
  const Result<std::string> host = container::resolve_in_root(root, at);
  if (!host.ok()) return;
  const Result<std::vector<std::string>> names = list_dir(*host);
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    if (!matches_name(part, name)) continue;
    const std::string path = at.empty() ? name : at + "/" + name;
    if (slash == std::string_view::npos)
      out.push_back(path);
    else
      walk_matches(root, path, pattern.substr(slash + 1), out);
  }
}

void walk_deep(const std::string& root, const std::string& at, std::string_view pattern,
               std::vector<std::string>& out) {
  const std::string host = at.empty() ? root : root + "/" + at;
  const Result<std::vector<std::string>> names = list_dir(host);
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    const std::string path = at.empty() ? name : at + "/" + name;
    struct stat st {};
    if (::lstat((root + "/" + path).c_str(), &st) != 0) continue;
    if (matches_path(pattern, path))
      out.push_back(path);
    else if (S_ISDIR(st.st_mode))
      walk_deep(root, path, pattern, out);
  }
}

constexpr unsigned kUser = 0700, kGroup = 070, kOther = 07;

}  // namespace

Result<ModeChange> ModeChange::parse(std::string_view text) {
  const Error bad{ErrorCode::invalid, "invalid chmod parameter: '" + std::string(text) +
                                          "'. it should be octal string and between 0 and 07777"};
  ModeChange out;
  if (text.empty()) return bad;
  if (text[0] >= '0' && text[0] <= '9') {
    unsigned mode = 0;
    for (const char c : text) {
      if (c < '0' || c > '7') return bad;
      mode = mode * 8 + static_cast<unsigned>(c - '0');
      if (mode > 07777) return bad;
    }
    out.octal_ = mode;
    return out;
  }
  for (const std::string_view one : split(text, ',')) {
    Clause clause;
    std::size_t i = 0;
    for (; i < one.size() && std::string_view("ugoa").find(one[i]) != std::string_view::npos; ++i) {
      clause.who |= one[i] == 'u' ? kUser : one[i] == 'g' ? kGroup : one[i] == 'o' ? kOther : 0777;
    }
    if (clause.who == 0) clause.who = 0777;
    if (i >= one.size()) return bad;
    while (i < one.size()) {
      if (std::string_view("+-=").find(one[i]) == std::string_view::npos) return bad;
      clause.op = one[i++];
      clause.bits.clear();
      while (i < one.size() && std::string_view("rwxXstugo").find(one[i]) != std::string_view::npos)
        clause.bits += one[i++];
      out.clauses_.push_back(clause);
    }
  }
  return out;
}

unsigned ModeChange::apply(unsigned mode, bool is_directory) const {
  if (octal_) return *octal_;
  for (const Clause& clause : clauses_) {
    unsigned bits = 0;
    for (const char c : clause.bits) {
      const unsigned copied = c == 'u' ? mode >> 6 & 7 : c == 'g' ? mode >> 3 & 7 : c == 'o' ? mode & 7 : 0;
      bits |= (copied | copied << 3 | copied << 6) & clause.who;
      if (c == 'r') bits |= 0444 & clause.who;
      if (c == 'w') bits |= 0222 & clause.who;
      if (c == 'x' || (c == 'X' && (is_directory || (mode & 0111) != 0))) bits |= 0111 & clause.who;
      if (c == 's') bits |= ((clause.who & kUser) ? 04000u : 0u) | ((clause.who & kGroup) ? 02000u : 0u);
      if (c == 't') bits |= 01000;
    }
    if (clause.op == '+') mode |= bits;
    if (clause.op == '-') mode &= ~bits;
    if (clause.op == '=') mode = (mode & ~clause.who) | bits;
  }
  return mode & 07777;
}

Result<std::vector<Source>> find_sources(const std::string& root, std::string_view pattern, bool parents) {
  // With --parents, "./" inside the pattern marks where the kept part begins.
  std::string pivot;
  if (parents) {
    std::string_view text = pattern;
    while (text.starts_with("./")) text.remove_prefix(2);
    if (const std::size_t dot = text.find("/./"); dot != std::string_view::npos)
      pivot = in_root(text.substr(0, dot)) + "/";
  }
  const std::string clean = in_root(pattern);
  std::vector<std::string> paths;
  if (!has_wildcards(clean)) {
    paths.push_back(clean);
  } else if (parents && clean.find("**") != std::string::npos) {
    walk_deep(root, "", clean, paths);
  } else {
    if (!is_valid_pattern(clean)) return Error{ErrorCode::bad_request, "\"" + clean + "\": syntax error in pattern"};
    walk_matches(root, "", clean, paths);
  }
  std::vector<Source> out;
  for (const std::string& path : paths) {
    Source source;
    source.path = path;
    source.host = TRY(container::resolve_in_root(root, path));
    struct stat st {};
    if (::lstat(source.host.c_str(), &st) != 0) return not_found(path);
    source.kept = path.starts_with(pivot) ? path.substr(pivot.size()) : path;
    out.push_back(std::move(source));
  }
  return out;
}

namespace {

void hash_text(content::Hasher& hasher, std::string_view text) {
  hasher.update(std::to_string(text.size()));
  hasher.update(":");
  hasher.update(text);
}

Result<void> hash_entry(const std::string& host, const std::string& path, const std::string& name,
                        const CopyRules& rules, content::Hasher& hasher) {
  if (!rules.exclude.empty() && !name.empty() && !rules.exclude.brings_back() && rules.exclude.ignores(path)) return {};
  struct stat st {};
  if (::lstat(host.c_str(), &st) != 0) return errno_error("stat " + host);
  hash_text(hasher, name);
  hash_text(hasher, std::to_string(st.st_mode) + " " + std::to_string(st.st_rdev) +
                        (rules.owner ? "" : " " + std::to_string(st.st_uid) + " " + std::to_string(st.st_gid)));
  if (!S_ISLNK(st.st_mode)) {
    for (const auto& [key, value] : content::read_layer_xattrs(host)) {
      hash_text(hasher, key);
      hash_text(hasher, value);
    }
  }
  if (S_ISLNK(st.st_mode)) {
    std::string target(4097, '\0');
    const ssize_t n = ::readlink(host.c_str(), target.data(), target.size());
    if (n < 0) return errno_error("read link " + host);
    hash_text(hasher, target.substr(0, static_cast<std::size_t>(n)));
  } else if (S_ISREG(st.st_mode)) {
    hash_text(hasher, std::to_string(st.st_size));
    const UniqueFd fd(::open(host.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return errno_error("open " + host);
    std::string piece(1u << 20, '\0');
    for (;;) {
      const ssize_t n = ::read(fd.get(), piece.data(), piece.size());
      if (n < 0) return errno_error("read " + host);
      if (n == 0) break;
      hasher.update(std::string_view(piece.data(), static_cast<std::size_t>(n)));
    }
  } else if (S_ISDIR(st.st_mode)) {
    for (const std::string& below : TRY(list_dir(host))) {
      TRY(hash_entry(host + "/" + below, path.empty() ? below : path + "/" + below, name + "/" + below, rules, hasher));
    }
  }
  return {};
}

}  // namespace

Result<void> hash_source(const Source& source, const CopyRules& rules, content::Hasher& hasher) {
  hash_text(hasher, source.path);
  return hash_entry(source.host, "", "", rules, hasher);
}

Result<std::string> Copier::place(const std::string& target) {
  return container::resolve_in_root(root_, target);
}

bool Copier::is_directory_at(const std::string& target) const {
  const Result<std::string> host = container::resolve_in_root(root_, target);
  struct stat st {};
  return host.ok() && ::lstat(host->c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}

Result<std::string> Copier::make_directory(const std::string& target) {
  std::string at;
  const std::string clean = path_clean("/" + target);
  for (const std::string_view part : split(clean, '/')) {
    if (part.empty()) continue;
    at += "/" + std::string(part);
    const std::string host = TRY(place(at));
    struct stat st {};
    if (::lstat(host.c_str(), &st) == 0) {
      if (!S_ISDIR(st.st_mode)) return Error{ErrorCode::bad_request, "mkdir " + at + ": not a directory"};
      continue;
    }
    TRY(make_dirs(host));  // a link may lead to where more than one folder is missing
    const Owner owner = rules_.owner.value_or(Owner{});
    if (::chown(host.c_str(), owner.uid, owner.gid) != 0) return errno_error("chown " + at);
    if (::chmod(host.c_str(), 0755) != 0) return errno_error("chmod " + at);
  }
  return place(target);
}

Result<void> Copier::make_way(const std::string& to, const std::string& shown) {
  struct stat st {};
  if (::lstat(to.c_str(), &st) != 0) return {};
  if (S_ISDIR(st.st_mode)) return Error{ErrorCode::bad_request, "cannot replace to directory " + shown + " with file"};
  return remove_file(to);
}

Result<void> Copier::set_attributes(const std::string& to, const struct stat& st) {
  const Owner owner = rules_.owner.value_or(Owner{st.st_uid, st.st_gid});
  if (::lchown(to.c_str(), owner.uid, owner.gid) != 0) return errno_error("chown " + to);
  if (!S_ISLNK(st.st_mode)) {
    const unsigned mode = st.st_mode & 07777;
    const unsigned wanted = rules_.chmod ? rules_.chmod->apply(mode, S_ISDIR(st.st_mode)) : mode;
    if (::chmod(to.c_str(), wanted) != 0) return errno_error("chmod " + to);
  }
  const timespec times[2] = {{st.st_mtim.tv_sec, 0}, {st.st_mtim.tv_sec, 0}};
  if (::utimensat(AT_FDCWD, to.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) return errno_error("set times of " + to);
  return {};
}

Result<void> Copier::copy_file(const std::string& from, const struct stat& st, const std::string& to) {
  if (st.st_nlink > 1) {
    const auto [first, is_new] = links_.try_emplace({st.st_dev, st.st_ino}, to);
    if (!is_new) {
      if (::link(first->second.c_str(), to.c_str()) == 0) return {};
      if (errno != EXDEV && errno != EPERM) return errno_error("link " + to);
    }
  }
  const UniqueFd in(::open(from.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!in) return errno_error("open " + from);
  const UniqueFd out(::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!out) return errno_error("create " + to);
  for (;;) {  // in the kernel where the file system can, which shares blocks on some
    const ssize_t n = ::copy_file_range(in.get(), nullptr, out.get(), nullptr, 1u << 30, 0);
    if (n == 0) break;
    if (n > 0) continue;
    if (errno != EXDEV && errno != EINVAL && errno != EOPNOTSUPP && errno != ENOSYS)
      return errno_error("copy to " + to);
    std::string piece(1u << 20, '\0');
    for (;;) {
      const ssize_t got = ::read(in.get(), piece.data(), piece.size());
      if (got < 0) return errno_error("read " + from);
      if (got == 0) break;
      TRY(write_all(out.get(), std::string_view(piece.data(), static_cast<std::size_t>(got))));
    }
    break;
  }
  TRY(set_attributes(to, st));
  for (const auto& [name, value] : content::read_layer_xattrs(from)) {  // last: a change of owner clears capabilities
    if (::setxattr(to.c_str(), name.c_str(), value.data(), value.size(), 0) != 0 && errno != ENOTSUP)
      return errno_error("set " + name);
  }
  return {};
}

Result<void> Copier::copy_directory(const std::string& from, const std::string& path, const std::string& to,
                                    const std::string& shown, bool top) {
  struct stat st {
  }, there{};
  if (::lstat(from.c_str(), &st) != 0) return errno_error("stat " + from);
  const bool exists_already = ::lstat(to.c_str(), &there) == 0;
  if (exists_already && !S_ISDIR(there.st_mode))
    return Error{ErrorCode::bad_request, "cannot copy to non-directory: " + shown};
  if (!exists_already && ::mkdir(to.c_str(), 0755) != 0) return errno_error("mkdir " + shown);
  for (const std::string& name : TRY(list_dir(from))) {
    TRY(copy_entry(from + "/" + name, path.empty() ? name : path + "/" + name, to + "/" + name, shown + "/" + name));
  }
  if (top) return {};  // the contents are copied, not the folder
  return set_attributes(to, st);
}

Result<void> Copier::copy_entry(const std::string& from, const std::string& path, const std::string& to,
                                const std::string& shown) {
  struct stat st {};
  if (::lstat(from.c_str(), &st) != 0) return errno_error("stat " + from);
  const bool excluded = !path.empty() && !rules_.exclude.empty() && rules_.exclude.ignores(path);
  if (excluded && !(S_ISDIR(st.st_mode) && rules_.exclude.brings_back())) return {};
  if (S_ISDIR(st.st_mode)) {
    const bool was_there = exists(to);
    TRY(copy_directory(from, path, to, shown, false));
    if (excluded && !was_there) ::rmdir(to.c_str());  // stays when something in it was brought back
    return {};
  }
  TRY(make_way(to, shown));
  if (S_ISREG(st.st_mode)) return copy_file(from, st, to);
  if (S_ISLNK(st.st_mode)) {
    std::string target(4097, '\0');
    const ssize_t n = ::readlink(from.c_str(), target.data(), target.size());
    if (n < 0) return errno_error("read link " + from);
    target.resize(static_cast<std::size_t>(n));
    if (::symlink(target.c_str(), to.c_str()) != 0) return errno_error("link " + shown);
  } else if (S_ISSOCK(st.st_mode)) {
    return {};  // no image can hold one
  } else if (::mknod(to.c_str(), st.st_mode & (S_IFMT | 0777), st.st_rdev) != 0) {
    return errno_error("make " + shown);
  }
  return set_attributes(to, st);
}

Result<void> Copier::copy(const Source& source, const std::string& target) {
  struct stat st {};
  if (::lstat(source.host.c_str(), &st) != 0) return not_found(source.path);
  if (S_ISDIR(st.st_mode)) {
    const std::string existing = TRY(place(target));
    struct stat there {};
    if (::lstat(existing.c_str(), &there) == 0 && !S_ISDIR(there.st_mode)) {
      return Error{ErrorCode::bad_request, "cannot copy to non-directory: " + target};
    }
    const bool made = ::lstat(existing.c_str(), &there) != 0;
    const std::string to = TRY(make_directory(target));
    TRY(copy_directory(source.host, "", to, target == "/" ? "" : target, true));
    if (made && rules_.chmod && ::chmod(to.c_str(), rules_.chmod->apply(0755, true)) != 0)
      return errno_error("chmod " + target);
    return {};
  }
  TRY(make_directory(path_dir(target)));
  const std::string to = TRY(place(target));
  return copy_entry(source.host, "", to, target);
}

Result<void> Copier::copy_parents(const std::string& root, const Source& source, const std::string& destination) {
  const std::string above = source.path.substr(0, source.path.size() - source.kept.size());
  std::string at;
  const std::string kept_dir = path_dir(source.kept);
  for (const std::string_view part : split(kept_dir, '/')) {
    if (part.empty() || part == ".") continue;
    at += (at.empty() ? "" : "/") + std::string(part);
    const std::string target = destination + "/" + at;
    if (is_directory_at(target)) continue;
    const std::string from = TRY(container::resolve_in_root(root, above + at));
    const std::string to = TRY(make_directory(target));
    struct stat st {};
    if (::lstat(from.c_str(), &st) != 0) return errno_error("stat " + from);
    TRY(set_attributes(to, st));
  }
  return {};
}

Result<void> Copier::write(const std::string& target, std::string_view contents, unsigned mode,
                           std::optional<std::int64_t> mtime_s) {
  TRY(make_directory(path_dir(target)));
  const std::string to = TRY(place(target));
  TRY(make_way(to, target));
  TRY(write_file_unsynced(to, contents, 0600));
  struct stat st {};
  if (::lstat(to.c_str(), &st) != 0) return errno_error("stat " + target);
  st.st_mode = S_IFREG | mode;
  if (mtime_s) st.st_mtim.tv_sec = *mtime_s;
  return set_attributes(to, st);
}

}  // namespace caisson::build
