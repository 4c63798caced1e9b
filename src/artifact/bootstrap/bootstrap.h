// SPDX-License-Identifier: Apache-2.0
// Stand-ins: the well-known base images, made from the packages of the distribution on which Caisson runs, when their
// registry can't be reached (or when told to). A stand-in never answers for a digest, and says what it is: label
// dev.caisson.stand-in. What it holds is the distribution's version whatever the tag asks for; the label names both.
//
// Invariant: <directory>/<id> (the manifest's digest) is written after its layer and blobs are durable; a stand-in is
// made once for a data directory. Runs as root, uses the host's apt configuration and package lists, writes nothing
// outside the directories given. Threads: any; one image is made at a time.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "artifact/content/blob_store.h"
#include "artifact/content/layer_store.h"
#include "artifact/content/reference.h"
#include "core/base/result.h"

namespace caisson::bootstrap {

class Bootstrap {
 public:
  struct Options {
    std::string directory;        // <data>/images: which stand-ins there are
    std::string cache_directory;  // packages that were downloaded; <data>/cache/debs, or one that several data
                                  // directories share
  };
  // What is being done, for people: "nginx:alpine: unpacks package 12 of 35". Called on the caller's thread.
  using Progress = std::function<void(std::string_view)>;

  static Result<Bootstrap> open(const Options& options, content::BlobStore& blobs, content::LayerStore& layers);
  Bootstrap(Bootstrap&&) noexcept;
  ~Bootstrap();

  // Whether there is a recipe for the reference: a name of the catalogue, and no digest.
  bool knows(const content::Reference& reference) const;
  // The manifest's digest, when it has been made.
  std::optional<content::Digest> find(const content::Reference& reference) const;
  // Makes it, or finds it. The manifest and the configuration are blobs, the layer is in the LayerStore.
  // Errors: not_found (no recipe, with the names there are; no such package, with the cure), bad_request (a digest),
  // unavailable.
  Result<content::Digest> make(const content::Reference& reference, const Progress& progress = {});
  // The manifests of all that were made. Errors: a record that can't be read.
  Result<std::vector<content::Digest>> made() const;
  // Repositories there are recipes for, as people write them.
  std::vector<std::string> names() const;

 private:
  struct Impl;
  explicit Bootstrap(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace caisson::bootstrap
