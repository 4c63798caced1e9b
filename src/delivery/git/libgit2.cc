// SPDX-License-Identifier: Apache-2.0
#include "delivery/git/libgit2.h"

#include <dlfcn.h>

namespace caisson::git {
namespace {

// The structures that we share with the library (oid, signature, time) are the same in these versions.
constexpr const char* kNames[] = {"libgit2.so.1.5", "libgit2.so.1.6", "libgit2.so.1.7", "libgit2.so.1.8", "libgit2.so.1.9"};

Result<const Libgit2*> load() {
  void* handle = nullptr;
  for (const char* name : kNames) {
    if ((handle = dlopen(name, RTLD_NOW | RTLD_LOCAL)) != nullptr) break;
  }
  if (handle == nullptr) return Error{ErrorCode::unavailable, "libgit2 is not installed (Debian: libgit2-1.5)"};
  static Libgit2 lib;
  const char* missing = nullptr;
#define X(name)                                                                       \
  lib.name = reinterpret_cast<decltype(lib.name)>(dlsym(handle, "git_" #name));        \
  if (lib.name == nullptr) missing = "git_" #name;
  CAISSON_LIBGIT2(X)
#undef X
  if (missing != nullptr) return Error{ErrorCode::unavailable, std::string("libgit2 lacks ") + missing};
  lib.libgit2_init();
  // What we read is ours to read, whoever owns the files; and the host's configuration has no say.
  lib.libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
  for (const int level : {GIT_CONFIG_LEVEL_SYSTEM, GIT_CONFIG_LEVEL_XDG, GIT_CONFIG_LEVEL_GLOBAL, GIT_CONFIG_LEVEL_PROGRAMDATA})
    lib.libgit2_opts(GIT_OPT_SET_SEARCH_PATH, level, "");
  return static_cast<const Libgit2*>(&lib);
}

}  // namespace

Result<const Libgit2*> libgit2() {
  static const Result<const Libgit2*> loaded = load();
  return loaded;
}

Error libgit2_error(const Libgit2& lib, int code, std::string_view doing) {
  const git_error* last = lib.error_last();
  const std::string why = last != nullptr && last->message != nullptr ? last->message : "unknown error";
  const bool absent = code == GIT_ENOTFOUND || code == GIT_EUNBORNBRANCH || code == GIT_EINVALIDSPEC;
  return Error{absent ? ErrorCode::not_found : ErrorCode::internal, std::string(doing) + ": " + why};
}

}  // namespace caisson::git
