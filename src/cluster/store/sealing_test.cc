// SPDX-License-Identifier: Apache-2.0
#include "cluster/store/sealing.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "cluster/store/store.h"
#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/random.h"

using namespace caisson;
using namespace caisson::store;

namespace {

struct Folder {
  TempDir dir = TempDir::make("sealing").value();
  FakeClock clock;
  std::string file = dir.path() + "/store.db", keys = file + ".key";

  Result<std::unique_ptr<Store>> open(StoreOptions options = {}) { return Store::open(file, clock, options); }
  // Everything that SQLite has on disk.
  std::string bytes() const {
    std::string out = read_file(file).value();
    if (exists(file + "-wal")) out += read_file(file + "-wal").value();
    return out;
  }
};

Change secret(std::string_view name, std::string_view word) {
  return {.key = {"secrets", "shop", std::string(name)},
          .value = Value{{"kind", "Secret"}, {"metadata", Value{{"name", name}}}, {"data", Value{{"word", word}}}}};
}

std::string word(Store& store, std::string_view name) {
  const ItemPtr item = store.get("secrets", "shop", name);
  return item ? item->value()["data"]["word"].str() : "";
}

}  // namespace

TEST_CASE("what is sealed opens in its own place only, and whole only") {
  Folder folder;
  const Sealer sealer = Sealer::open(folder.keys).value();
  const std::string sealed = sealer.seal("a", "open sesame").value();
  CHECK(sealed.find("sesame") == std::string::npos);
  CHECK(sealer.unseal("a", sealed).value() == "open sesame");
  CHECK(sealer.unseal("b", sealed).error().message == "AES-GCM: the text was changed, or belongs elsewhere");
  std::string changed = sealed;
  changed[changed.size() - 3] = changed[changed.size() - 3] == 'A' ? 'B' : 'A';
  CHECK_FALSE(sealer.unseal("a", changed).ok());
  CHECK_FALSE(sealer.unseal("a", sealed.substr(0, 24)).ok());
  CHECK_FALSE(sealer.unseal("a", "{}").ok());
  CHECK(sealer.seal("a", "open sesame").value() != sealed);  // another nonce
}

TEST_CASE("a key file is made once, for its owner alone, and a damaged one is refused") {
  Folder folder;
  REQUIRE(Sealer::open(folder.keys).ok());
  struct stat status {};
  REQUIRE(::stat(folder.keys.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  const std::string made = read_file(folder.keys).value();
  REQUIRE(Sealer::open(folder.keys).ok());
  CHECK(read_file(folder.keys).value() == made);
  for (const char* text : {"", "id\n", "id c2hvcnQ=\n"}) {
    REQUIRE(write_file(folder.keys, text).ok());
    CHECK_FALSE(Sealer::open(folder.keys).ok());
  }
}

TEST_CASE("Secrets lie sealed on disk and are read back; other objects stay readable") {
  Folder folder;
  auto store = folder.open().value();
  REQUIRE(store->commit({secret("s", "xyzzy-word")}).ok());
  REQUIRE(store->commit({{.key = {"configmaps", "shop", "c"}, .value = Value{{"data", "plain-word"}}}}).ok());
  CHECK(folder.bytes().find("xyzzy-word") == std::string::npos);
  CHECK(folder.bytes().find("plain-word") != std::string::npos);
  store.reset();
  store = folder.open().value();
  CHECK(word(*store, "s") == "xyzzy-word");
}

TEST_CASE("Secrets from before there was a key, or of an older one, are sealed anew when the store opens") {
  Folder folder;
  auto store = folder.open({.sealed_resources = {}}).value();
  REQUIRE(store->commit({secret("s", "xyzzy-word")}).ok());
  store.reset();
  CHECK(folder.bytes().find("xyzzy-word") != std::string::npos);
  store = folder.open().value();
  store.reset();
  CHECK(folder.bytes().find("xyzzy-word") == std::string::npos);
  const std::string old_keys = read_file(folder.keys).value();
  REQUIRE(write_file(folder.keys, "new " + base64(random_bytes(32)) + "\n" + old_keys).ok());
  store = folder.open().value();
  CHECK(word(*store, "s") == "xyzzy-word");
  store.reset();
  CHECK(folder.bytes().find("sealed:v1:new:") != std::string::npos);
  CHECK(folder.bytes().find("sealed:v1:" + old_keys.substr(0, 8)) == std::string::npos);
  REQUIRE(write_file(folder.keys, read_file(folder.keys).value().substr(0, 49)).ok());  // the old line may go
  store = folder.open().value();
  CHECK(word(*store, "s") == "xyzzy-word");
}

TEST_CASE("without its key the store does not open, and names the key") {
  Folder folder;
  auto store = folder.open().value();
  REQUIRE(store->commit({secret("s", "xyzzy-word")}).ok());
  store.reset();
  REQUIRE(write_file(folder.keys, "other " + base64(random_bytes(32)) + "\n").ok());
  const auto opened = folder.open();
  REQUIRE_FALSE(opened.ok());
  CHECK(opened.error().message.find("secrets/shop/s") != std::string::npos);
  CHECK(opened.error().message.find("is not in the key file") != std::string::npos);
}
