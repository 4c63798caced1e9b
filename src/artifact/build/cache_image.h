// SPDX-License-Identifier: Apache-2.0
// A build cache as an image of a registry, to be taken elsewhere (`--cache-to`, `--cache-from`, kaniko's
// `--cache-repo`): an OCI manifest whose configuration says which instruction (by its key) made which layer, and whose
// layers are those. A key is of the layers below, the instruction and its inputs, so it is the same on every machine.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "artifact/build/cache.h"
#include "artifact/content/blob_store.h"
#include "artifact/content/image.h"

namespace caisson::build {

inline constexpr std::string_view kCacheConfig = "application/vnd.caisson.build.cache.v1+json";

struct CacheEntry {
  content::Digest key;
  CachedLayer layer;
  bool operator==(const CacheEntry&) const = default;
};

// Writes configuration and manifest; gives the manifest's digest. The layers are where they are.
Result<content::Digest> write_cache_image(const std::vector<CacheEntry>& entries, content::BlobStore& blobs);
// Errors: not_found when a part is not here; invalid when it is no build cache, or names a layer that it does not hold.
Result<std::vector<CacheEntry>> read_cache_image(const content::Digest& manifest, const content::BlobStore& blobs);

// "type=registry,ref=HOST/REPOSITORY:TAG,mode=max", or a reference alone. Errors: bad_request, which names the part.
struct CacheOption {
  std::string reference;
  bool all_stages = false;  // mode=max: the layers of every stage, not the result's only
  bool operator==(const CacheOption&) const = default;
};
Result<CacheOption> parse_cache_option(std::string_view flag, std::string_view text);

}  // namespace caisson::build
