// SPDX-License-Identifier: Apache-2.0
// Blobs and tags on disk.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "artifact/content/blob_store.h"
#include "artifact/content/tag_index.h"
#include "core/base/file.h"

using namespace caisson;
using namespace caisson::content;

TEST_CASE("a blob is readable in whole and in part after it was put, also by a store opened anew") {
  const Result<TempDir> dir = TempDir::make();
  Result<BlobStore> store = BlobStore::open(dir->path());
  REQUIRE(store.ok());
  BlobStore blobs = std::move(store).value();
  const std::string bytes = "hello blob";
  const Result<Digest> digest = blobs.put_bytes(bytes);
  REQUIRE(digest.ok());
  CHECK(*digest == Digest::of(bytes));
  const Result<BlobStore> again = BlobStore::open(dir->path());
  CHECK(*again->size_bytes(*digest) == bytes.size());
  CHECK(*again->read(*digest, 100) == bytes);
  const Result<ByteSource> part = again->open_read(*digest, 6, 3);
  CHECK(*read_all(*part, 100) == "blo");
  CHECK(again->read(Digest::of("other"), 100).error().code == ErrorCode::not_found);
}

TEST_CASE("bytes that do not hash to the digest never become a blob") {
  const Result<TempDir> dir = TempDir::make();
  BlobStore blobs = BlobStore::open(dir->path()).value();
  const Digest wrong = Digest::of("something else");
  const Result<void> put = blobs.put(wrong, from_string("bytes"));
  REQUIRE_FALSE(put.ok());
  CHECK(put.error().code == ErrorCode::bad_request);
  CHECK_FALSE(blobs.has(wrong));
  CHECK(list_dir(dir->path() + "/uploads")->empty());
}

TEST_CASE("an upload goes on after a cut, and after a restart that lost its hash") {
  const Result<TempDir> dir = TempDir::make();
  BlobStore first = BlobStore::open(dir->path()).value();
  const std::string id = first.begin_upload().value();
  int calls = 0;
  const Result<std::uint64_t> cut = first.append_upload(id, [&]() -> Result<std::string> {
    if (calls++ == 0) return std::string("abc");
    return Error{ErrorCode::bad_request, "cut off"};
  });
  CHECK_FALSE(cut.ok());
  CHECK(*first.upload_size_bytes(id) == 3);
  CHECK(*first.append_upload(id, from_string("def")) == 6);
  BlobStore second = BlobStore::open(dir->path()).value();
  CHECK(*second.append_upload(id, from_string("ghi")) == 9);
  CHECK(second.finish_upload(id, Digest::of("abcdefghi")).ok());
  CHECK(second.has(Digest::of("abcdefghi")));
  CHECK(second.upload_size_bytes("../../etc/passwd").error().code == ErrorCode::not_found);
}

TEST_CASE("sha512 blobs are held like others") {
  const Result<TempDir> dir = TempDir::make();
  BlobStore blobs = BlobStore::open(dir->path()).value();
  Hasher hasher("sha512");
  hasher.update("x");
  const Digest digest = hasher.finish();
  REQUIRE(blobs.put(digest, from_string("x")).ok());
  CHECK(*blobs.read(digest, 10) == "x");
}

