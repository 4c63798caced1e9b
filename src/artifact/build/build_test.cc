// SPDX-License-Identifier: Apache-2.0
// Builds with the layer cache, from scratch. Needs root (overlay mounts); what RUN does is tested by
// tests/conformance/dockerfile_test.cc.
#include "artifact/build/build.h"

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <map>
#include <set>

#include "artifact/container/containers.h"
#include "artifact/content/blob_store.h"
#include "artifact/content/layer_store.h"
#include "core/base/file.h"
#include "core/base/process.h"
#include "core/http/server.h"

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
  std::vector<std::pair<std::string, std::string>> build_args;
  std::map<std::string, std::string> ssh_keys;
  std::vector<std::string> ignore_paths;
  std::optional<Duration> cache_age_max;
  StepNetwork* network = nullptr;
  bool use_cache = true, cache_run_layers = true;

  void shell() {  // what RUN needs, in a layer below it
    const Result<std::string> busybox = read_file("/bin/busybox");
    REQUIRE(busybox.ok());
    file("sh", *busybox);
    REQUIRE(::chmod((dir.path() + "/context/sh").c_str(), 0755) == 0);
  }
  Result<BuildResult> build(const std::string& target = "") {
    log.clear();
    BuildRequest request;
    request.id = "test";
    request.context_dir = dir.path() + "/context";
    request.target = target;
    request.imported_cache = imported;
    request.build_args = build_args;
    request.ssh_keys = ssh_keys;
    request.use_cache = use_cache;
    request.cache_run_layers = cache_run_layers;
    request.cache_age_max = cache_age_max;
    request.ignore_paths = ignore_paths;
    request.log = [this](std::string_view text) { log += text; };
    const auto no_image = [](const std::string&, const content::Platform&) -> Result<BaseImage> {
      return Error{ErrorCode::not_found, "there are no images here"};
    };
    return build_image(request, {blobs, *layers, *containers, no_image, dir.path() + "/cache", clock, network});
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

TEST_CASE("stages that do not need each other are made at the same time") {
  Bench bench;
  bench.shell();
  // Each waits until the other has begun: one after the other they would wait for ever.
  const std::string wait = " n=0; while [ ! -e /shared/";
  bench.file("Dockerfile",
             "FROM scratch AS base\nCOPY sh /bin/sh\n"
             "FROM base AS one\nRUN --mount=type=cache,id=x,target=/shared : >/shared/one;" +
                 wait +
                 "two ]; do n=$((n+1)); [ $n -lt 30000000 ] || exit 9; done; echo made one; echo 1 >/made-1\n"
                 "FROM base AS two\nRUN --mount=type=cache,id=x,target=/shared : >/shared/two;" +
                 wait +
                 "one ]; do n=$((n+1)); [ $n -lt 30000000 ] || exit 9; done; echo 2 >/made-2\n"
                 "FROM scratch\nCOPY --from=one /made-1 /\nCOPY --from=two /made-2 /\n");
  const Result<BuildResult> built = bench.build();
  REQUIRE_MESSAGE(built.ok(), (built.ok() ? "" : built.error().message));
  CHECK(built->steps_run == 5);
  CHECK(bench.log.find("[one 1/1] made one\n") != std::string::npos);  // whose line it is
  REQUIRE(built->cache.size() == 5);                                   // in the order of the file, whoever was first
  CHECK(bench.build()->cache == built->cache);
}

TEST_CASE("a stage that fails stops the others, and is the one that is told") {
  Bench bench;
  bench.shell();
  bench.file("Dockerfile",
             "FROM scratch AS base\nCOPY sh /bin/sh\nFROM base AS endless\n"
             "RUN n=0; while [ $n -lt 20000000 ]; do n=$((n+1)); done; echo went-$n\n"
             "FROM base AS broken\nRUN exit 3\nFROM scratch\nCOPY --from=endless / /a\nCOPY --from=broken / /b\n");
  const Result<BuildResult> built = bench.build();
  REQUIRE_FALSE(built.ok());
  CHECK(built.error().message.find("Dockerfile:6") != std::string::npos);
  CHECK(built.error().message.find("exit code: 3") != std::string::npos);
  CHECK(bench.log.find("went-2") == std::string::npos);
}

TEST_CASE("two stages that come to the same step make its layer once") {
  Bench bench;
  bench.shell();
  bench.file(
      "Dockerfile",
      "FROM scratch AS base\nCOPY sh /bin/sh\nFROM base AS one\nRUN echo same >/same\n"
      "FROM base AS two\nRUN echo same >/same\nFROM scratch\nCOPY --from=one /same /1\nCOPY --from=two /same /2\n");
  const Result<BuildResult> built = bench.build();
  REQUIRE_MESSAGE(built.ok(), (built.ok() ? "" : built.error().message));
  CHECK(built->steps_cached == 1);
  CHECK(built->steps_run == 4);
}

TEST_CASE("with SOURCE_DATE_EPOCH the same inputs give the same image, whenever and without a cache") {
  Bench bench;
  bench.shell();
  bench.build_args = {{"SOURCE_DATE_EPOCH", "1700000000"}};
  bench.use_cache = false;
  bench.file("Dockerfile", "FROM scratch\nCOPY sh /bin/sh\nWORKDIR /work\nRUN echo text >file\n");
  const Result<BuildResult> first = bench.build();
  REQUIRE_MESSAGE(first.ok(), (first.ok() ? "" : first.error().message));
  bench.clock.advance(std::chrono::hours(30));
  REQUIRE(::utimes((bench.dir.path() + "/context/sh").c_str(), nullptr) == 0);
  const Result<BuildResult> second = bench.build();
  REQUIRE(second.ok());
  CHECK(second->steps_run == 3);
  CHECK(second->manifest == first->manifest);
  bench.build_args.clear();
  CHECK(bench.build()->manifest != first->manifest);
}

namespace {

// A network that has only what the kernel gives a new namespace.
class Nowhere : public StepNetwork {
 public:
  Result<void> attach(const std::string& id, const std::string& network_namespace) override {
    if (refuses) return Error{ErrorCode::unavailable, "the range is used up"};
    CHECK(exists(network_namespace));
    attached.insert(id);
    return {};
  }
  Result<void> detach(const std::string& id) override {
    attached.erase(id);
    ++detached;
    return {};
  }
  std::string resolv_conf() const override { return "nameserver 192.0.2.53\n"; }
  bool refuses = false;
  std::set<std::string> attached;
  int detached = 0;
};

}  // namespace

TEST_CASE("a RUN step has a network of its own: what listens on the host's loopback is not there") {
  Bench bench;
  bench.shell();
  Nowhere network;
  bench.network = &network;
  const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  REQUIRE(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0);
  REQUIRE(::listen(listener.get(), 8) == 0);
  REQUIRE(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  const std::string port = std::to_string(ntohs(address.sin_port));
  bench.file("Dockerfile",
             "FROM scratch\nCOPY sh /bin/sh\nRUN cat /etc/resolv.conf; ! nc -w 2 127.0.0.1 " + port + " </dev/null\n");
  const Result<BuildResult> built = bench.build();
  REQUIRE_MESSAGE(built.ok(), (built.ok() ? "" : built.error().message));
  CHECK(bench.log.find("nameserver 192.0.2.53") != std::string::npos);
  CHECK(network.attached.empty());
  CHECK(network.detached == 1);
  network.refuses = true;
  bench.use_cache = false;
  const Result<BuildResult> refused = bench.build();
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().message.find("the range is used up") != std::string::npos);
}

TEST_CASE("a RUN step may use a key that is forwarded, and can't read it") {
  Bench bench;
  bench.shell();
  const std::string dockerfile =
      "FROM scratch\nCOPY sh /bin/sh\nRUN --mount=type=ssh,required=true [ -S \"$SSH_AUTH_SOCK\" ] && echo \"at "
      "$SSH_AUTH_SOCK\"\nRUN [ -z \"$SSH_AUTH_SOCK\" ] && [ ! -e /run/buildkit ]\n";
  bench.file("Dockerfile", dockerfile);
  const Result<BuildResult> without = bench.build();
  REQUIRE_FALSE(without.ok());
  CHECK(without.error().message.find("no SSH key \"default\" forwarded") != std::string::npos);
  const std::string key = bench.dir.path() + "/key";
  REQUIRE(run_checked({.args = {"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key}}).ok());
  bench.ssh_keys["default"] = *read_file(key);
  const Result<BuildResult> built = bench.build();
  REQUIRE_MESSAGE(built.ok(), (built.ok() ? "" : built.error().message));
  CHECK(bench.log.find("at /run/buildkit/ssh_agent.0") != std::string::npos);
  bench.ssh_keys["default"] = "no key at all\n";
  bench.use_cache = false;
  const Result<BuildResult> broken = bench.build();
  REQUIRE_FALSE(broken.ok());
  CHECK(broken.error().message.find("no private key, or one with a passphrase") != std::string::npos);
}

TEST_CASE("layers that are too old are made again, and RUN steps each time when that is asked for") {
  Bench bench;
  bench.shell();
  bench.file("Dockerfile", "FROM scratch\nCOPY sh /bin/sh\nRUN echo x >/x\n");
  REQUIRE(bench.build().ok());
  bench.clock.advance(std::chrono::hours(5));
  bench.cache_age_max = std::chrono::hours(6);
  CHECK(bench.build()->steps_cached == 2);
  bench.cache_age_max = std::chrono::hours(4);
  CHECK(bench.build()->steps_run == 2);
  CHECK(bench.build()->steps_cached == 2);  // they are young again
  bench.cache_run_layers = false;
  const Result<BuildResult> built = bench.build();
  CHECK(built->steps_cached == 1);
  CHECK(built->steps_run == 1);
  // Nobody knows how old a layer is whose date was chosen.
  bench.build_args = {{"SOURCE_DATE_EPOCH", "0"}};
  bench.cache_run_layers = true;
  REQUIRE(bench.build().ok());
  CHECK(bench.build()->steps_cached == 2);
}

TEST_CASE("what steps leave at ignored paths is no part of a layer, and no link leads the removal out of it") {
  Bench bench;
  bench.shell();
  const std::string outside = bench.dir.path() + "/outside/run";
  REQUIRE(make_dirs(outside).ok());
  bench.ignore_paths = {"/var/run", "/tmp"};
  bench.file("Dockerfile",
             "FROM scratch\nCOPY sh /bin/sh\nRUN mkdir -p /var/run /tmp/a /kept; echo x >/var/run/x; echo "
             "y >/tmp/a/y; echo z >/kept/z\nRUN rm -r /var; ln -s " +
                 bench.dir.path() + "/outside /var\n");
  const Result<BuildResult> built = bench.build();
  REQUIRE_MESSAGE(built.ok(), (built.ok() ? "" : built.error().message));
  const std::string tree = bench.layers->tree(built->layers[1].digest);
  CHECK(exists(tree + "/kept/z"));
  CHECK(list_dir(tree + "/var")->empty());
  CHECK_FALSE(exists(tree + "/tmp"));
  CHECK(exists(outside));
  bench.ignore_paths.clear();
  CHECK(bench.build()->steps_run == 3);  // another image
  bench.ignore_paths = {"/"};
  CHECK(bench.build().error().message.find("the root can't be ignored") != std::string::npos);
}

TEST_CASE("ADD of a URL gives the file its time and is refused when it is another one") {
  http::Server server = http::Server::start({}).value();
  const int port =
      server
          .listen("127.0.0.1", 0,
                  [](const http::ExchangePtr& exchange) {
                    if (exchange->path == "/gone") return exchange->respond({404, {}, "no"});
                    exchange->respond(
                        {200, {{"Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"}}, std::string(3'000'000, 'a')});
                  })
          .value();
  const std::string url = "http://127.0.0.1:" + std::to_string(port);
  Bench bench;
  bench.file("Dockerfile", "FROM scratch\nADD --checksum=" + content::Digest::of(std::string(3'000'000, 'a')).str() +
                               " " + url + "/file /dir/\nADD --chmod=755 " + url + "/file /other\n");
  const Result<BuildResult> built = bench.build();
  REQUIRE_MESSAGE(built.ok(), (built.ok() ? "" : built.error().message));
  struct stat st {};
  REQUIRE(::stat((bench.layers->tree(built->layers[0].digest) + "/dir/file").c_str(), &st) == 0);
  CHECK(st.st_size == 3'000'000);
  CHECK((st.st_mode & 07777) == 0600);
  CHECK(st.st_mtim.tv_sec == 784111777);
  REQUIRE(::stat((bench.layers->tree(built->layers[1].digest) + "/other").c_str(), &st) == 0);
  CHECK((st.st_mode & 07777) == 0755);
  bench.file("Dockerfile", "FROM scratch\nADD --checksum=sha256:" + std::string(64, '0') + " " + url + "/file /\n");
  CHECK(bench.build().error().message.find("digest mismatch sha256:") != std::string::npos);
  bench.file("Dockerfile", "FROM scratch\nADD " + url + "/gone /\n");
  CHECK(bench.build().error().message.find("invalid response status 404") != std::string::npos);
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
