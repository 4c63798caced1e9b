// SPDX-License-Identifier: Apache-2.0
#include "artifact/container/user_namespace.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "artifact/container/root.h"

namespace caisson::container {
namespace {

constexpr IdRange kTrial{0x7000'0000};

}  // namespace

Result<void> in_user_namespace(const IdRange& ids, const std::function<int()>& inside,
                               const std::function<Result<void>(pid_t)>& outside) {
  int talk[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, talk) != 0) return errno_error("make a socket pair");
  UniqueFd ours(talk[0]);
  const int theirs = talk[1];
  const pid_t child = ::fork();  // unshare(2) of a user namespace is refused to a process with threads
  if (child == 0) {
    ::close(talk[0]);
    int failed = ::unshare(CLONE_NEWUSER) == 0 ? 0 : errno;
    char go;
    bool heard = ::write(theirs, &failed, sizeof failed) > 0 && failed == 0 && ::read(theirs, &go, 1) == 1;  // mapped
    if (heard && (::setresgid(0, 0, 0) != 0 || ::setresuid(0, 0, 0) != 0)) failed = errno;
    if (heard && failed == 0) failed = inside();
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a change of ids takes it away: hence here
    heard = heard && ::write(theirs, &failed, sizeof failed) > 0;
    if (heard) heard = ::read(theirs, &go, 1) == 1;
    ::_exit(0);
  }
  ::close(theirs);
  if (child < 0) return errno_error("fork");
  const auto hear = [&](const char* doing) -> Result<void> {
    int failed = 0;
    if (::read(ours.get(), &failed, sizeof failed) != sizeof failed)
      return Error{ErrorCode::internal, std::string(doing) + ": the process ended"};
    errno = failed;
    return failed == 0 ? Result<void>() : errno_error(doing);
  };
  const auto done = [&]() -> Result<void> {
    TRY(hear("make a user namespace"));
    const std::string process = "/proc/" + std::to_string(child);
    const std::string map = "0 " + std::to_string(ids.first) + " " + std::to_string(kUserRange) + "\n";
    for (const char* file : {"/uid_map", "/gid_map"}) {
      const UniqueFd fd(::open((process + file).c_str(), O_WRONLY | O_CLOEXEC));
      if (!fd || ::write(fd.get(), map.data(), map.size()) < 0) return errno_error("write " + process + file);
    }
    if (::write(ours.get(), "g", 1) != 1) return errno_error("enter a user namespace");
    TRY(hear("set up a user namespace"));
    return outside(child);
  }();
  // Not only closed: a child of another thread, forked meanwhile, has a copy of this end.
  ::shutdown(ours.get(), SHUT_RDWR);
  ::waitpid(child, nullptr, 0);
  return done;
}

Result<UniqueFd> make_user_namespace(const IdRange& ids) {
  UniqueFd found;
  TRY(in_user_namespace(
      ids, [] { return 0; },
      [&found](pid_t pid) -> Result<void> {
        const std::string path = "/proc/" + std::to_string(pid) + "/ns/user";
        found.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
        return found ? Result<void>() : errno_error("open " + path);
      }));
  return found;
}

Result<void> mount_mapped(const std::string& source, const std::string& target, const UniqueFd& user_namespace) {
  const UniqueFd tree(::open_tree(AT_FDCWD, source.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
  if (!tree) return errno_error("bind " + source);
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_IDMAP;
  attributes.userns_fd = static_cast<std::uint64_t>(user_namespace.get());
  if (::mount_setattr(tree.get(), "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof attributes) != 0) {
    Error error = errno_error("map the ids of " + source);
    error.code = ErrorCode::invalid;
    error.message += " (its file system, or one below it, can't have mapped ids with this kernel)";
    return error;
  }
  if (is_directory(source)) {
    TRY(make_dirs(target));
  } else {
    TRY(make_dirs(path_dir(target)));
    TRY(write_file_unsynced(target, ""));
  }
  if (::move_mount(tree.get(), "", AT_FDCWD, target.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0)
    return errno_error("mount on " + target);
  return {};
}

std::string why_no_user_namespaces(const std::string& directory) {
  const auto tried = [&]() -> Result<void> {
    const UniqueFd trial = TRY(make_user_namespace(kTrial));
    TRY(make_dirs(directory, 0711));
    const TempDir place = TRY(TempDir::make("ids", directory));
    const std::string tree = path_join(place.path(), "tree"), upper = path_join(place.path(), "upper");
    for (const auto& path : {tree, upper}) TRY(make_dirs(path));
    const auto mounted = mount_root({.lowers = {tree},
                                     .upper = upper,
                                     .work = path_join(place.path(), "work"),
                                     .merged = path_join(place.path(), "root"),
                                     .ids = kTrial});
    TRY(unmount_below(place.path()));
    return mounted;
  }();
  return tried.ok() ? "" : tried.error().message;
}

}  // namespace caisson::container
