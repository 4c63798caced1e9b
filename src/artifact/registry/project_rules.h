// SPDX-License-Identifier: Apache-2.0
// What a project (the first segment of its repositories' names) allows: tags that never move, and how much it may hold.
// Pure but for project_size; any thread.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "artifact/content/blob_store.h"
#include "artifact/content/tag_index.h"
#include "core/base/result.h"

namespace caisson::registry {

struct ProjectRules {
  std::vector<std::string> immutable_tags;  // patterns: "*" stands for any letters, as in "v*"
  std::uint64_t quota_bytes = 0;            // of manifests and what they name, each digest once; 0: no limit
};

bool matches_tag(std::string_view pattern, std::string_view tag);
bool is_immutable(const ProjectRules& rules, std::string_view tag);

// What the project of `repository` holds together with the manifest `added`. Sizes are those that manifests say, so
// layers without a blob count too.
Result<std::uint64_t> project_size(const content::BlobStore& blobs, const content::TagIndex& tags,
                                   std::string_view repository, std::string_view added);

}  // namespace caisson::registry
