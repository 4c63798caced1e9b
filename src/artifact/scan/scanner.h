// SPDX-License-Identifier: Apache-2.0
// Scanning images whose layers are in this platform's stores. A layer is read once and its findings kept below
// <dir>/layers; a scan of an image whose layers are known reads a few small files. Any thread; calls block.
#pragma once
#include <functional>
#include <string>

#include "artifact/content/image.h"
#include "artifact/content/source.h"
#include "artifact/scan/package.h"
#include "core/base/result.h"

namespace caisson::content {
class BlobStore;
}

namespace caisson::scan {

struct ImageScan {
  content::Digest digest;  // of the image's manifest; of an index, of what it has for this machine's platform
  Inventory inventory;
  content::Platform platform;
  std::string created;
};

class Scanner {
 public:
  // `layers` gives layers that have no blob; may be nullptr.
  Scanner(const content::BlobStore& blobs, content::LayerSource* layers, std::string cache_dir)
      : blobs_(blobs), layers_(layers), cache_dir_(std::move(cache_dir)) {}

  // Errors: not_found when manifest or a layer is not here; invalid when the digest is of no image (an artifact has no
  // layers of files); bad_request when a layer is malformed.
  Result<ImageScan> scan(const content::Digest& digest) const;

 private:
  Result<content::ByteSource> open_layer(const content::Digest& layer) const;
  const content::BlobStore& blobs_;
  content::LayerSource* layers_;
  std::string cache_dir_;
};

}  // namespace caisson::scan
