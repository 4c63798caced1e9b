// SPDX-License-Identifier: Apache-2.0
#include "main/platform/collection.h"

#include <sys/statvfs.h>

#include <condition_variable>
#include <thread>

#include "artifact/build/cache.h"
#include "artifact/registry/pull_through.h"
#include "core/base/log.h"
#include "machine/node/images.h"

namespace caisson::platform {

using content::Digest;

namespace {

constexpr Duration kUnderPressureEvery = std::chrono::minutes(5), kFirst = std::chrono::minutes(10);
constexpr Duration kUnusedUnderPressure = std::chrono::hours(24);  // of build results and proxied tags

// "localhost:5000/shop/web@sha256:…" to its digest.
std::optional<Digest> digest_of(std::string_view image) {
  const auto at = image.rfind('@');
  if (at == std::string_view::npos) return std::nullopt;
  const auto digest = Digest::parse(std::string(image.substr(at + 1)));
  return digest.ok() ? std::optional(*digest) : std::nullopt;
}

// Per cent of the file system that is used; nothing when it can't be told.
std::optional<int> disk_used(const std::string& path) {
  struct statvfs info {};
  if (::statvfs(path.c_str(), &info) != 0 || info.f_blocks == 0) return std::nullopt;
  return static_cast<int>(100 - info.f_bavail * 100 / info.f_blocks);
}

}  // namespace

struct Collection::Impl {
  content::BlobStore& blobs;
  content::TagIndex& tags;
  content::LayerStore& layers;
  const bootstrap::Bootstrap& stand_ins;
  kube::Informer& pods;
  CollectionOptions options;
  content::Collector collector;
  content::Collector urgent;  // with less patience, for a disk that is filling
  bool pressed = false;

  std::mutex mutex;
  std::condition_variable changed;
  bool stopping = false;  // GUARDED_BY(mutex)
  std::thread thread;

  void run() {
    if (!pause(std::min(kFirst, options.every))) return;
    do look();
    while (pause(pressed ? std::min(kUnderPressureEvery, options.every) : options.every));
  }

  bool pause(Duration time) {
    std::unique_lock lock(mutex);
    changed.wait_for(lock, time, [this] { return stopping; });
    return !stopping;
  }

  void look() {
    const int used = disk_used(options.data_directory).value_or(0);
    if (used >= options.disk_high) pressed = true;
    if (used < options.disk_low) pressed = false;
    const auto collected = collect();
    if (!collected.ok()) return log::error("nothing was collected", {{"error", collected.error()}});
    if (collected->any())
      log::info("collected", {{"manifests", collected->manifests},
                              {"blobs", collected->blobs},
                              {"layers", collected->layers},
                              {"uploads", collected->uploads},
                              {"bytes", collected->bytes}});
    if (pressed && !collected->any())
      log::warning("the disk is nearly full, and no image or layer is unneeded",
                   {{"used_percent", used},
                    {"hint", "delete tags with 'caisson image rm', or make room for " + options.data_directory}});
  }

  // Not to know whose they are keeps them.
  void expire_proxied(Time now) {
    if (!options.is_proxied) return;
    const Duration keep = pressed ? std::min(kUnusedUnderPressure, options.proxied_keep) : options.proxied_keep;
    const Result<int> gone = registry::expire_tags(tags, options.is_proxied, now - keep);
    if (!gone.ok()) return log::warning("no proxied tag expired", {{"error", gone.error()}});
    if (*gone > 0) log::info("proxied tags expired", {{"tags", *gone}});
  }

  Result<content::Collected> collect() {
    const Time now = system_clock().now();
    if (!pods.synced()) return Error{ErrorCode::unavailable, "the pods of this node are not known yet"};
    expire_proxied(now);
    const std::set<Digest> running = images_of_pods();
    content::Roots roots;
    roots.manifests = running;
    for (const node::FetchedImage& image : TRY(node::fetched_images(options.images_directory))) {
      const bool unused = !running.contains(image.digest) && now - image.used_at > std::chrono::hours(1);
      if (pressed && unused)
        TRY(node::forget_image(options.images_directory, image.name));
      else
        roots.manifests.insert(image.digest);
    }
    for (const Digest& digest : TRY(stand_ins.made())) roots.manifests.insert(digest);
    build::CacheIndex cache(options.build_cache_directory);
    roots.layers = TRY(cache.layers(now - (pressed ? kUnusedUnderPressure : options.cache_keep)));
    return (pressed ? urgent : collector).collect(roots, now);
  }

  // Of every pod that has not ended. A pod that is only about to start has its image in the records or behind a tag.
  std::set<Digest> images_of_pods() const {
    std::set<Digest> all;
    for (const kube::Object& pod : pods.list()) {
      for (const char* kind : {"initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"})
        for (const Value& status : pod.status()[kind].items())
          if (const auto digest = digest_of(status["imageID"].as_string())) all.insert(*digest);
      for (const char* kind : {"initContainers", "containers", "ephemeralContainers"})
        for (const Value& container : pod.spec()[kind].items())
          if (const auto digest = digest_of(container["image"].as_string())) all.insert(*digest);
    }
    return all;
  }
};

Collection::Collection(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Collection::~Collection() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->changed.notify_all();
  impl_->thread.join();
}

std::unique_ptr<Collection> Collection::start(content::BlobStore& blobs, content::TagIndex& tags,
                                              content::LayerStore& layers, const bootstrap::Bootstrap& stand_ins,
                                              kube::Runtime& runtime, CollectionOptions options) {
  const Duration every = options.every;
  auto impl = std::unique_ptr<Impl>(
      new Impl{blobs, tags, layers, stand_ins, runtime.informer(schema::kPods), std::move(options),
               content::Collector(blobs, tags, layers, {.grace = every}),
               content::Collector(blobs, tags, layers, {.grace = std::min(kUnderPressureEvery, every)})});
  Impl* own = impl.get();
  own->thread = std::thread([own] { own->run(); });
  return std::unique_ptr<Collection>(new Collection(std::move(impl)));
}

}  // namespace caisson::platform
