// SPDX-License-Identifier: Apache-2.0
// Builds with the layer cache, from scratch. Needs root (overlay mounts); what RUN does is tested by
// tests/conformance/dockerfile_test.cc.
#include "artifact/build/build.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include "artifact/container/containers.h"
#include "artifact/content/blob_store.h"
#include "artifact/content/layer_store.h"
#include "core/base/file.h"

using namespace caisson;
using namespace caisson::build;

namespace {

struct Bench {
  TempDir dir = TempDir::make("caisson-build").value();
  content::BlobStore blobs = content::BlobStore::open(dir.path() + "/content").value();
  std::unique_ptr<content::LayerStore> layers = content::LayerStore::open(dir.path() + "/layers").value();
  std::unique_ptr<container::Containers> containers =
      container::Containers::open({.state_root = dir.path() + "/containers", .cgroup_root = "/caisson-buildtest"}, {})
          .value();
  FakeClock clock;
  std::string log;

  void file(const std::string& path, std::string_view text) {
    REQUIRE(make_dirs(path_dir(dir.path() + "/context/" + path)).ok());
    REQUIRE(write_file_unsynced(dir.path() + "/context/" + path, text).ok());
  }
  std::vector<CacheEntry> imported;
  Result<BuildResult> build(const std::string& target = "") {
    log.clear();
    BuildRequest request;
    request.id = "test";
    request.context_dir = dir.path() + "/context";
    request.target = target;
    request.imported_cache = imported;
    request.log = [this](std::string_view text) { log += text; };
    const auto no_image = [](const std::string&, const content::Platform&) -> Result<BaseImage> {
      return Error{ErrorCode::not_found, "there are no images here"};
    };
    return build_image(request, {blobs, *layers, *containers, no_image, dir.path() + "/cache", clock});
  }
};

}  // namespace

TEST_CASE("an unchanged build gives the same image from the cache, later too; a changed file only what depends on it") {
  Bench bench;
  bench.file("Dockerfile",
             "FROM scratch AS a\nCOPY one /1\nFROM a\nCOPY two /2\nWORKDIR /w\nENV A=1\nCOPY --from=a /1 /3\n");
  bench.file("one", "1");
  bench.file("two", "2");
  const Result<BuildResult> first = bench.build();
  REQUIRE_MESSAGE(first.ok(), first.error().message);
  CHECK(first->steps_run == 4);
  bench.clock.advance(std::chrono::hours(1));
  const Result<BuildResult> second = bench.build();
  REQUIRE(second.ok());
  CHECK(second->steps_cached == 4);
  CHECK(second->manifest == first->manifest);

  bench.file("two", "changed");
  const Result<BuildResult> third = bench.build();
  REQUIRE(third.ok());
  CHECK(third->steps_cached == 1);
  CHECK(third->steps_run == 3);
  CHECK(third->manifest != first->manifest);

  bench.file("two", "2");
  const Result<BuildResult> back = bench.build();
  REQUIRE(back.ok());
  CHECK(back->manifest == first->manifest);
}

TEST_CASE("only the stages that the target needs are built") {
  Bench bench;
  bench.file("Dockerfile",
             "FROM no-such-image AS broken\nRUN x\nFROM scratch AS good\nCOPY f /\nFROM broken\nCOPY f /\n");
  bench.file("f", "x");
  CHECK(bench.build("good").ok());
  const Result<BuildResult> last = bench.build();
  REQUIRE_FALSE(last.ok());
  CHECK(last.error().message.find("Dockerfile:1") != std::string::npos);
  CHECK(last.error().message.find("no-such-image") != std::string::npos);
}

TEST_CASE("a link in the image or the context leads nowhere outside") {
  Bench bench;
  const std::string outside = bench.dir.path() + "/outside";
  REQUIRE(make_dirs(outside).ok());
  REQUIRE(write_file_unsynced(outside + "/secret", "s").ok());
  bench.file("Dockerfile", "FROM scratch\nCOPY links /\nCOPY f /out/f\n");
  bench.file("f", "x");
  REQUIRE(make_dirs(bench.dir.path() + "/context/links").ok());
  REQUIRE(::symlink(outside.c_str(), (bench.dir.path() + "/context/links/out").c_str()) == 0);
  REQUIRE(bench.build().ok());
  CHECK(list_dir(outside)->size() == 1);

  bench.file("Dockerfile", "FROM scratch\nCOPY links/out/secret /s\n");
  CHECK_FALSE(bench.build().ok());
}

TEST_CASE("a build that fails leaves no mounts and no scratch files") {
  Bench bench;
  bench.file("Dockerfile", "FROM scratch\nCOPY f /\nCOPY nope /\n");
  bench.file("f", "x");
  const Result<BuildResult> result = bench.build();
  REQUIRE_FALSE(result.ok());
  CHECK(result.error().message == "Dockerfile:3: COPY nope /: \"/nope\": not found");
  CHECK(list_dir(bench.layers->work_dir())->empty());
}

TEST_CASE("a cache that was exported saves the work on another machine, and gives the same image") {
  Bench here, there;
  const std::string file = "FROM scratch AS a\nCOPY one /1\nFROM scratch\nCOPY two /2\nCOPY --from=a /1 /3\n";
  for (Bench* bench : {&here, &there}) {
    bench->file("Dockerfile", file);
    bench->file("one", "1");
    bench->file("two", "2");
  }
  there.clock.advance(std::chrono::hours(1));
  const Result<BuildResult> first = here.build();
  REQUIRE_MESSAGE(first.ok(), first.error().message);
  REQUIRE(first->cache.size() == 3);
  const content::Digest image = write_cache_image(first->cache, here.blobs).value();
  // What a registry carries: manifest, configuration, and the layers' tars.
  for (const content::Digest& digest : here.blobs.list().value())
    REQUIRE(there.blobs.put(digest, here.blobs.open_read(digest).value()).ok());
  for (const CacheEntry& entry : first->cache)
    REQUIRE(there.blobs.put(entry.layer.diff_id, here.layers->open(entry.layer.diff_id).value()).ok());
  there.imported = read_cache_image(image, there.blobs).value();
  CHECK(there.imported == first->cache);
  const Result<BuildResult> second = there.build();
  REQUIRE_MESSAGE(second.ok(), second.error().message);
  CHECK(second->steps_run == 0);
  CHECK(second->manifest == first->manifest);
  // It is no one else's: without it, everything is made again.
  there.imported.clear();
  CHECK(there.build()->steps_cached == 0);
  CHECK_FALSE(read_cache_image(first->manifest, here.blobs).ok());
}

TEST_CASE("where a cache goes and comes from") {
  CHECK(parse_cache_option("cache-to", "type=registry,ref=h/r:t,mode=max").value() == CacheOption{"h/r:t", true});
  CHECK(parse_cache_option("cache-from", "h/r").value() == CacheOption{"h/r", false});
  const auto refusal = [](std::string_view text) { return parse_cache_option("cache-to", text).error().message; };
  CHECK(refusal("type=gha") == "--cache-to type=gha: type=gha is not supported, only type=registry");
  CHECK(refusal("type=registry") == "--cache-to type=registry: ref= is missing");
  CHECK(refusal("ref=a,mode=all") == "--cache-to ref=a,mode=all: \"mode=all\" is not supported");
}
