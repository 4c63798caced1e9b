// SPDX-License-Identifier: Apache-2.0
// The platform's scans. For every tag of the registry: a bill of materials (CycloneDX 1.6) and the findings (SARIF) as
// referrers of the image, and a VulnerabilityReport in the namespace that the repository is of. For every pod: a
// VulnerabilityReport for each of its containers, owned by its workload. Pushed advisories (bundle.h) are imported, and
// the images and pods that they are about looked at again at once. Level-triggered: everything is looked at once after
// a start. Threads: any.
#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "artifact/content/blob_store.h"
#include "artifact/content/reference.h"
#include "artifact/content/tag_index.h"
#include "artifact/scan/advisory_store.h"
#include "cluster/kube/reconciler.h"

namespace caisson {
class WorkerPool;
}

namespace caisson::scan {

// All outlive the runtime.
struct ScanOptions {
  content::BlobStore& blobs;
  content::TagIndex& tags;
  content::LayerSource* layers = nullptr;  // layers that have no blob
  AdvisoryStore& advisories;
  WorkerPool& workers;
  content::RegistryNames names;
  std::string cache_dir;  // "<data>/scan": findings of layers
};

class Scans {
 public:
  virtual ~Scans() = default;
  // A tag was set (or taken away). Never blocks.
  virtual void changed(std::string_view repository, std::string_view tag) = 0;
};

// Makes the kind and adds the reconcilers; call before the runtime starts.
Result<std::shared_ptr<Scans>> add_scans(kube::Runtime& runtime, ScanOptions options);

}  // namespace caisson::scan
