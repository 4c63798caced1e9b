// SPDX-License-Identifier: Apache-2.0
// The index of built layers: key → layer, one small file each below <dir>/layers; and the directories of RUN
// --mount=type=cache below <dir>/mounts. Can be deleted at any time: what is not found is built again. Any thread.
#pragma once
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "artifact/content/digest.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/result.h"

namespace caisson::build {

struct CachedLayer {
  content::Digest diff_id;
  std::uint64_t size_bytes = 0;
  std::string created;  // when it was made, so that an unchanged build gives an unchanged image
  bool operator==(const CachedLayer&) const = default;
};

class CacheIndex {
 public:
  explicit CacheIndex(std::string directory) : directory_(std::move(directory)) {}
  std::optional<CachedLayer> find(const content::Digest& key) const;
  Result<void> put(const content::Digest& key, const CachedLayer& layer);
  // The layers of all entries. Entries that nobody found since `unused_since` go first.
  Result<std::set<content::Digest>> layers(Time unused_since);

  // The directory of a cache mount; `is_new` when it was just made. With `locked` nobody else has it until `lock` is
  // closed.
  struct Mount {
    std::string directory;
    UniqueFd lock;
    bool is_new = false;
  };
  enum class Sharing { shared, locked, exclusive };
  Result<Mount> open_mount(std::string_view scope, std::string_view id, Sharing sharing);

 private:
  static std::optional<CachedLayer> read_entry(const std::string& path);

  std::string directory_;
};

}  // namespace caisson::build
