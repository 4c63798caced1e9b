// SPDX-License-Identifier: Apache-2.0
// Where policies read images: manifests, blobs and what refers to an image. An interface, so that rules are tested
// without a registry; registry_images.h has the real one. Any thread; calls block.
#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace caisson::policy {

struct FetchedManifest {
  std::string digest;  // "sha256:…" of the bytes
  std::string media_type, bytes;
};
struct ImageReferrer {
  std::string digest, artifact_type;
};

class ImageSource {
 public:
  virtual ~ImageSource() = default;
  // `repository`: "ghcr.io/org/app"; `reference`: a tag or a digest. Errors: not_found; unauthorized, forbidden,
  // unavailable as the registry says. The bytes hash to `digest`.
  virtual Result<FetchedManifest> manifest(const std::string& repository, const std::string& reference) const = 0;
  // Errors: as manifest; bad_request when the bytes are not those of the digest; too_large.
  virtual Result<std::string> blob(const std::string& repository, const std::string& digest,
                                   std::size_t bytes_max) const = 0;
  // Manifests whose subject is `digest`. A registry without the referrers API has none.
  virtual Result<std::vector<ImageReferrer>> referrers(const std::string& repository,
                                                       const std::string& digest) const = 0;
};

}  // namespace caisson::policy
