// SPDX-License-Identifier: Apache-2.0
// Unpacked layers by diff id (the digest of the plain tar): <root>/<hex>/tree, and <root>/<hex>/recipe, from which the
// tar is streamed again, byte for byte. Of the agent (root): trees hold files that only root reads, device nodes and
// file capabilities.
// Invariant: <root>/<hex> is complete and never changes; work in progress is in <root>/.work. A tree is a lower
// directory of overlayfs: whiteouts are character devices 0:0, opaque directories carry trusted.overlay.opaque. A layer
// without a recipe (a foreign tar whose bytes can't be made again from the tree) is a cache of its blob. Threads: any.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "artifact/content/blob_store.h"
#include "artifact/content/image.h"
#include "artifact/content/source.h"
#include "artifact/content/tar.h"
#include "core/base/clock.h"
#include "core/base/result.h"

namespace caisson::content {

struct LayerInfo {
  Digest diff_id;
  std::uint64_t size_bytes = 0;  // of the tar
  bool operator==(const LayerInfo&) const = default;
};

struct CommitOptions {
  std::vector<std::string> exclude;  // relative paths that are no part of the layer (mount points); below them too
};

class LayerStore : public LayerSource {
 public:
  static Result<std::unique_ptr<LayerStore>> open(std::string_view root, ArchiveLimits limits = {});
  ~LayerStore() override;

  bool has(const Digest& diff_id) override;  // unpacked
  Result<std::uint64_t> size_bytes(const Digest& diff_id) override;
  Result<ByteSource> open(const Digest& diff_id) override;  // not_found also when there is no recipe
  bool has_recipe(const Digest& diff_id);
  std::string tree(const Digest& diff_id) const;  // path for overlayfs' lowerdir
  // The trees of an image, topmost first, as overlayfs wants them: each once, because it refuses a directory twice
  // (empty layers are often equal). The lower of two equal layers adds nothing to what the upper shows.
  std::vector<std::string> lowers(const std::vector<Digest>& diff_ids) const;
  Result<std::vector<Digest>> list();

  // Unpacks a layer's tar: plain, gzip or zstd by its first bytes. Fine when it is there already (`next` is not read
  // then).
  // Errors: bad_request when the tar does not hash to `expected`, is malformed or would leave the tree; too_large.
  Result<LayerInfo> unpack(const Digest& expected, ByteSource next);
  // Takes `directory` (an overlay upper directory, or a whole tree of a base image) into the store by renaming it, so
  // it must be on the same file system; gone afterwards, also when the same layer is there already. The tar is
  // deterministic: sorted, whole seconds. Errors: too_large with more entries than the limits allow.
  Result<LayerInfo> commit(const std::string& directory, const CommitOptions& options = {});
  // fine when absent; the caller knows that nobody mounts it
  Result<void> remove(const Digest& diff_id);
  // Tells the collector that somebody counts on it; false when it is not here.
  bool touch(const Digest& diff_id) const;
  // False when it was touched (or made) since. Fine when absent.
  Result<bool> remove_if_older(const Digest& diff_id, Time than);
  // on the same file system, for what will be committed
  std::string work_dir() const;

 private:
  struct Impl;
  explicit LayerStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Makes every layer of an image unpacked, from blobs where it is not. Gives LayerStore::lowers.
// Errors: not_found with the layer's digest when neither tree nor blob is there.
Result<std::vector<std::string>> ensure_layers(const BlobStore& blobs, LayerStore& layers, const Manifest& manifest,
                                               const ImageConfig& config);

}  // namespace caisson::content
