// SPDX-License-Identifier: Apache-2.0
// User namespaces: root of a container is nobody on the host. The ids 0 to 65535 of a namespace are as many ids of the
// host in a row. Files keep the owners they have on disk: layers and volumes are mounted with their ids mapped
// (mount_setattr(2), MOUNT_ATTR_IDMAP; kernel 5.19 for layers of overlayfs), so nothing is copied or given away.
// Any thread.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>

#include "core/base/file.h"
#include "core/base/result.h"

namespace caisson::container {

inline constexpr std::uint32_t kUserRange = 65'536;

struct IdRange {
  std::uint32_t first = 0;  // what 0 of the namespace is on the host; 0: no namespace of its own
  explicit operator bool() const { return first != 0; }
  bool operator==(const IdRange&) const = default;
};

// Runs `inside` as root of a new user namespace with that mapping, in a process of its own; then `outside` with that
// process's id, which lives until `outside` returns. `inside` gives 0 or an errno, and may only make system calls: the
// process is a fork of one with threads. Errors: as the kernel says.
Result<void> in_user_namespace(const IdRange& ids, const std::function<int()>& inside,
                               const std::function<Result<void>(pid_t)>& outside);
// A namespace with that mapping, for the ids of mounts.
Result<UniqueFd> make_user_namespace(const IdRange& ids);

// Binds `source`, a file or a directory with what is mounted below it, on `target`, which is made: what belongs to id n
// there belongs to ids.first + n here. Errors: invalid, when the file system of `source` or this kernel can't do that.
Result<void> mount_mapped(const std::string& source, const std::string& target, const UniqueFd& user_namespace);

// Why containers below `directory` can't have user namespaces on this machine; empty when they can. Tries it.
std::string why_no_user_namespaces(const std::string& directory);

}  // namespace caisson::container
