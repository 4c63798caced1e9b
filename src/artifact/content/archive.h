// SPDX-License-Identifier: Apache-2.0
// Images in a tar file: OCI's layout (image-spec 1.1, image-layout.md) and what `docker save` writes, of old
// (manifest.json and layer.tar files) and new (both in one). What is read is limited and checked: each blob against its
// name, each image for completeness. One thread at a time.
#pragma once
#include <string>
#include <vector>

#include "artifact/content/blob_store.h"
#include "artifact/content/image.h"
#include "artifact/content/tar.h"
#include "core/base/result.h"

namespace caisson::content {

struct ArchivedImage {
  std::string name;  // as the archive has it: "shop/web:1.0"; may be empty
  Digest digest;     // of the manifest or index
};

// Reads an archive, compressed or not, into `blobs`. Errors: bad_request, with the entry that is wrong; too_large.
Result<std::vector<ArchivedImage>> load_archive(const std::string& path, BlobStore& blobs,
                                                const ArchiveLimits& limits = {});

// Writes a layout that `docker load`, skopeo and crane read: blobs once, whichever images share them. Layers without a
// blob come from `layers` (may be nullptr). Errors: not_found when a blob is missing.
Result<void> save_archive(const std::string& path, const std::vector<ArchivedImage>& images, const BlobStore& blobs,
                          LayerSource* layers);

}  // namespace caisson::content
