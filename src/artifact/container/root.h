// SPDX-License-Identifier: Apache-2.0
// A root file system from layer trees: one overlayfs mount. Uses fsopen(2) with `lowerdir+` (up to 500 layers) and
// falls back to mount(2) with short links where the kernel does not know it. Source: kernel
// Documentation/filesystems/overlayfs.rst. Invariant: every mount made here lies below a directory of the instance, so
// cleanup() finds it. Any thread.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "artifact/container/user_namespace.h"
#include "core/base/result.h"

namespace caisson::container {

struct RootSpec {
  std::vector<std::string> lowers;  // unpacked layer trees, topmost first; at least one
  std::string upper, work;          // made when absent; both empty: the root is read-only
  std::string merged;               // where it is mounted; made when absent
  bool is_volatile = false;         // no syncs: for build scratch that is thrown away after a crash
  IdRange ids;                      // of the containers' user namespace: layers look as if they were its root's
};

inline constexpr std::size_t kLowersMax = 500;  // the kernel's own limit

// Mounts the root at `merged`; what is mounted there already is taken down first. Errors: bad_request above kLowersMax;
// not_found for a missing layer; internal with the kernel's own text.
Result<void> mount_root(const RootSpec& spec);
// Detaches whatever is mounted at `path` (all of it, when mounts are stacked). Fine when nothing is or the path is
// absent.
Result<void> unmount(const std::string& path);
// Detaches every mount at or below `directory`, deepest first, and gives how many there were.
Result<int> unmount_below(const std::string& directory);
// Paths of the mounts at or below `directory` in this mount namespace, in the order they were made.
Result<std::vector<std::string>> mounts_below(const std::string& directory);
// Whether mounts that a container makes at `path` will be seen by the host. Errors: invalid, which names the mount that
// `path` is on, when that is private.
Result<void> check_shared(const std::string& path);
// A tmpfs with exactly this mode (runc's own tmpfs takes the mode of the directory beneath it). `size_bytes` 0: the
// kernel's default.
Result<void> mount_tmpfs(const std::string& path, unsigned mode, std::uint64_t size_bytes = 0);
// Binds `source` on `target`, which is there.
Result<void> mount_bind(const std::string& source, const std::string& target, bool read_only = false);

}  // namespace caisson::container
