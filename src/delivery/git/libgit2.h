// SPDX-License-Identifier: Apache-2.0
// libgit2 through a table of symbols, opened on first use: the program starts without it. Internal to the room. Any thread.
#pragma once
#include <git2.h>

#include <memory>

#include "core/base/result.h"

namespace caisson::git {

#define CAISSON_LIBGIT2(X)                                                                                                    \
  X(libgit2_init) X(libgit2_opts) X(error_last) X(repository_open_bare) X(repository_free) X(revparse_single) X(object_peel)   \
  X(object_free) X(object_id) X(object_lookup) X(oid_fromstrn) X(oid_tostr) X(oid_cmp) X(commit_lookup) X(commit_free)         \
  X(commit_message) X(commit_author) X(commit_committer) X(commit_tree) X(commit_parentcount) X(commit_parent_id)              \
  X(commit_time) X(tree_free) X(tree_lookup) X(tree_id) X(tree_entrycount) X(tree_entry_byindex) X(tree_entry_bypath)          \
  X(tree_entry_free) X(tree_entry_name) X(tree_entry_id) X(tree_entry_filemode) X(blob_lookup) X(blob_free) X(blob_rawcontent) \
  X(blob_rawsize) X(revwalk_new) X(revwalk_free) X(revwalk_push) X(revwalk_hide) X(revwalk_next) X(revwalk_sorting)            \
  X(reference_lookup) X(reference_free) X(reference_name) X(reference_target) X(reference_type) X(reference_symbolic_target)   \
  X(reference_iterator_new) X(reference_next) X(reference_iterator_free) X(graph_descendant_of)

struct Libgit2 {
#define X(name) decltype(&git_##name) name = nullptr;
  CAISSON_LIBGIT2(X)
#undef X
};

// Errors: unavailable when the library is not installed.
Result<const Libgit2*> libgit2();
// The library's last words on this thread.
Error libgit2_error(const Libgit2& lib, int code, std::string_view doing);

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

}  // namespace caisson::git
