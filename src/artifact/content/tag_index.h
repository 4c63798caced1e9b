// SPDX-License-Identifier: Apache-2.0
// What a repository holds: tags, manifests, links to blobs. Files below <root>/tags/<repository>/: `_tags/<tag>` (a
// digest), `_manifests/<algorithm>-<hex>` (a media type), `_blobs/<algorithm>-<hex>` (empty),
// `_referrers/<subject>/<manifest>` (a descriptor).
// Invariant: every change is one durable rename, and a tag is written only after what it names (the caller stores blobs
// and manifest first). Threads and processes: any; of two writers of one tag the later wins.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "artifact/content/digest.h"
#include "artifact/content/image.h"
#include "core/base/clock.h"
#include "core/base/result.h"

namespace caisson::content {

class TagIndex {
 public:
  static Result<TagIndex> open(std::string_view root);  // "<data>/content"
  TagIndex(TagIndex&&) noexcept;
  ~TagIndex();

  // Errors: not_found, which names repository and tag.
  Result<Digest> find(std::string_view repository, std::string_view tag) const;
  // REQUIRES: the manifest is linked. Errors: not_found when it is not.
  Result<void> set(std::string_view repository, std::string_view tag, const Digest& manifest);
  Result<void> remove(std::string_view repository, std::string_view tag);  // not_found
  // Says that somebody uses the tag; false when it is not there.
  bool touch(std::string_view repository, std::string_view tag) const;
  // False when it was touched or written since. Fine when absent.
  Result<bool> remove_if_older(std::string_view repository, std::string_view tag, Time than);
  // sorted; not_found: no such repository
  Result<std::vector<std::string>> tags(std::string_view repository) const;
  Result<std::vector<std::string>> repositories() const;  // sorted

  // Manifests of the repository.
  Result<void> add_manifest(std::string_view repository, const Digest& manifest, std::string_view media_type);
  Result<std::string> manifest_type(std::string_view repository, const Digest& manifest) const;  // not_found
  Result<void> remove_manifest(std::string_view repository, const Digest& manifest);  // and the tags that name it
  Result<std::vector<Digest>> manifests(std::string_view repository) const;

  // Blobs that may be read through the repository.
  Result<void> add_blob(std::string_view repository, const Digest& blob);
  bool has_blob(std::string_view repository, const Digest& blob) const;
  Result<void> remove_blob(std::string_view repository, const Digest& blob);
  Result<std::vector<Digest>> blobs(std::string_view repository) const;
  // Tells the collector that somebody counts on it; false when it is not there.
  bool touch_blob(std::string_view repository, const Digest& blob) const;

  bool touch_manifest(std::string_view repository, const Digest& manifest) const;

  // For the collector: false when it was touched or written since.
  Result<bool> remove_blob_if_older(std::string_view repository, const Digest& blob, Time than);
  // The manifest is named by no tag.
  Result<bool> remove_manifest_if_older(std::string_view repository, const Digest& manifest, Time than);

  // Descriptors of manifests whose subject is `subject`.
  Result<void> add_referrer(std::string_view repository, const Digest& subject, const Descriptor& referrer);
  Result<void> remove_referrer(std::string_view repository, const Digest& subject, const Digest& referrer);
  Result<std::vector<Descriptor>> referrers(std::string_view repository, const Digest& subject) const;

 private:
  struct Impl;
  explicit TagIndex(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace caisson::content
