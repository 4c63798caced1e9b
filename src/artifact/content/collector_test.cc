// SPDX-License-Identifier: Apache-2.0
#include "artifact/content/collector.h"

#include <doctest/doctest.h>

#include "core/base/file.h"

namespace caisson::content {
namespace {

// Stores with images in them. `grace` is zero: what nobody needed at two looks goes, unless it was touched after the
// second began.
struct Stores {
  TempDir dir = TempDir::make().value();
  BlobStore blobs = BlobStore::open(dir.path() + "/content").value();
  TagIndex tags = TagIndex::open(dir.path() + "/content").value();
  std::unique_ptr<LayerStore> layers = LayerStore::open(dir.path() + "/layers").value();
  Collector collector{blobs, tags, *layers, {.grace = Duration(0), .upload_max = std::chrono::hours(24)}};
  Roots roots;

  Digest built_layer(const std::string& name) {
    const std::string work = layers->work_dir() + "/" + name;
    REQUIRE(make_dirs(work).ok());
    REQUIRE(write_file(work + "/" + name, name).ok());
    return layers->commit(work).value().diff_id;
  }
  // An image of one pushed layer and one built here.
  Digest image(const std::string& repository, const std::string& name, const std::string& tag) {
    const Digest pushed = blobs.put_bytes("layer of " + name).value(), built = built_layer(name);
    ImageConfig config;
    config.author = name;
    config.diff_ids = {Digest::of("plain " + name), built};
    const std::string config_bytes = write_config(config);
    Manifest manifest;
    manifest.config = {"application/vnd.oci.image.config.v1+json", blobs.put_bytes(config_bytes).value(),
                       config_bytes.size()};
    manifest.layers = {{std::string(kOciLayer), pushed, 1}, {std::string(kOciLayer), built, 1}};
    for (const Digest& digest : {manifest.config.digest, pushed, built})
      REQUIRE(tags.add_blob(repository, digest).ok());
    return put(repository, write_manifest(manifest), kOciManifest, tag);
  }
  Digest put(const std::string& repository, const std::string& bytes, std::string_view type, const std::string& tag) {
    const Digest digest = blobs.put_bytes(bytes).value();
    REQUIRE(tags.add_manifest(repository, digest, type).ok());
    if (!tag.empty()) REQUIRE(tags.set(repository, tag, digest).ok());
    return digest;
  }
  Collected look() {
    auto collected = collector.collect(roots, system_clock().now());
    REQUIRE_MESSAGE(collected.ok(), (collected.ok() ? "" : collected.error().message));
    return *collected;
  }
  Collected look_twice() {
    CHECK(!look().any());
    return look();
  }
};

}  // namespace

TEST_CASE("collector: what a tag leads to stays, and an image whose tag moved goes with what only it needs") {
  Stores s;
  const Digest old = s.image("shop/web", "old", "v1"), now = s.image("shop/web", "new", "v1");
  const Collected gone = s.look_twice();
  CHECK(gone.manifests == 1);
  CHECK(!s.tags.manifest_type("shop/web", old).ok());
  CHECK(s.tags.manifest_type("shop/web", now).ok());
  CHECK(gone.blobs == 3);
  CHECK(gone.layers == 1);
  CHECK(s.blobs.list()->size() == 3);  // manifest, configuration, pushed layer
  CHECK(s.layers->list()->size() == 1);
  CHECK(s.tags.blobs("shop/web")->size() == 3);
}

TEST_CASE("collector: indexes, referrers and referrers of referrers stay with what they belong to, and go with it") {
  Stores s;
  const Digest child = s.image("shop/web", "amd64", "");
  Index index;
  index.manifests.push_back({std::string(kOciManifest), child, 1});
  const Digest top = s.put("shop/web", write_index(index), kOciIndex, "v1");
  Manifest sbom;
  sbom.artifact_type = "application/spdx+json";
  sbom.config = {std::string(kOciEmpty), s.blobs.put_bytes("{}").value(), 2};
  sbom.subject = Descriptor{std::string(kOciIndex), top, 1};
  const Digest first = s.put("shop/web", write_manifest(sbom), kOciManifest, "");
  REQUIRE(s.tags.add_referrer("shop/web", top, {std::string(kOciManifest), first, 1}).ok());
  sbom.subject = Descriptor{std::string(kOciManifest), first, 1};
  const Digest second = s.put("shop/web", write_manifest(sbom), kOciManifest, "");
  REQUIRE(s.tags.add_referrer("shop/web", first, {std::string(kOciManifest), second, 1}).ok());
  CHECK(s.look_twice().manifests == 0);

  REQUIRE(s.tags.remove("shop/web", "v1").ok());
  CHECK(s.look_twice().manifests == 4);
  CHECK(s.tags.referrers("shop/web", top)->empty());
  CHECK(s.blobs.list()->empty());
  CHECK(s.layers->list()->empty());
}

TEST_CASE("collector: what runs stays though its tag moved, and goes when it has ended") {
  Stores s;
  const Digest running = s.image("shop/web", "old", "v1");
  s.image("shop/web", "new", "v1");
  s.roots.manifests.insert(running);
  CHECK(s.look_twice().manifests == 0);
  s.roots.manifests.clear();
  CHECK(s.look_twice().manifests == 1);
}

TEST_CASE("collector: what others pulled by name and what the build cache has stays without a repository") {
  Stores s;
  const Digest pulled = s.image("x", "pulled", "");
  REQUIRE(s.tags.remove_manifest("x", pulled).ok());
  for (const Digest& link : s.tags.blobs("x").value()) REQUIRE(s.tags.remove_blob("x", link).ok());
  const Digest cached = s.built_layer("cached");
  s.roots.manifests.insert(pulled);
  s.roots.layers.insert(cached);
  CHECK(!s.look_twice().any());
  s.roots.layers.clear();
  CHECK(s.look_twice().layers == 1);
  CHECK(!s.layers->has(cached));
}

TEST_CASE("collector: a layer that a client was told of between two looks is there when its manifest comes") {
  Stores s;
  const Digest layer = s.blobs.put_bytes("a layer").value();
  REQUIRE(s.tags.add_blob("shop/web", layer).ok());
  s.look();
  const Time began = system_clock().now();
  CHECK(s.tags.touch_blob("shop/web", layer));  // HEAD: "it is here"
  REQUIRE(s.collector.collect(s.roots, began).ok());
  CHECK(s.tags.has_blob("shop/web", layer));
  CHECK(s.blobs.has(layer));
}

TEST_CASE("collector: a manifest that can't be read stops everything, so nothing goes on a guess") {
  Stores s;
  s.image("shop/web", "good", "v1");
  const Digest stray = s.blobs.put_bytes("stray").value();
  s.put("shop/broken", "not a manifest", kOciManifest, "v1");
  for (int i = 0; i < 3; ++i) CHECK(!s.collector.collect(s.roots, system_clock().now()).ok());
  CHECK(s.blobs.has(stray));
}

TEST_CASE("collector: an unfinished upload goes when nobody continued it for a day") {
  Stores s;
  const std::string id = s.blobs.begin_upload().value();
  CHECK(s.collector.collect(s.roots, system_clock().now() + std::chrono::hours(23))->uploads == 0);
  CHECK(s.collector.collect(s.roots, system_clock().now() + std::chrono::hours(25))->uploads == 1);
  CHECK(!s.blobs.upload_size_bytes(id).ok());
}

}  // namespace caisson::content
