// SPDX-License-Identifier: Apache-2.0
// The server and the client against each other on loopback; and the real crane and skopeo where they are installed.
#include "artifact/registry/registry.h"

#include <doctest/doctest.h>

#include "artifact/content/compress.h"
#include "artifact/registry/answers.h"
#include "artifact/registry/registry_client.h"
#include "artifact/registry/routes.h"
#include "core/base/file.h"
#include "core/base/process.h"

using namespace caisson;
using namespace caisson::content;
using namespace caisson::registry;

namespace {

// A layer kept as a tree, as far as the registry sees it.
class OneLayer : public LayerSource {
 public:
  explicit OneLayer(std::string tar) : tar_(std::move(tar)), digest_(Digest::of(tar_)) {}
  bool has(const Digest& digest) override { return digest == digest_; }
  Result<std::uint64_t> size_bytes(const Digest&) override { return static_cast<std::uint64_t>(tar_.size()); }
  Result<ByteSource> open(const Digest&) override { return from_string(tar_); }
  const Digest& digest() const { return digest_; }

 private:
  std::string tar_;
  Digest digest_;
};

struct Fixture {
  TempDir dir = TempDir::make().value();
  BlobStore blobs = BlobStore::open(dir.path()).value();
  TagIndex tags = TagIndex::open(dir.path()).value();
  OneLayer layer{std::string(10240, '\0')};
  http::Server server = http::Server::start({}).value();
  std::vector<Pushed> pushed;
  std::vector<std::string> removed;
  ProjectRules rules;
  int port = 0;

  explicit Fixture(bool with_login = false) {
    RegistryOptions options{.blobs = blobs, .tags = tags, .layers = &layer};
    options.on_remove = [this](std::string_view repository, std::string_view tag) {
      removed.push_back(std::string(repository) + ":" + std::string(tag));
    };
    options.rules = [this](std::string_view) { return Result<ProjectRules>(rules); };
    options.on_push = [this](const Pushed& p) { pushed.push_back(p); };
    options.authorize = [with_login](const Credentials& who, std::string_view repository,
                                     Action action) -> Result<void> {
      if (!with_login) return {};
      if (!who.present()) return Error{ErrorCode::unauthorized, "who are you?"};
      if (who.user != "alice" || who.secret.reveal() != "secret")
        return Error{ErrorCode::unauthorized, "wrong password"};
      if (action != Action::pull && repository.starts_with("other/")) return Error{ErrorCode::forbidden, "not yours"};
      return {};
    };
    port = server.listen("127.0.0.1", 0, make_registry(std::move(options))).value();
  }
  std::string host() const { return "127.0.0.1:" + std::to_string(port); }
  Reference ref(std::string_view name) const {
    RegistryNames names;
    names.port = 1;
    return parse_reference(host() + "/" + std::string(name), names).value();
  }
};

registry::ClientOptions alice() {
  registry::ClientOptions options;
  options.login = [](std::string_view) { return std::optional<Login>(Login{"alice", SecretBytes("secret"), false}); };
  return options;
}

// An image of one blob layer in `store`; gives its manifest's digest.
Digest make_image(BlobStore& store, const std::vector<Digest>& layers, std::uint64_t layer_bytes,
                  std::string_view type) {
  ImageConfig config;
  config.diff_ids = layers;
  config.env = {"PATH=/bin"};
  const std::string config_bytes = write_config(config);
  Manifest manifest;
  manifest.config = {std::string(kOciConfig), store.put_bytes(config_bytes).value(), config_bytes.size(), {}, "", {}};
  for (const Digest& layer : layers) manifest.layers.push_back({std::string(type), layer, layer_bytes, {}, "", {}});
  return store.put_bytes(write_manifest(manifest)).value();
}

}  // namespace

