// SPDX-License-Identifier: Apache-2.0
// Whether something is mounted right there, by statx(2): reading the table of mounts takes as long as there are mounts.
// Any thread.
#pragma once
#include <fcntl.h>
#include <sys/stat.h>

#include <string>

namespace caisson::node {

inline bool is_mount_point(const std::string& path) {
  struct statx info {};
  return ::statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, 0, &info) == 0 &&
         (info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

}  // namespace caisson::node
