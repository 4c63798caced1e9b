// SPDX-License-Identifier: Apache-2.0
// What the files of one layer say, and what an image's layers say together. A layer is read once, whichever images it
// is in: findings are kept by its digest as JSON. Pure but for scan_layer, which reads its source; any thread.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "artifact/content/source.h"
#include "artifact/content/tar.h"
#include "artifact/scan/analyze.h"
#include "core/document/value.h"

namespace caisson::scan {

struct LayerFindings {
  std::vector<FileFindings> files;   // those that say something, or that may hide what did
  std::vector<std::string> removed;  // whiteouts: this path and what is below it are gone from the layers beneath
  std::vector<std::string> opaque;   // what is below this path is gone
  bool operator==(const LayerFindings&) const = default;
};

// Reads a layer's tar, plain or compressed. Errors: bad_request when it is malformed or has a path that leaves the
// root; too_large beyond `limits`, so a bomb ends with its name.
Result<LayerFindings> scan_layer(content::ByteSource tar, const content::ArchiveLimits& limits = {});
// The same for a directory on disk (a checkout, a root): links are not followed, file systems are not left.
Result<LayerFindings> scan_directory(const std::string& directory);

// Lowest first. A package is of the lowest layer that has had it since; secrets are those of all layers, deleted or
// not.
Inventory merge_layers(const std::vector<std::pair<content::Digest, LayerFindings>>& layers);

Value layer_findings_to_value(const LayerFindings& findings);
Result<LayerFindings> layer_findings_of_value(const Value& value);  // invalid when it is of another version

}  // namespace caisson::scan