TEST_CASE("a path is read from its end, because repository names hold slashes") {
  struct Case {
    const char* path;
    Route::Kind kind;
    const char *repository, *item;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"/v2/", Route::Kind::root, "", ""},
           {"/v2/a/b/c/manifests/v1", Route::Kind::manifest, "a/b/c", "v1"},
           {"/v2/manifests/manifests/manifests", Route::Kind::manifest, "manifests", "manifests"},
           {"/v2/a/blobs/uploads/", Route::Kind::uploads, "a", ""},
           {"/v2/a/blobs/uploads/x", Route::Kind::upload, "a", "x"},
           {"/v2/a/blobs/sha256:00", Route::Kind::blob, "a", "sha256:00"},
           {"/v2/a/tags/list", Route::Kind::tags, "a", ""},
           {"/v2/A/tags/list", Route::Kind::bad_name, "A", ""},
           {"/v2/a/../b/tags/list", Route::Kind::bad_name, "a/../b", ""},
           {"/v2/a/nonsense", Route::Kind::unknown, "", ""},
           {"/", Route::Kind::unknown, "", ""}}) {
    CAPTURE(c.path);
    const Route route = parse_route(c.path);
    CHECK(route.kind == c.kind);
    CHECK(route.repository == c.repository);
    CHECK(route.item == c.item);
  }
}

TEST_CASE("ranges are cut to the blob") {
  using Kind = ByteRange::Kind;
  struct Case {
    const char* text;
    std::uint64_t first, length;
    Kind kind;
  };
  for (const Case& c : std::initializer_list<Case>{{"", 0, 10, Kind::whole},
                                                   {"bytes=0-3", 0, 4, Kind::part},
                                                   {"bytes=4-", 4, 6, Kind::part},
                                                   {"bytes=-3", 7, 3, Kind::part},
                                                   {"bytes=8-99", 8, 2, Kind::part},
                                                   {"bytes=10-", 0, 0, Kind::unsatisfiable},
                                                   {"bytes=-0", 0, 0, Kind::unsatisfiable},
                                                   {"bytes=5-2", 0, 10, Kind::whole},
                                                   {"bytes=0-1,3-4", 0, 10, Kind::whole}}) {
    CAPTURE(c.text);
    const ByteRange range = parse_range(c.text, 10);
    CHECK(range.kind == c.kind);
    CHECK(range.first == c.first);
    CHECK(range.length == c.length);
  }
}

TEST_CASE("the client pushes and pulls an image whose layer is a tree, and one whose layer is a blob") {
  Fixture f(true);
  const TempDir mine_dir = TempDir::make().value();
  BlobStore mine = BlobStore::open(mine_dir.path()).value();
  RegistryClient client(alice());
  const Digest blob = mine.put_bytes(std::string(3'000'000, 'b')).value();
  const Digest first = make_image(mine, {blob}, 3'000'000, kOciLayer);
  REQUIRE(client.push(f.ref("shop/web:v1"), first, mine, nullptr).ok());
  REQUIRE(f.pushed.size() == 1);
  CHECK(f.pushed[0].repository == "shop/web");
  CHECK(f.pushed[0].tag == "v1");
  CHECK(*client.resolve(f.ref("shop/web:v1")) == first);

  const TempDir other_dir = TempDir::make().value();
  BlobStore other = BlobStore::open(other_dir.path()).value();
  const Result<PulledImage> pulled = client.pull(f.ref("shop/web:v1"), other);
  REQUIRE(pulled.ok());
  CHECK(pulled->digest == first);
  CHECK(pulled->config.env == std::vector<std::string>{"PATH=/bin"});
  CHECK(*other.size_bytes(blob) == 3'000'000);

  // The builder links a layer that has no blob into the organisation's repository; from there it is mounted.
  REQUIRE(f.tags.add_blob("shop/builds", f.layer.digest()).ok());
  const Digest second = make_image(mine, {f.layer.digest()}, 10240, kOciLayer);
  const std::string bytes = mine.read(second, kManifestBytesMax).value();
  CHECK(client.put_manifest(f.ref("shop/api:v1"), bytes, kOciManifest).error().message.find("MANIFEST_BLOB_UNKNOWN") !=
        std::string::npos);
  CHECK(*client.mount_blob(f.ref("shop/api"), f.layer.digest(), "shop/builds"));
  CHECK_FALSE(*client.mount_blob(f.ref("shop/api"), Digest::of("nothing"), "shop/builds"));
  const Digest config = parse_manifest(bytes)->config.digest;
  REQUIRE(client.put_blob(f.ref("shop/api"), config, *mine.size_bytes(config), [&] { return mine.open_read(config); })
              .ok());
  REQUIRE(client.put_manifest(f.ref("shop/api:v1"), bytes, kOciManifest).ok());
  REQUIRE(client.pull(f.ref("shop/api:v1"), other).ok());
  CHECK(other.has(f.layer.digest()));
}

