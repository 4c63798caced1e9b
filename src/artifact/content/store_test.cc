// SPDX-License-Identifier: Apache-2.0
// Blobs and tags on disk.
#include <doctest/doctest.h>

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
