// SPDX-License-Identifier: Apache-2.0
// Repository: reading commits, trees and blobs through libgit2, which is opened on first use (a table of symbols): the
// program starts without it.
#include <dlfcn.h>
#include <git2.h>

#include <algorithm>
#include <mutex>

#include "core/base/file.h"
#include "core/base/text.h"
#include "delivery/git/repositories.h"

namespace caisson::git {
namespace {

#define CAISSON_LIBGIT2(X)                                                                                             \
  X(libgit2_init)                                                                                                      \
  X(libgit2_opts)                                                                                                      \
  X(error_last)                                                                                                        \
  X(repository_open_bare) X(repository_free) X(revparse_single) X(object_peel) X(object_free) X(object_id)             \
      X(object_lookup) X(oid_fromstrn) X(oid_tostr) X(oid_cmp) X(commit_lookup) X(commit_free) X(commit_message)       \
          X(commit_author) X(commit_committer) X(commit_tree) X(commit_parentcount) X(commit_parent_id) X(commit_time) \
              X(tree_free) X(tree_lookup) X(tree_id) X(tree_entrycount) X(tree_entry_byindex) X(tree_entry_bypath)     \
                  X(tree_entry_free) X(tree_entry_name) X(tree_entry_id) X(tree_entry_filemode) X(blob_lookup)         \
                      X(blob_free) X(blob_rawcontent) X(blob_rawsize) X(revwalk_new) X(revwalk_free) X(revwalk_push)   \
                          X(revwalk_hide) X(revwalk_next) X(revwalk_sorting) X(reference_lookup) X(reference_free)     \
                              X(reference_name) X(reference_target) X(reference_type) X(reference_symbolic_target)     \
                                  X(reference_iterator_new) X(reference_next) X(reference_iterator_free)               \
                                      X(graph_descendant_of)

struct Libgit2 {
#define X(name) decltype(&git_##name) name = nullptr;
  CAISSON_LIBGIT2(X)
#undef X
};

// Owns an object of the library: Owned<git_tree> tree(lib.tree_free).
template <class T>
class Owned {
 public:
  explicit Owned(void (*free)(T*)) : free_(free) {}
  Owned(Owned&& other) noexcept : free_(other.free_), object_(std::exchange(other.object_, nullptr)) {}
  Owned& operator=(Owned&& other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Owned() {
    if (object_ != nullptr) free_(object_);
  }
  T** out() { return &object_; }
  T* get() const { return object_; }

 private:
  void (*free_)(T*);
  T* object_ = nullptr;
};

// The structures that we share with the library (oid, signature, time) are the same in these versions.
constexpr const char* kNames[] = {"libgit2.so.1.5", "libgit2.so.1.6", "libgit2.so.1.7", "libgit2.so.1.8",
                                  "libgit2.so.1.9"};

// Of one tree; a handle's cache goes with it, and all of them together hold libgit2's 256 MB at most.
constexpr std::size_t kCachedTreeBytesMax = 4u << 20;

Result<const Libgit2*> load() {
  void* handle = nullptr;
  for (const char* name : kNames) {
    if ((handle = dlopen(name, RTLD_NOW | RTLD_LOCAL)) != nullptr) break;
  }
  if (handle == nullptr) return Error{ErrorCode::unavailable, "libgit2 is not installed (Debian: libgit2-1.5)"};
  static Libgit2 lib;
  const char* missing = nullptr;
#define X(name)                                                                 \
  lib.name = reinterpret_cast<decltype(lib.name)>(dlsym(handle, "git_" #name)); \
  if (lib.name == nullptr) missing = "git_" #name;
  CAISSON_LIBGIT2(X)
#undef X
  if (missing != nullptr) return Error{ErrorCode::unavailable, std::string("libgit2 lacks ") + missing};
  lib.libgit2_init();
  // A folder of a thousand others is a tree beyond the 4 kB that are kept by default: it would be inflated and parsed
  // for each file below it.
  lib.libgit2_opts(GIT_OPT_SET_CACHE_OBJECT_LIMIT, GIT_OBJECT_TREE, kCachedTreeBytesMax);
  // What we read is ours to read, whoever owns the files; and the host's configuration has no say.
  lib.libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
  for (const int level :
       {GIT_CONFIG_LEVEL_SYSTEM, GIT_CONFIG_LEVEL_XDG, GIT_CONFIG_LEVEL_GLOBAL, GIT_CONFIG_LEVEL_PROGRAMDATA})
    lib.libgit2_opts(GIT_OPT_SET_SEARCH_PATH, level, "");
  return static_cast<const Libgit2*>(&lib);
}

// Errors: unavailable when the library is not installed.
Result<const Libgit2*> libgit2() {
  static const Result<const Libgit2*> loaded = load();
  return loaded;
}

// The library's last words on this thread.
Error libgit2_error(const Libgit2& lib, int code, std::string_view doing) {
  const git_error* last = lib.error_last();
  const std::string why = last != nullptr && last->message != nullptr ? last->message : "unknown error";
  const bool absent = code == GIT_ENOTFOUND || code == GIT_EUNBORNBRANCH || code == GIT_EINVALIDSPEC;
  return Error{absent ? ErrorCode::not_found : ErrorCode::internal, std::string(doing) + ": " + why};
}

}  // namespace

struct Repository::Impl {
  std::string path, name;
  const Libgit2& lib;
  std::mutex mutex;  // a handle serves one thread at a time
  Owned<git_repository> handle;

  Impl(std::string path, std::string name, const Libgit2& lib)
      : path(std::move(path)), name(std::move(name)), lib(lib), handle(lib.repository_free) {}
};

namespace {

constexpr int kTreeDepthMax = 200;

std::string text_of(const Libgit2& lib, const git_oid* id) {
  char text[GIT_OID_HEXSZ + 1];
  lib.oid_tostr(text, sizeof text, id);
  return text;
}

Result<git_oid> oid_of(const Libgit2& lib, std::string_view text) {
  git_oid id;
  if (text.size() != GIT_OID_HEXSZ || lib.oid_fromstrn(&id, text.data(), text.size()) != 0)
    return Error{ErrorCode::bad_request, "'" + std::string(text) + "' is not a commit id"};
  return id;
}

Result<Owned<git_commit>> find_commit(const Libgit2& lib, git_repository* repository, std::string_view text) {
  const git_oid id = TRY(oid_of(lib, text));
  Owned<git_commit> commit(lib.commit_free);
  if (const int code = lib.commit_lookup(commit.out(), repository, &id); code != 0)
    return libgit2_error(lib, code, "commit " + std::string(text));
  return commit;
}

Result<Owned<git_tree>> root_tree(const Libgit2& lib, git_repository* repository, std::string_view commit_id) {
  const Owned<git_commit> commit = TRY(find_commit(lib, repository, commit_id));
  Owned<git_tree> tree(lib.tree_free);
  if (const int code = lib.commit_tree(tree.out(), commit.get()); code != 0) return libgit2_error(lib, code, "tree");
  return tree;
}

Error no_such_path(std::string_view commit, std::string_view path) {
  return Error{ErrorCode::not_found, "no '" + std::string(path) + "' in commit " + std::string(commit.substr(0, 10))};
}

std::string_view clean(std::string_view path) {
  while (path.starts_with("./")) path.remove_prefix(2);
  while (!path.empty() && path.back() == '/') path.remove_suffix(1);
  return path == "." ? std::string_view() : path;
}

TreeEntry::Type type_of(git_filemode_t mode) {
  switch (mode) {
    case GIT_FILEMODE_TREE:
      return TreeEntry::Type::directory;
    case GIT_FILEMODE_BLOB_EXECUTABLE:
      return TreeEntry::Type::executable;
    case GIT_FILEMODE_LINK:
      return TreeEntry::Type::symlink;
    case GIT_FILEMODE_COMMIT:
      return TreeEntry::Type::submodule;
    default:
      return TreeEntry::Type::file;
  }
}

Result<Owned<git_tree>> tree_of(const Libgit2& lib, git_repository* repository, const git_oid* id) {
  Owned<git_tree> tree(lib.tree_free);
  if (const int code = lib.tree_lookup(tree.out(), repository, id); code != 0) return libgit2_error(lib, code, "tree");
  return tree;
}

Result<void> walk(const Libgit2& lib, git_repository* repository, git_tree* tree, const std::string& prefix,
                  bool recursive, int depth, std::vector<TreeEntry>& out) {
  if (depth > kTreeDepthMax) return Error{ErrorCode::too_large, "directories nested deeper than 200 at " + prefix};
  const std::size_t count = lib.tree_entrycount(tree);
  for (std::size_t i = 0; i < count; ++i) {
    const git_tree_entry* entry = lib.tree_entry_byindex(tree, i);
    TreeEntry found{prefix + lib.tree_entry_name(entry), type_of(lib.tree_entry_filemode(entry)),
                    text_of(lib, lib.tree_entry_id(entry))};
    const bool descend = recursive && found.type == TreeEntry::Type::directory;
    out.push_back(std::move(found));
    if (!descend) continue;
    const Owned<git_tree> below = TRY(tree_of(lib, repository, lib.tree_entry_id(entry)));
    TRY(walk(lib, repository, below.get(), prefix + lib.tree_entry_name(entry) + "/", true, depth + 1, out));
  }
  return {};
}

// Two trees side by side; equal ids end the descent, so the cost is that of the difference.
class TreeDiff {
 public:
  TreeDiff(const Libgit2& lib, git_repository* repository, std::size_t count_max)
      : lib_(lib), repository_(repository), left_(count_max) {}

  Result<void> compare(git_tree* before, git_tree* after, const std::string& prefix, int depth) {
    if (depth > kTreeDepthMax) return Error{ErrorCode::too_large, "directories nested deeper than 200 at " + prefix};
    const auto a = entries(before), b = entries(after);
    auto i = a.begin();
    auto j = b.begin();
    while ((i != a.end() || j != b.end()) && !changes.truncated) {
      const int order = i == a.end() ? 1 : j == b.end() ? -1 : i->first.compare(j->first);
      if (order < 0)
        TRY(one_sided((i++)->second, prefix, depth, changes.removed));
      else if (order > 0)
        TRY(one_sided((j++)->second, prefix, depth, changes.added));
      else
        TRY(both((i++)->second, (j++)->second, prefix, depth));
    }
    return {};
  }

  Repository::Changes changes;

 private:
  using Entries = std::vector<std::pair<std::string, const git_tree_entry*>>;

  // Sorted by plain name: git's own order puts "a.b" before the directory "a".
  Entries entries(git_tree* tree) const {
    Entries out;
    for (std::size_t i = 0; tree != nullptr && i < lib_.tree_entrycount(tree); ++i) {
      const git_tree_entry* entry = lib_.tree_entry_byindex(tree, i);
      out.emplace_back(lib_.tree_entry_name(entry), entry);
    }
    std::sort(out.begin(), out.end());
    return out;
  }

  bool is_tree(const git_tree_entry* entry) const { return lib_.tree_entry_filemode(entry) == GIT_FILEMODE_TREE; }

  void note(std::vector<std::string>& list, std::string path) {
    if (left_ == 0) {
      changes.truncated = true;
      return;
    }
    --left_;
    list.push_back(std::move(path));
  }

  Result<void> one_sided(const git_tree_entry* entry, const std::string& prefix, int depth,
                         std::vector<std::string>& list) {
    const std::string path = prefix + lib_.tree_entry_name(entry);
    if (!is_tree(entry)) return note(list, path), Result<void>();
    const Owned<git_tree> tree = TRY(tree_of(lib_, repository_, lib_.tree_entry_id(entry)));
    return &list == &changes.added ? compare(nullptr, tree.get(), path + "/", depth + 1)
                                   : compare(tree.get(), nullptr, path + "/", depth + 1);
  }

  Result<void> both(const git_tree_entry* before, const git_tree_entry* after, const std::string& prefix, int depth) {
    const bool same_mode = lib_.tree_entry_filemode(before) == lib_.tree_entry_filemode(after);
    if (same_mode && lib_.oid_cmp(lib_.tree_entry_id(before), lib_.tree_entry_id(after)) == 0) return {};
    if (is_tree(before) != is_tree(after)) {
      TRY(one_sided(before, prefix, depth, changes.removed));
      return one_sided(after, prefix, depth, changes.added);
    }
    const std::string path = prefix + lib_.tree_entry_name(after);
    if (!is_tree(after)) return note(changes.modified, path), Result<void>();
    const Owned<git_tree> a = TRY(tree_of(lib_, repository_, lib_.tree_entry_id(before)));
    const Owned<git_tree> b = TRY(tree_of(lib_, repository_, lib_.tree_entry_id(after)));
    return compare(a.get(), b.get(), path + "/", depth + 1);
  }

  const Libgit2& lib_;
  git_repository* repository_;
  std::size_t left_;
};

Commit commit_of(const Libgit2& lib, git_commit* commit) {
  Commit out;
  const auto text = [](const char* s) { return std::string(s != nullptr ? s : ""); };
  out.id = text_of(lib, lib.object_id(reinterpret_cast<git_object*>(commit)));
  out.message = text(lib.commit_message(commit));
  if (const git_signature* author = lib.commit_author(commit)) {
    out.author_name = text(author->name);
    out.author_email = text(author->email);
  }
  if (const git_signature* committer = lib.commit_committer(commit)) out.committer_name = text(committer->name);
  out.time = Time(std::chrono::seconds(lib.commit_time(commit)));
  for (unsigned i = 0; i < lib.commit_parentcount(commit); ++i)
    out.parents.push_back(text_of(lib, lib.commit_parent_id(commit, i)));
  return out;
}

}  // namespace

Result<Repository> open_repository(const std::string& path, std::string name) {
  const Libgit2* lib = TRY(libgit2());
  if (!is_directory(path)) return Error{ErrorCode::not_found, "repository " + name + " does not exist"};
  auto impl = std::make_shared<Repository::Impl>(path, std::move(name), *lib);
  if (const int code = lib->repository_open_bare(impl->handle.out(), path.c_str()); code != 0)
    return libgit2_error(*lib, code, "open repository " + impl->name);
  return Repository(std::move(impl));
}

const std::string& Repository::path() const {
  return impl_->path;
}
const std::string& Repository::name() const {
  return impl_->name;
}

Result<std::string> Repository::resolve(std::string_view revision) const {
  const std::scoped_lock lock(impl_->mutex);
  const Libgit2& lib = impl_->lib;
  const std::string text(revision.empty() ? "HEAD" : revision);
  Owned<git_object> object(lib.object_free);
  int code = GIT_ENOTFOUND;
  // A branch called like the beginning of an id is still that branch.
  for (const std::string& candidate : {"refs/heads/" + text, "refs/tags/" + text, text}) {
    code = lib.revparse_single(object.out(), impl_->handle.get(), candidate.c_str());
    if (code == 0) break;
  }
  if (code != 0) {
    return Error{code == GIT_EAMBIGUOUS ? ErrorCode::bad_request : ErrorCode::not_found,
                 "repository " + impl_->name + " has no revision '" + text + "'"};
  }
  Owned<git_object> commit(lib.object_free);
  if (const int peeled = lib.object_peel(commit.out(), object.get(), GIT_OBJECT_COMMIT); peeled != 0)
    return Error{ErrorCode::not_found, "revision '" + text + "' of " + impl_->name + " is not a commit"};
  return text_of(lib, lib.object_id(commit.get()));
}

Result<std::vector<Ref>> Repository::refs() const {
  const std::scoped_lock lock(impl_->mutex);
  const Libgit2& lib = impl_->lib;
  Owned<git_reference_iterator> iterator(lib.reference_iterator_free);
  if (const int code = lib.reference_iterator_new(iterator.out(), impl_->handle.get()); code != 0)
    return libgit2_error(lib, code, "list refs");
  std::vector<Ref> out;
  for (;;) {
    Owned<git_reference> ref(lib.reference_free);
    const int code = lib.reference_next(ref.out(), iterator.get());
    if (code == GIT_ITEROVER) break;
    if (code != 0) return libgit2_error(lib, code, "list refs");
    const std::string_view name = lib.reference_name(ref.get());
    if (!name.starts_with("refs/heads/") && !name.starts_with("refs/tags/")) continue;
    if (const git_oid* target = lib.reference_target(ref.get()))
      out.push_back({std::string(name), text_of(lib, target)});
  }
  std::sort(out.begin(), out.end(), [](const Ref& a, const Ref& b) { return a.name < b.name; });
  return out;
}

Result<std::string> Repository::head() const {
  const std::string text = TRY(read_file(impl_->path + "/HEAD", 4096));
  const std::string_view line = trim(text);
  if (!line.starts_with("ref: ")) return Error{ErrorCode::internal, "HEAD of " + impl_->name + " names no branch"};
  return std::string(line.substr(5));
}

Result<Commit> Repository::commit(std::string_view id) const {
  const std::scoped_lock lock(impl_->mutex);
  const Owned<git_commit> commit = TRY(find_commit(impl_->lib, impl_->handle.get(), id));
  return commit_of(impl_->lib, commit.get());
}

Result<std::vector<Commit>> Repository::log(std::string_view from, std::size_t count_max,
                                            std::string_view until) const {
  const std::scoped_lock lock(impl_->mutex);
  const Libgit2& lib = impl_->lib;
  const git_oid start = TRY(oid_of(lib, from));
  Owned<git_revwalk> walk(lib.revwalk_free);
  if (const int code = lib.revwalk_new(walk.out(), impl_->handle.get()); code != 0)
    return libgit2_error(lib, code, "log");
  lib.revwalk_sorting(walk.get(), GIT_SORT_TOPOLOGICAL | GIT_SORT_TIME);
  if (const int code = lib.revwalk_push(walk.get(), &start); code != 0) return libgit2_error(lib, code, "log");
  if (!until.empty() && until != kNoCommit) {
    const git_oid end = TRY(oid_of(lib, until));
    if (const int code = lib.revwalk_hide(walk.get(), &end); code != 0) return libgit2_error(lib, code, "log");
  }
  std::vector<Commit> out;
  git_oid id;
  while (out.size() < count_max && lib.revwalk_next(&id, walk.get()) == 0) {
    Owned<git_commit> commit(lib.commit_free);
    if (const int code = lib.commit_lookup(commit.out(), impl_->handle.get(), &id); code != 0)
      return libgit2_error(lib, code, "log");
    out.push_back(commit_of(lib, commit.get()));
  }
  return out;
}

Result<std::string> Repository::read(std::string_view commit, std::string_view path, std::size_t size_bytes_max) const {
  const std::scoped_lock lock(impl_->mutex);
  const Libgit2& lib = impl_->lib;
  const std::string cleaned(clean(path));
  const Owned<git_tree> root = TRY(root_tree(lib, impl_->handle.get(), commit));
  Owned<git_tree_entry> entry(lib.tree_entry_free);
  if (cleaned.empty() || lib.tree_entry_bypath(entry.out(), root.get(), cleaned.c_str()) != 0)
    return no_such_path(commit, path);
  const git_filemode_t mode = lib.tree_entry_filemode(entry.get());
  if (mode == GIT_FILEMODE_TREE || mode == GIT_FILEMODE_COMMIT)
    return Error{ErrorCode::bad_request,
                 "'" + cleaned + "' is a " + (mode == GIT_FILEMODE_TREE ? "directory" : "submodule")};
  Owned<git_blob> blob(lib.blob_free);
  if (const int code = lib.blob_lookup(blob.out(), impl_->handle.get(), lib.tree_entry_id(entry.get())); code != 0)
    return libgit2_error(lib, code, "read " + cleaned);
  const auto size = static_cast<std::size_t>(lib.blob_rawsize(blob.get()));
  if (size > size_bytes_max)
    return Error{ErrorCode::too_large, "'" + cleaned + "' is larger than " + std::to_string(size_bytes_max) + " bytes"};
  return std::string(static_cast<const char*>(lib.blob_rawcontent(blob.get())), size);
}

Result<std::vector<TreeEntry>> Repository::list(std::string_view commit, std::string_view path, bool recursive) const {
  const std::scoped_lock lock(impl_->mutex);
  const Libgit2& lib = impl_->lib;
  Owned<git_tree> tree = TRY(root_tree(lib, impl_->handle.get(), commit));
  if (const std::string cleaned(clean(path)); !cleaned.empty()) {
    Owned<git_tree_entry> entry(lib.tree_entry_free);
    if (lib.tree_entry_bypath(entry.out(), tree.get(), cleaned.c_str()) != 0) return no_such_path(commit, path);
    if (lib.tree_entry_filemode(entry.get()) != GIT_FILEMODE_TREE)
      return Error{ErrorCode::bad_request, "'" + cleaned + "' is not a directory"};
    tree = TRY(tree_of(lib, impl_->handle.get(), lib.tree_entry_id(entry.get())));
  }
  std::vector<TreeEntry> out;
  TRY(walk(lib, impl_->handle.get(), tree.get(), "", recursive, 0, out));
  std::sort(out.begin(), out.end(), [](const TreeEntry& a, const TreeEntry& b) { return a.path < b.path; });
  return out;
}

Result<std::string> Repository::tree_hash(std::string_view commit, std::string_view path) const {
  const std::scoped_lock lock(impl_->mutex);
  const Libgit2& lib = impl_->lib;
  const Owned<git_tree> root = TRY(root_tree(lib, impl_->handle.get(), commit));
  const std::string cleaned(clean(path));
  if (cleaned.empty()) return text_of(lib, lib.tree_id(root.get()));
  Owned<git_tree_entry> entry(lib.tree_entry_free);
  if (lib.tree_entry_bypath(entry.out(), root.get(), cleaned.c_str()) != 0) return no_such_path(commit, path);
  return text_of(lib, lib.tree_entry_id(entry.get()));
}

Result<Repository::Changes> Repository::changes(std::string_view before, std::string_view after,
                                                std::size_t count_max) const {
  const std::scoped_lock lock(impl_->mutex);
  const Libgit2& lib = impl_->lib;
  Owned<git_tree> a(lib.tree_free), b(lib.tree_free);
  if (!before.empty() && before != kNoCommit) a = TRY(root_tree(lib, impl_->handle.get(), before));
  if (!after.empty() && after != kNoCommit) b = TRY(root_tree(lib, impl_->handle.get(), after));
  TreeDiff diff(lib, impl_->handle.get(), count_max);
  TRY(diff.compare(a.get(), b.get(), "", 0));
  for (auto* list : {&diff.changes.added, &diff.changes.removed, &diff.changes.modified})
    std::sort(list->begin(), list->end());
  return std::move(diff.changes);
}

std::vector<std::string> Repository::Changes::all() const {
  std::vector<std::string> out = added;
  out.insert(out.end(), removed.begin(), removed.end());
  out.insert(out.end(), modified.begin(), modified.end());
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

Result<bool> Repository::is_ancestor(std::string_view ancestor, std::string_view of) const {
  if (ancestor == of) return true;
  const std::scoped_lock lock(impl_->mutex);
  const git_oid a = TRY(oid_of(impl_->lib, ancestor));
  const git_oid b = TRY(oid_of(impl_->lib, of));
  const int code = impl_->lib.graph_descendant_of(impl_->handle.get(), &b, &a);
  if (code < 0) return libgit2_error(impl_->lib, code, "history");
  return code == 1;
}

}  // namespace caisson::git
