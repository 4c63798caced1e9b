// SPDX-License-Identifier: Apache-2.0
// The collector at work in the agent: what of images and layers is needed on this machine (tags of the registry, images
// of pods, what was pulled by name, stand-ins, the build cache), when it is looked at, and what goes when the disk
// fills.
//
// At every look (an hour apart), what nobody needed at two looks goes, and so do tags that were pulled through and that
// nobody pulled for a week. When the file system is fuller than `disk_high`,
// images that no pod uses and build results that nobody used for a day are not needed either, and looks come at least
// every five minutes until it is below `disk_low` (the thresholds and their names are the kubelet's:
// imageGCHighThresholdPercent …).
#pragma once
#include <functional>
#include <memory>
#include <string_view>

#include "artifact/bootstrap/bootstrap.h"
#include "artifact/content/collector.h"
#include "cluster/kube/reconciler.h"

namespace caisson::platform {

struct CollectionOptions {
  std::string images_directory;       // node::ImageOptions::directory
  std::string build_cache_directory;  // build's cache_dir
  std::string data_directory;         // whose file system is watched
  Duration every = std::chrono::hours(1);
  int disk_high = 85, disk_low = 80;                 // per cent
  Duration cache_keep = std::chrono::hours(24 * 7);  // of build results that nobody used
  // Whether a repository stands for another registry's; empty: none does.
  std::function<Result<bool>(std::string_view repository)> is_proxied;
  Duration proxied_keep = std::chrono::hours(24 * 7);  // of its tags that nobody pulled
};

class Collection {
 public:
  // Borrows all but the options. Threads: its own.
  static std::unique_ptr<Collection> start(content::BlobStore& blobs, content::TagIndex& tags,
                                           content::LayerStore& layers, const bootstrap::Bootstrap& stand_ins,
                                           kube::Runtime& runtime, CollectionOptions options);
  ~Collection();

 private:
  struct Impl;
  explicit Collection(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace caisson::platform