TEST_CASE("no login, a wrong one, and one without the right are told apart") {
  Fixture f(true);
  RegistryClient nobody{registry::ClientOptions{}};
  CHECK(nobody.resolve(f.ref("shop/web:v1")).error().code == ErrorCode::unauthorized);
  registry::ClientOptions wrong;
  wrong.login = [](std::string_view) { return std::optional<Login>(Login{"alice", SecretBytes("guess"), false}); };
  CHECK(RegistryClient(wrong).resolve(f.ref("shop/web:v1")).error().code == ErrorCode::unauthorized);
  RegistryClient client(alice());
  CHECK(client.resolve(f.ref("shop/web:v1")).error().code == ErrorCode::not_found);
  const TempDir dir = TempDir::make().value();
  BlobStore mine = BlobStore::open(dir.path()).value();
  const Digest image = make_image(mine, {}, 0, kOciLayer);
  CHECK(client.push(f.ref("other/web:v1"), image, mine, nullptr).error().code == ErrorCode::forbidden);
}

TEST_CASE("a blob that is cut off goes on where it stopped, and wrong bytes are refused") {
  const std::string bytes(200'000, 'z');
  const TempDir dir = TempDir::make().value();
  BlobStore mine = BlobStore::open(dir.path()).value();
  std::vector<std::string> ranges;
  http::Server server = http::Server::start({}).value();
  const int port = server
                       .listen("127.0.0.1", 0,
                               [&](http::ExchangePtr exchange) {
                                 ranges.emplace_back(exchange->headers.get("Range"));
                                 if (ranges.size() == 1) {
                                   const std::shared_ptr<http::Stream> stream = exchange->stream(200, {}, bytes.size());
                                   const Result<void> written = stream->write_blocking(bytes.substr(0, 50'000));
                                   CHECK(written.ok());
                                   const std::string upload = list_dir(dir.path() + "/uploads")->at(0);
                                   while (*mine.upload_size_bytes(upload) < 50'000)
                                     std::this_thread::yield();  // the client has them
                                   return stream->abort();
                                 }
                                 const ByteRange range = parse_range(ranges.back(), bytes.size());
                                 exchange->respond({206, {}, bytes.substr(range.first, range.length)});
                               })
                       .value();
  RegistryClient client{registry::ClientOptions{}};
  RegistryNames names;
  names.port = 1;
  const Reference ref = parse_reference("127.0.0.1:" + std::to_string(port) + "/a/b", names).value();
  const Descriptor blob{"", Digest::of(bytes), bytes.size(), {}, "", {}};
  REQUIRE(client.fetch_blob(ref, blob, mine).ok());
  REQUIRE(ranges.size() == 2);
  CHECK(ranges[1] == "bytes=50000-");
  CHECK(mine.has(blob.digest));
  const Descriptor wrong{"", Digest::of("other"), bytes.size(), {}, "", {}};
  CHECK(client.fetch_blob(ref, wrong, mine).error().code == ErrorCode::bad_request);
  CHECK(list_dir(dir.path() + "/uploads")->empty());
}

TEST_CASE("a token server is asked with the challenge's realm, service and scope") {
  std::string asked, authorization;
  http::Server server = http::Server::start({}).value();
  int port = 0;
  port = server
             .listen("127.0.0.1", 0,
                     [&](http::ExchangePtr exchange) {
                       if (exchange->path == "/token") {
                         asked = std::string(http::query_get(exchange->query, "scope"));
                         return exchange->respond({200, {}, "{\"token\":\"t0ken\"}"});
                       }
                       authorization = std::string(exchange->headers.get("Authorization"));
                       if (authorization != "Bearer t0ken") {
                         const std::string realm = "Bearer realm=\"http://127.0.0.1:" + std::to_string(port) +
                                                   "/token\",service=\"s\",scope=\"repository:a/b:pull\"";
                         return exchange->respond({401, {{"WWW-Authenticate", realm}}, ""});
                       }
                       exchange->respond({200, {{"Docker-Content-Digest", Digest::of("x").str()}}, ""});
                     })
             .value();
  RegistryClient client{registry::ClientOptions{}};
  RegistryNames names;
  names.port = 1;
  const Result<Digest> digest =
      client.resolve(parse_reference("127.0.0.1:" + std::to_string(port) + "/a/b:v", names).value());
  REQUIRE(digest.ok());
  CHECK(*digest == Digest::of("x"));
  CHECK(asked == "repository:a/b:pull");
}

TEST_CASE("crane and skopeo push and pull with a login") {
  Fixture f(true);
  const TempDir dir = TempDir::make().value();
  const auto run_with = [&](std::vector<std::string> args) {
    Command command;
    command.args = std::move(args);
    command.env = {{"HOME", dir.path()}, {"DOCKER_CONFIG", dir.path()}};
    return run(command);
  };
  REQUIRE(make_dirs(dir.path() + "/src").ok());
  REQUIRE(write_file_unsynced(dir.path() + "/src/hello.txt", std::string(100'000, 'h')).ok());
  REQUIRE(run_with({"tar", "-C", dir.path() + "/src", "-czf", dir.path() + "/layer.tar.gz", "."})->ok());
  std::string crane = find_program("crane");
  if (crane.empty() && exists(std::string(getenv("HOME") ? getenv("HOME") : "/root") + "/go/bin/crane")) {
    crane = std::string(getenv("HOME") ? getenv("HOME") : "/root") + "/go/bin/crane";
  }
  if (crane.empty()) {
    MESSAGE("skipped: crane is not installed");
  } else {
    CHECK_FALSE(
        run_with({crane, "append", "-f", dir.path() + "/layer.tar.gz", "-t", f.host() + "/shop/crane:v1"})->ok());
    Result<Exit> login = run_with({crane, "auth", "login", f.host(), "-u", "alice", "-p", "secret"});
    REQUIRE_MESSAGE(login->ok(), login->err);
    const Result<Exit> pushed =
        run_with({crane, "append", "-f", dir.path() + "/layer.tar.gz", "-t", f.host() + "/shop/crane:v1"});
    REQUIRE_MESSAGE(pushed->ok(), pushed->err);
    const Result<Exit> validated = run_with({crane, "validate", "--remote", f.host() + "/shop/crane:v1"});
    CHECK_MESSAGE(validated->ok(), validated->err);
    const Result<Exit> copied = run_with({crane, "copy", f.host() + "/shop/crane:v1", f.host() + "/shop/copy:v2"});
    CHECK_MESSAGE(copied->ok(), copied->err);
    CHECK(run_with({crane, "ls", f.host() + "/shop/copy"})->out == "v2\n");
  }
  if (find_program("skopeo").empty() || crane.empty()) return;
  const std::string image = "docker://" + f.host() + "/shop/crane:v1";
  const Result<Exit> down = run_with({"skopeo", "--insecure-policy", "copy", "--src-tls-verify=false", "--src-creds",
                                      "alice:secret", image, "oci:" + dir.path() + "/out:x"});
  REQUIRE_MESSAGE(down->ok(), down->err);
  const Result<Exit> up =
      run_with({"skopeo", "--insecure-policy", "copy", "--dest-tls-verify=false", "--dest-creds", "alice:secret",
                "oci:" + dir.path() + "/out:x", "docker://" + f.host() + "/shop/skopeo:v1"});
  REQUIRE_MESSAGE(up->ok(), up->err);
  const Result<Exit> refused =
      run_with({"skopeo", "--insecure-policy", "copy", "--dest-tls-verify=false", "--dest-creds", "alice:guess",
                "oci:" + dir.path() + "/out:x", "docker://" + f.host() + "/shop/skopeo:v2"});
  CHECK_FALSE(refused->ok());
}

TEST_CASE("a tag that never moves takes the same bytes again, no others, and does not go") {
  Fixture f;
  TempDir dir = TempDir::make().value();
  BlobStore local = BlobStore::open(dir.path()).value();
  const std::string one(1000, '1'), two(1000, '2');
  const Digest first = make_image(local, {local.put_bytes(one).value()}, one.size(), kOciLayer);
  const Digest second = make_image(local, {local.put_bytes(two).value()}, two.size(), kOciLayer);
  f.rules.immutable_tags = {"v*"};
  RegistryClient client(alice());
  REQUIRE(client.push(f.ref("shop/web:v1"), first, local, nullptr).ok());
  CHECK(client.push(f.ref("shop/web:v1"), first, local, nullptr).ok());
  const Result<void> moved = client.push(f.ref("shop/web:v1"), second, local, nullptr);
  REQUIRE_FALSE(moved.ok());
  CHECK(moved.error().code == ErrorCode::forbidden);
  CHECK(moved.error().message.find("DENIED: the tag v1 never moves") != std::string::npos);
  CHECK(client.push(f.ref("shop/web:latest"), first, local, nullptr).ok());
  CHECK(client.push(f.ref("shop/web:latest"), second, local, nullptr).ok());
  CHECK(client.remove(f.ref("shop/web:v1")).error().code == ErrorCode::forbidden);
  CHECK(client.remove(f.ref("shop/web@" + first.str())).error().code == ErrorCode::forbidden);
  CHECK(client.remove(f.ref("shop/web:latest")).ok());
  CHECK(f.removed == std::vector<std::string>{"shop/web:latest"});
  CHECK(client.tags(f.ref("shop/web:v1")).value() == std::vector<std::string>{"v1"});
}

TEST_CASE("a quota counts each digest of a project once, and other projects not") {
  Fixture f;
  TempDir dir = TempDir::make().value();
  BlobStore local = BlobStore::open(dir.path()).value();
  const std::string one(5000, '1'), two(5000, '2');
  const Digest first = make_image(local, {local.put_bytes(one).value()}, one.size(), kOciLayer);
  const Digest second = make_image(local, {local.put_bytes(two).value()}, two.size(), kOciLayer);
  f.rules.quota_bytes = 9000;
  RegistryClient client(alice());
  REQUIRE(client.push(f.ref("shop/web:1"), first, local, nullptr).ok());
  CHECK(client.push(f.ref("shop/copy:1"), first, local, nullptr).ok());
  const Result<void> over = client.push(f.ref("shop/web:2"), second, local, nullptr);
  REQUIRE_FALSE(over.ok());
  CHECK(over.error().message.find("quota is 9000") != std::string::npos);
  CHECK(client.push(f.ref("shopping/web:2"), second, local, nullptr).ok());
}

TEST_CASE("patterns of tags") {
  CHECK(matches_tag("v*", "v1.2"));
  CHECK_FALSE(matches_tag("v*", "1.v"));
  CHECK(matches_tag("*-rc*", "1.0-rc1"));
  CHECK(matches_tag("latest", "latest"));
  CHECK_FALSE(matches_tag("latest", "latest2"));
  CHECK_FALSE(matches_tag("", "x"));
}
