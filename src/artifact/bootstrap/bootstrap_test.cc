// SPDX-License-Identifier: Apache-2.0
// Needs root and the host's package lists. CAISSON_STAND_INS names what is made beside busybox ("all", or "redis
// node:20"); with CAISSON_DEB_CACHE packages are kept between runs.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <cstdlib>

#include "artifact/bootstrap/bootstrap.h"
#include "artifact/bootstrap/recipe.h"
#include "artifact/content/image.h"
#include "core/base/file.h"
#include "core/base/process.h"
#include "core/base/text.h"

using namespace caisson;
using namespace caisson::bootstrap;

namespace {

content::Reference reference(std::string_view text) {
  auto parsed = content::parse_reference(text, {});
  REQUIRE(parsed.ok());
  return *parsed;
}

struct Stores {
  TempDir dir;
  content::BlobStore blobs;
  std::unique_ptr<content::LayerStore> layers;
  Bootstrap bootstrap;

  static Stores make() {
    auto dir = TempDir::make();
    REQUIRE(dir.ok());
    auto blobs = content::BlobStore::open((*dir).path() + "/content");
    REQUIRE(blobs.ok());
    auto layers = content::LayerStore::open((*dir).path() + "/layers");
    REQUIRE(layers.ok());
    return Stores(std::move(dir).value(), std::move(blobs).value(), std::move(layers).value());
  }

 private:
  Stores(TempDir d, content::BlobStore b, std::unique_ptr<content::LayerStore> l)
      : dir(std::move(d)), blobs(std::move(b)), layers(std::move(l)), bootstrap(opened()) {}
  Bootstrap opened() {
    const char* cache = std::getenv("CAISSON_DEB_CACHE");
    auto out = Bootstrap::open({dir.path() + "/images", cache ? cache : dir.path() + "/cache/debs"}, blobs, *layers);
    REQUIRE(out.ok());
    return std::move(out).value();
  }
};

content::ImageConfig config_of(const Stores& stores, const content::Digest& digest) {
  const auto manifest = content::parse_manifest(*stores.blobs.read(digest, content::kManifestBytesMax));
  REQUIRE(manifest.ok());
  const auto config = content::parse_config(*stores.blobs.read((*manifest).config.digest, content::kConfigBytesMax));
  REQUIRE(config.ok());
  return *config;
}

// Runs a program in the tree, which is copied so that the store's stays as it is.
Exit run_in(const std::string& tree, std::vector<std::string> args) {
  Command command;
  command.args = {"chroot", tree};
  command.args.insert(command.args.end(), args.begin(), args.end());
  command.clear_env = true;
  command.env = {{"PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/usr/lib/postgresql/15/bin"}};
  auto done = run(command);
  REQUIRE(done.ok());
  return *done;
}

}  // namespace

TEST_CASE("a recipe is found by repository and tag, never for a digest or for our own registry") {
  CHECK(find_recipe(reference("nginx"))->id == "nginx");
  CHECK(find_recipe(reference("nginx:1.25-alpine"))->id == "nginx-alpine");
  CHECK(find_recipe(reference("nginxinc/nginx-unprivileged:alpine"))->exposed_ports.front() == "8080/tcp");
  CHECK(find_recipe(reference("debian:bookworm-slim"))->id == "debian");
  CHECK(find_recipe(reference("eclipse-temurin:17-jre"))->id == "jre");
  CHECK(find_recipe(reference("eclipse-temurin:17"))->id == "jdk");
  CHECK(find_recipe(reference("gcr.io/distroless/static:nonroot"))->user == "65532");
  CHECK_FALSE(find_recipe(reference("nginx@sha256:" + std::string(64, 'a'))));
  CHECK_FALSE(find_recipe(reference("localhost:5000/library/nginx")));
  CHECK_FALSE(find_recipe(reference("example.org/nginx")));
}