TEST_CASE("a tag names only a manifest that is there, moves, and goes with it") {
  const Result<TempDir> dir = TempDir::make();
  TagIndex tags = TagIndex::open(dir->path()).value();
  const Digest one = Digest::of("1"), two = Digest::of("2");
  CHECK(tags.set("shop/web", "v1", one).error().code == ErrorCode::not_found);
  CHECK(tags.tags("shop/web").error().code == ErrorCode::not_found);
  REQUIRE(tags.add_manifest("shop/web", one, kOciManifest).ok());
  REQUIRE(tags.add_manifest("shop/web", two, kDockerManifest).ok());
  REQUIRE(tags.set("shop/web", "v1", one).ok());
  REQUIRE(tags.set("shop/web", "latest", one).ok());
  CHECK(*tags.find("shop/web", "v1") == one);
  REQUIRE(tags.set("shop/web", "v1", two).ok());
  CHECK(*tags.find("shop/web", "v1") == two);
  CHECK(*tags.tags("shop/web") == std::vector<std::string>{"latest", "v1"});
  CHECK(*tags.manifest_type("shop/web", two) == kDockerManifest);
  REQUIRE(tags.remove_manifest("shop/web", two).ok());
  CHECK(*tags.tags("shop/web") == std::vector<std::string>{"latest"});
  REQUIRE(tags.add_manifest("shop/web/inner", one, kOciManifest).ok());
  CHECK(*tags.repositories() == std::vector<std::string>{"shop/web", "shop/web/inner"});
  for (const char* bad : {"../x", "a/../b", "", "A", "_tags"}) CHECK_FALSE(tags.add_manifest(bad, one, "t").ok());
  CHECK_FALSE(tags.find("shop/web", "../v1").ok());
}

namespace {

// Pushes images to one tag for ever, a byte to `progress` after each step, as the registry does it.
[[noreturn]] void push_for_ever(const std::string& root, int progress) {
  BlobStore blobs = BlobStore::open(root).value();
  TagIndex tags = TagIndex::open(root).value();
  const auto step = [&] {
    if (::write(progress, ".", 1) != 1) ::_exit(1);
  };
  for (int n = 0;; ++n) {
    const std::string bytes = std::to_string(::getpid()) + " " + std::to_string(n) + std::string(20'000, 'x');
    const std::string id = blobs.begin_upload().value();
    step();
    if (!blobs.append_upload(id, from_string(bytes.substr(0, 10'000))).ok()) ::_exit(1);
    step();
    if (!blobs.append_upload(id, from_string(bytes.substr(10'000))).ok()) ::_exit(1);
    step();
    const Digest digest = Digest::of(bytes);
    if (!blobs.finish_upload(id, digest).ok() || !tags.add_blob("a/b", digest).ok()) ::_exit(1);
    step();
    if (!tags.add_manifest("a/b", digest, kOciManifest).ok()) ::_exit(1);
    step();
    if (!tags.set("a/b", "v1", digest).ok()) ::_exit(1);
    step();
  }
}

}  // namespace

TEST_CASE("killed at any moment, every blob is whole and the tag names what is there") {
  const TempDir dir = TempDir::make().value();
  int last_tag = 0;
  for (int kill_after = 1; kill_after <= 60; ++kill_after) {
    CAPTURE(kill_after);
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      ::close(ends[0]);
      push_for_ever(dir.path(), ends[1]);
    }
    ::close(ends[1]);
    char byte = 0;
    for (int i = 0; i < kill_after; ++i) REQUIRE(::read(ends[0], &byte, 1) == 1);
    ::kill(child, SIGKILL);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    ::close(ends[0]);
    BlobStore blobs = BlobStore::open(dir.path()).value();
    const TagIndex tags = TagIndex::open(dir.path()).value();
    for (const Digest& digest : blobs.list().value())
      REQUIRE(Digest::of(blobs.read(digest, 1u << 20).value()) == digest);
    const Result<Digest> tagged = tags.find("a/b", "v1");
    if (!tagged.ok()) {
      CHECK(last_tag == 0);
      continue;
    }
    ++last_tag;
    CHECK(tags.manifest_type("a/b", *tagged).value() == kOciManifest);
    CHECK(tags.has_blob("a/b", *tagged));
    CHECK(blobs.has(*tagged));
  }
  CHECK(last_tag > 40);
  // What was cut off goes with its time.
  BlobStore blobs = BlobStore::open(dir.path()).value();
  CHECK(blobs.expire_uploads(system_clock().now() + std::chrono::hours(1)).value() > 0);
  CHECK(list_dir(dir.path() + "/uploads")->empty());
}
