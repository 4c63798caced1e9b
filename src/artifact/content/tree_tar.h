// SPDX-License-Identifier: Apache-2.0
// The deterministic tar of a directory in overlayfs' form: names sorted bytewise, whole seconds, no user names, hard
// links after their first name, whiteouts and opaque marks as OCI image-spec 1.1 (layer.md) has them. Only
// security.capability and user.* attributes. Sockets are removed from the directory, as no tar can hold them. One
// thread at a time.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "artifact/content/digest.h"
#include "core/base/file.h"
#include "core/base/result.h"

namespace caisson::content {

struct TreeTar {
  Digest diff_id;
  std::uint64_t size_bytes = 0;
};

// Walks `directory`; `raw` sees what is not contents of a file, in order. Errors: too_large with more entries.
Result<TreeTar> hash_tree_tar(const std::string& directory, std::uint64_t entries_max,
                              const std::function<void(std::string_view)>& raw);

// A file of a tree, for reading; links are resolved inside the tree, and it must be a regular file.
Result<UniqueFd> open_tree_file(int tree, const std::string& path);

// Extended attributes that layers keep, sorted by name.
std::vector<std::pair<std::string, std::string>> read_layer_xattrs(const std::string& path);

}  // namespace caisson::content
