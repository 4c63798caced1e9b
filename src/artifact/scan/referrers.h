// SPDX-License-Identifier: Apache-2.0
// What a scan says of an image, kept beside it in the registry as referrers (image-spec 1.1 "subject"): the bill of
// materials and the findings. What is there already is left; findings that others replace are taken away. Any thread.
#pragma once
#include <vector>

#include "artifact/content/blob_store.h"
#include "artifact/content/tag_index.h"
#include "artifact/scan/match.h"
#include "artifact/scan/report.h"
#include "artifact/scan/scanner.h"

namespace caisson::scan {

struct ReferrerStores {
  content::BlobStore& blobs;
  content::TagIndex& tags;
};

Result<void> attach_referrers(const ReferrerStores& stores, const ScannedArtifact& artifact, const ImageScan& scan,
                              const std::vector<Finding>& findings);

}  // namespace caisson::scan
