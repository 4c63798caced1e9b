// SPDX-License-Identifier: Apache-2.0
// Collector: takes away manifests, blobs and layers that nothing needs, while the stores are in use.
//
// Needed is what a tag leads to (through indexes, to configurations, layers and referrers such as signatures and
// SBOMs), what Roots name, and what is young. Something else goes when it was not needed at two looks at least `grace`
// apart and nobody touched it since: whoever is told that something is here touches it (BlobStore::touch,
// TagIndex::touch_blob, LayerStore::touch), in whichever process, and what is taken away is first put aside and put
// back when it was touched meanwhile. So a client that was told "you need not push this layer" finds it when its
// manifest arrives. What can't be read makes the whole look fail: nothing is removed on a guess.
//
// Threads: one at a time. State is in memory: after a restart the first look only looks.
#pragma once
#include <functional>
#include <map>
#include <set>

#include "artifact/content/blob_store.h"
#include "artifact/content/layer_store.h"
#include "artifact/content/tag_index.h"
#include "core/base/clock.h"

namespace caisson::content {

struct Roots {
  std::set<Digest> manifests;  // of images that run, of stand-ins, of what was pulled by name
  std::set<Digest> layers;     // of the build cache
};

struct Collected {
  int manifests = 0, blobs = 0, layers = 0, uploads = 0;
  std::uint64_t bytes = 0;  // of blobs and layers
  bool any() const { return manifests + blobs + layers + uploads > 0; }
};

class Collector {
 public:
  struct Options {
    Duration grace = std::chrono::hours(1);
    Duration upload_max = std::chrono::hours(24);  // an unfinished upload that nobody continued
  };
  // Borrows the stores.
  Collector(BlobStore& blobs, TagIndex& tags, LayerStore& layers, Options options);
  ~Collector();

  // Errors: what could not be read; nothing was removed then.
  Result<Collected> collect(const Roots& roots, Time now);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace caisson::content