TEST_CASE("busybox is made once, runs, and its account tools take both dialects") {
  Stores stores = Stores::make();
  std::vector<std::string> said;
  const auto made =
      stores.bootstrap.make(reference("busybox:1.36"), [&](std::string_view text) { said.emplace_back(text); });
  REQUIRE_MESSAGE(made.ok(), (made.ok() ? "" : made.error().message));
  CHECK_FALSE(said.empty());
  said.clear();
  CHECK(*stores.bootstrap.make(reference("busybox"), [&](std::string_view text) { said.emplace_back(text); }) == *made);
  CHECK(said.empty());
  const content::ImageConfig config = config_of(stores, *made);
  CHECK(config.cmd == std::vector<std::string>{"sh"});
  CHECK_FALSE(config.label(content::kStandInLabel).empty());

  const std::string copy = stores.dir.path() + "/copy";
  REQUIRE(run_checked({.args = {"cp", "-a", stores.layers->tree(config.diff_ids.front()), copy}}).ok());
  const auto sh = [&](const std::string& script) {
    const Exit exit = run_in(copy, {"sh", "-ec", script});
    return exit.ok() ? exit.out : "failed: " + exit.err;
  };
  CHECK(sh("addgroup -S -g 1001 app; adduser -S -D -H -u 1001 -G app app; grep ^app: /etc/passwd /etc/group") ==
        "/etc/passwd:app:x:1001:1001::/home/app:/bin/sh\n/etc/group:app:x:1001:\n");
  CHECK(sh("groupadd --gid=1002 web; useradd --system --uid 1002 --gid web --no-create-home --shell /usr/sbin/nologin "
           "web; "
           "grep ^web: /etc/passwd") == "web:x:1002:1002::/home/web:/usr/sbin/nologin\n");
  CHECK(sh("useradd -m -u 1003 -G web,app joe; grep -E '^(web|app|joe):' /etc/group; stat -c %u:%g /home/joe") ==
        "app:x:1001:joe\nweb:x:1002:joe\njoe:x:1003:\n1003:1003\n");
  CHECK(sh("adduser app").starts_with("failed: adduser: user app is there already"));
}

TEST_CASE("a digest and an unknown image are refused in words") {
  Stores stores = Stores::make();
  CHECK(stores.bootstrap.make(reference("nginx@sha256:" + std::string(64, 'a'))).error().code ==
        ErrorCode::bad_request);
  const auto unknown = stores.bootstrap.make(reference("mongo:7"));
  REQUIRE_FALSE(unknown.ok());
  CHECK(unknown.error().message.starts_with(
      "mongo:7: there is no stand-in for it; there are: busybox, alpine, debian, nginx"));
}

TEST_CASE("the named stand-ins are made from packages, and their programs run" *
          doctest::skip(std::getenv("CAISSON_STAND_INS") == nullptr)) {
  const std::vector<std::tuple<std::string, std::vector<std::string>, std::string>> programs = {
      {"alpine:3.19",
       {"sh", "-c", "apk add --no-cache ca-certificates tzdata bash && apk add gcc || echo refused"},
       "refused"},
      {"debian:bookworm-slim", {"sh", "-c", "dpkg --version && apt-get --version"}, "apt"},
      {"nginx:1.25", {"nginx", "-t"}, ""},
      {"nginxinc/nginx-unprivileged:alpine", {"nginx", "-t"}, ""},
      {"golang:1.22", {"go", "version"}, "go version"},
      {"redis:7-alpine", {"redis-server", "--version"}, "Redis server"},
      {"node:20", {"sh", "-c", "node --version && npm --version"}, "v"},
      {"python:3.12-slim", {"python", "-c", "import ssl, sqlite3; print('fine')"}, "fine"},
      {"postgres:15", {"postgres", "--version"}, "postgres (PostgreSQL)"},
      {"eclipse-temurin:17-jre", {"ls", "/opt/java/openjdk/bin/java"}, "java"},
      {"alpine/git", {"git", "--version"}, "git version"},
      {"gcr.io/distroless/static:nonroot", {}, ""},
      {"gcr.io/distroless/base", {}, ""},
      {"curlimages/curl", {"curl", "--version"}, "curl"},
  };
  const std::string wanted = std::getenv("CAISSON_STAND_INS");
  Stores stores = Stores::make();
  for (const auto& [name, args, want] : programs) {
    if (wanted != "all" && wanted.find(name.substr(0, name.find(':'))) == std::string::npos) continue;
    CAPTURE(name);
    const auto made = stores.bootstrap.make(reference(name));
    REQUIRE_MESSAGE(made.ok(), (made.ok() ? "" : made.error().message));
    const content::ImageConfig config = config_of(stores, *made);
    if (args.empty()) continue;
    const std::string copy = stores.dir.path() + "/copy";
    REQUIRE(run_checked({.args = {"cp", "-a", stores.layers->tree(config.diff_ids.front()), copy}}).ok());
    ::mknod((copy + "/dev/null").c_str(), S_IFCHR | 0666, 1 << 8 | 3);
    const Exit exit = run_in(copy, args);
    CHECK_MESSAGE(exit.ok(), exit.err);
    CHECK_MESSAGE((exit.out.find(want) != std::string::npos), exit.out);
    REQUIRE(remove_tree(copy).ok());
  }
}
