// SPDX-License-Identifier: Apache-2.0
// Advisories as an artifact in a registry: an OCI manifest (image-spec 1.1, artifactType below) whose layers are tars,
// zips or JSON files, compressed or not. So advisories come to a platform by the way that images do, with the same
// rights, also without a network. Any thread.
#pragma once
#include <string>
#include <string_view>

#include "artifact/content/blob_store.h"
#include "artifact/content/image.h"
#include "artifact/scan/advisory_store.h"
#include "core/base/result.h"

namespace caisson::scan {

inline constexpr std::string_view kBundleType = "application/vnd.caisson.advisories.v1";
inline constexpr std::string_view kBundleLayerType = "application/vnd.caisson.advisories.v1.tar+zstd";
inline constexpr std::string_view kBundleRepository = "caisson-system/advisories";

// Errors: not_found; bad_request when a layer is broken; invalid when the manifest is of something else.
Result<ImportResult> import_bundle(const content::BlobStore& blobs, const content::Digest& manifest,
                                   AdvisoryStore& into);

// Packs a file or folder (.json, .zip) into `blobs`; gives the manifest's digest. The same files give the same digest.
Result<content::Digest> make_bundle(const std::string& path, content::BlobStore& blobs);

}  // namespace caisson::scan
