// SPDX-License-Identifier: Apache-2.0
// Repositories that stand for another registry's: against a second registry of our own with token authentication,
// against servers that misbehave, and against docker-registry where it is installed.
#include "artifact/registry/pull_through.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <latch>
#include <thread>

#include "artifact/registry/registry.h"
#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/process.h"

using namespace caisson;
using namespace caisson::content;
using namespace caisson::registry;

namespace {

// A registry elsewhere: clients fetch a token with alice's password. Remembers what it was asked.
struct Elsewhere {
  TempDir dir = TempDir::make().value();
  BlobStore blobs = BlobStore::open(dir.path()).value();
  TagIndex tags = TagIndex::open(dir.path()).value();
  std::mutex mutex;
  std::vector<std::string> asked;  // "HEAD /v2/…" of everything that had a token
  std::atomic<int> limited = 0;    // answers 429 while it is 1
  http::Server server = http::Server::start({}).value();
  int port = 0;

  Elsewhere() {
    const int at =
        server.listen("127.0.0.1", 0, [this](const http::ExchangePtr& exchange) { answer(exchange); }).value();
    port = at;
    RegistryOptions options{.blobs = blobs, .tags = tags};
    options.token_realm = "http://" + host() + "/token";
    options.token_service = "elsewhere";
    options.authorize = [](const Credentials& who, std::string_view, Action) -> Result<void> {
      if (who.secret.reveal() == "t0ken") return {};
      return Error{ErrorCode::unauthorized, "who are you?"};
    };
    registry_ = make_registry(std::move(options));
  }
  std::string host() const { return "127.0.0.1:" + std::to_string(port); }
  void answer(const http::ExchangePtr& exchange) {
    if (exchange->path == "/token") {
      const bool alice = exchange->headers.get("Authorization") == "Basic " + base64("alice:secret");
      return exchange->respond({alice ? 200 : 401, {}, alice ? "{\"token\":\"t0ken\"}" : "{}"});
    }
    if (exchange->headers.contains("Authorization")) {
      const std::lock_guard lock(mutex);
      asked.push_back(exchange->method + " " + exchange->target);
    }
    if (limited != 0) {
      return exchange->respond({429,
                                {{"Retry-After", "60"}},
                                "{\"errors\":[{\"code\":\"TOOMANYREQUESTS\",\"message\":\"pull rate limit\"}]}"});
    }
    registry_(exchange);
  }
  std::vector<std::string> take() {
    const std::lock_guard lock(mutex);
    return std::exchange(asked, {});
  }
  // An image whose one layer holds `text`; gives its manifest's digest.
  Digest push(const std::string& repository, const std::string& tag, const std::string& text) {
    ImageConfig config;
    const Digest layer = blobs.put_bytes(text).value();
    config.diff_ids = {layer};
    const std::string config_bytes = write_config(config);
    Manifest manifest;
    manifest.config = {std::string(kOciConfig), blobs.put_bytes(config_bytes).value(), config_bytes.size(), {}, "", {}};
    manifest.layers.push_back({std::string(kOciLayer), layer, text.size(), {}, "", {}});
    REQUIRE(tags.add_blob(repository, layer).ok());
    REQUIRE(tags.add_blob(repository, manifest.config.digest).ok());
    const Digest digest = blobs.put_bytes(write_manifest(manifest)).value();
    REQUIRE(tags.add_manifest(repository, digest, kOciManifest).ok());
    REQUIRE(tags.set(repository, tag, digest).ok());
    return digest;
  }

 private:
  http::Handler registry_;
};

std::vector<Value> login_at(const std::string& host, const std::string& secret = "secret") {
  return {Value{{host, Value{{"auth", base64("alice:" + secret)}}}}};
}

// Ours: the project `hub` stands for `registry`.
struct Ours {
  TempDir dir = TempDir::make().value();
  BlobStore blobs = BlobStore::open(dir.path()).value();
  TagIndex tags = TagIndex::open(dir.path()).value();
  Mirrors mirrors;
  std::vector<Value> logins;
  http::Server server = http::Server::start({}).value();
  int port = 0;

  explicit Ours(const std::string& registry, std::vector<Value> docker_configs = {})
      : logins(std::move(docker_configs)) {
    RegistryOptions options{.blobs = blobs, .tags = tags};
    options.upstream = [this, registry](std::string_view repository) -> Result<std::optional<Upstream>> {
      const bool proxy = repository.starts_with("hub/");
      const std::optional<ForeignName> name = TRY(foreign_name(repository, proxy ? registry : "", mirrors));
      if (!name) return std::optional<Upstream>();
      return std::optional(plan_upstream(mirrors, logins, name->registry, name->repository));
    };
    port = server.listen("127.0.0.1", 0, make_registry(std::move(options))).value();
  }
  std::string url(const std::string& path) const { return "http://127.0.0.1:" + std::to_string(port) + path; }
  Reference ref(const std::string& name) const {
    RegistryNames names;
    names.port = 1;
    return parse_reference("127.0.0.1:" + std::to_string(port) + "/" + name, names).value();
  }
  http::Response get(const std::string& path, const std::string& method = "GET") const {
    http::Request request;
    request.method = method;
    request.url = url(path);
    return http::Client().send(request).value();
  }
};

// Pulls into a store of its own.
Result<Digest> pull(const Reference& ref) {
  const TempDir dir = TempDir::make().value();
  BlobStore store = BlobStore::open(dir.path()).value();
  RegistryClient client{registry::ClientOptions{}};
  const PulledImage image = TRY(client.pull(ref, store));
  return image.digest;
}

int count(const std::vector<std::string>& lines, std::string_view part) {
  return static_cast<int>(std::count_if(lines.begin(), lines.end(),
                                        [&](const std::string& line) { return line.find(part) != std::string::npos; }));
}

}  // namespace

TEST_CASE("an image is fetched once, a tag is asked for each time, and serves on while the upstream is away") {
  Elsewhere there;
  const Digest first = there.push("team/web", "v1", std::string(700'000, 'a'));
  Ours ours(there.host(), login_at(there.host()));
  CHECK(*pull(ours.ref("hub/team/web:v1")) == first);
  CHECK(count(there.take(), "GET /v2/team/web/blobs/") == 2);
  CHECK(*pull(ours.ref("hub/team/web:v1")) == first);
  const std::vector<std::string> again = there.take();
  CHECK(count(again, "GET ") == 0);
  CHECK(count(again, "HEAD /v2/team/web/manifests/v1") == 1);
  // The tag moves there.
  const Digest second = there.push("team/web", "v1", "other");
  CHECK(*pull(ours.ref("hub/team/web:v1")) == second);
  CHECK(*pull(ours.ref("hub/team/web@" + first.str())) == first);
  CHECK(ours.get("/v2/hub/team/web/tags/list").body == "{\"name\":\"hub/team/web\",\"tags\":[\"v1\"]}\n");
  CHECK(ours.get("/v2/hub/team/web/manifests/none").status == 404);
  CHECK(ours.get("/v2/hub/team/web/blobs/" + Digest::of("none").str()).status == 404);
  // It limits its rate: what is here is served, what is not is refused by name.
  there.limited = 1;
  CHECK(*pull(ours.ref("hub/team/web:v1")) == second);
  const http::Response limited = ours.get("/v2/hub/team/web/manifests/v2");
  CHECK(limited.status == 429);
  CHECK(limited.body.find("retry after 60") != std::string::npos);
  there.limited = 0;
  // It is gone.
  there.server = http::Server::start({}).value();
  CHECK(*pull(ours.ref("hub/team/web:v1")) == second);
  CHECK(ours.get("/v2/hub/team/web/tags/list").body == "{\"name\":\"hub/team/web\",\"tags\":[\"v1\"]}\n");
  const http::Response away = ours.get("/v2/hub/team/web/manifests/v2");
  CHECK(away.status == 503);
  CHECK(away.body.find(there.host()) != std::string::npos);
}

TEST_CASE("a tag that is gone upstream goes here, and one that nobody pulled for long makes room with its blobs") {
  Elsewhere there;
  there.push("team/web", "v1", "one");
  there.push("team/web", "v2", "two");
  there.push("team/web", "v3", "three");
  Ours ours(there.host(), login_at(there.host()));
  for (const char* tag : {"v1", "v2", "v3"}) REQUIRE(pull(ours.ref(std::string("hub/team/web:") + tag)).ok());
  REQUIRE(ours.tags.add_manifest("own/web", *ours.tags.find("hub/team/web", "v1"), kOciManifest).ok());
  REQUIRE(ours.tags.set("own/web", "v1", *ours.tags.find("hub/team/web", "v1")).ok());
  REQUIRE(there.tags.remove("team/web", "v3").ok());
  CHECK(ours.get("/v2/hub/team/web/manifests/v3").status == 404);
  CHECK_FALSE(ours.tags.find("hub/team/web", "v3").ok());
  there.server = http::Server::start({}).value();  // it is away: what it took back is not served
  CHECK(ours.get("/v2/hub/team/web/manifests/v3").status == 503);

  const auto proxied = [](std::string_view repository) -> Result<bool> { return repository.starts_with("hub/"); };
  const Time now = system_clock().now();
  CHECK(expire_tags(ours.tags, proxied, now - std::chrono::hours(1)).value() == 0);
  const auto pulled_hours_ago = [&](const std::string& path, int hours) {
    const timespec then{
        .tv_sec = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count() - hours * 3600L,
        .tv_nsec = 0};
    const timespec times[2] = {then, then};
    REQUIRE(::utimensat(AT_FDCWD, (ours.dir.path() + "/tags/" + path).c_str(), times, 0) == 0);
  };
  for (const char* path : {"hub/team/web/_tags/v1", "hub/team/web/_tags/v2", "own/web/_tags/v1"})
    pulled_hours_ago(path, 200);
  CHECK(ours.get("/v2/hub/team/web/manifests/v2").status == 200);  // used, though it can't be compared now
  CHECK(expire_tags(ours.tags, proxied, now - std::chrono::hours(168)).value() == 1);
  CHECK(ours.tags.tags("hub/team/web").value() == std::vector<std::string>{"v2"});
  CHECK(ours.tags.tags("own/web").value() == std::vector<std::string>{"v1"});  // what was pushed here stays
  const auto failing = [](std::string_view) -> Result<bool> { return Error{ErrorCode::unavailable, "no server"}; };
  CHECK_FALSE(expire_tags(ours.tags, failing, now).ok());
}

TEST_CASE("a refused login is told by name and is no challenge to the caller, even when the tag is here") {
  Elsewhere there;
  there.push("team/web", "v1", "x");
  Ours ours(there.host(), login_at(there.host(), "old"));
  const http::Response refused = ours.get("/v2/hub/team/web/manifests/v1");
  CHECK(refused.status == 403);
  CHECK(refused.body.find("token of elsewhere") != std::string::npos);
  CHECK_FALSE(refused.headers.contains("WWW-Authenticate"));
  CHECK(refused.body.find("old") == std::string::npos);
  ours.logins = login_at(there.host());  // the Secret was corrected
  CHECK(ours.get("/v2/hub/team/web/manifests/v1").status == 200);
  ours.logins = {};  // and taken away: what is private there is not given out on old rights
  CHECK(ours.get("/v2/hub/team/web/manifests/v1").status == 403);
}

TEST_CASE("a blob goes to all who wait while it comes, and is asked for once") {
  const std::string bytes = std::string(300'000, 'a') + std::string(300'000, 'b');
  const Digest digest = Digest::of(bytes);
  std::atomic<int> fetched = 0;
  std::latch half_is_out(2);  // both clients have the first half
  http::Server server = http::Server::start({}).value();
  const int port =
      server
          .listen("127.0.0.1", 0,
                  [&](const http::ExchangePtr& exchange) {
                    if (exchange->method == "HEAD")
                      return exchange->respond({200, {{"Content-Length", std::to_string(bytes.size())}}, ""});
                    ++fetched;
                    const std::shared_ptr<http::Stream> stream = exchange->stream(200, {}, bytes.size());
                    CHECK(stream->write_blocking(bytes.substr(0, 300'000)).ok());
                    half_is_out.wait();
                    CHECK(stream->write_blocking(bytes.substr(300'000)).ok());
                    stream->finish();
                  })
          .value();
  Ours ours("127.0.0.1:" + std::to_string(port));
  const auto read = [&] {
    http::Request request;
    request.url = ours.url("/v2/hub/team/web/blobs/" + digest.str());
    const std::unique_ptr<http::ResponseStream> answer = http::Client().open(request).value();
    std::string got;
    bool told = false;
    for (;;) {
      const Result<std::string> piece = answer->read_some();
      REQUIRE(piece.ok());
      if (piece->empty()) break;
      got += *piece;
      if (got.size() >= 300'000 && !std::exchange(told, true)) half_is_out.count_down();
    }
    CHECK(got == bytes);
  };
  std::thread other(read);
  read();
  other.join();
  CHECK(fetched == 1);
  CHECK(ours.tags.has_blob("hub/team/web", digest));
  http::Request part;
  part.url = ours.url("/v2/hub/team/web/blobs/" + digest.str());
  part.headers.set("Range", "bytes=299999-300000");
  CHECK(http::Client().send(part)->body == "ab");
}

TEST_CASE("bytes that are something else never arrive whole and are not kept") {
  const std::string right(100'000, 'r'), wrong(100'000, 'w');
  http::Server server = http::Server::start({}).value();
  const int port = server
                       .listen("127.0.0.1", 0,
                               [&](const http::ExchangePtr& exchange) {
                                 if (exchange->method == "HEAD")
                                   return exchange->respond({200, {{"Content-Length", "100000"}}, ""});
                                 exchange->respond({200, {}, wrong});
                               })
                       .value();
  Ours ours("127.0.0.1:" + std::to_string(port));
  http::Request request;
  request.url = ours.url("/v2/hub/team/web/blobs/" + Digest::of(right).str());
  CHECK_FALSE(http::Client().send(request).ok());
  CHECK(list_dir(ours.dir.path() + "/uploads")->empty());
  CHECK(ours.blobs.list()->empty());
  CHECK_FALSE(ours.tags.has_blob("hub/team/web", Digest::of(right)));
}

TEST_CASE("mirrors are asked before the registry, and the next when one has not got it or is away") {
  Elsewhere mirror, origin;
  const Digest digest = origin.push("team/web", "v1", "from the origin");
  const Digest mirrored = mirror.push("cache/team/app", "v1", "from the mirror");
  std::vector<Value> logins = login_at(mirror.host());
  logins.push_back(login_at(origin.host()).front());
  Ours ours(origin.host(), logins);
  ours.mirrors = parse_mirrors("mirrors: {\"" + origin.host() + "\": {endpoint: [\"http://127.0.0.1:1\", \"http://" +
                               mirror.host() + "/v2/cache\"]}}")
                     .value();
  CHECK(*pull(ours.ref("hub/team/app:v1")) == mirrored);
  CHECK(origin.take().empty());
  CHECK(count(mirror.take(), "ns=" + origin.host().substr(0, 9)) > 0);
  CHECK(*pull(ours.ref("hub/team/web:v1")) == digest);
  CHECK(count(origin.take(), "ns=") == 0);
}

TEST_CASE("a repository that is pulled through takes no pushes, and containerd's ns asks for one") {
  Elsewhere there;
  const Digest digest = there.push("team/web", "v1", "x");
  Ours ours(there.host(), login_at(there.host()));
  const http::Response refused = ours.get("/v2/hub/team/web/blobs/uploads/", "POST");
  CHECK(refused.status == 405);
  CHECK(refused.body.find("pulled through from " + there.host()) != std::string::npos);
  CHECK(ours.get("/v2/own/web/blobs/uploads/", "POST").status == 202);
  ours.mirrors = parse_mirrors("mirrors: {up.example: {endpoint: [\"http://" + there.host() + "\"]}}").value();
  CHECK(ours.get("/v2/team/web/manifests/v1?ns=up.example").headers.get("Docker-Content-Digest") == digest.str());
  CHECK(ours.get("/v2/proxy/up.example/team/web/manifests/v1").status == 200);
  CHECK(ours.get("/v2/team/web/manifests/v1?ns=h:1").status == 404);
  CHECK(ours.get("/v2/team/web/manifests/v1").status == 404);
}

TEST_CASE("which names stand for another registry's") {
  const Mirrors mirrors = parse_mirrors("configs: {intern: {}}\nmirrors: {127.0.0.1: {endpoint: []}}").value();
  struct Case {
    const char *repository, *proxy_of, *registry, *name;
  };
  for (const Case& c : std::initializer_list<Case>{{"proxy/ghcr.io/o/r", "", "ghcr.io", "o/r"},
                                                   {"proxy/docker.io/nginx", "", "docker.io", "library/nginx"},
                                                   {"proxy/docker.io/o/r", "", "docker.io", "o/r"},
                                                   {"proxy/intern/r", "", "intern", "r"},
                                                   {"proxy/127.0.0.1/r", "", "127.0.0.1", "r"},
                                                   {"proxy/10.0.0.1/r", "", "", ""},
                                                   {"proxy/localhost/r", "", "", ""},
                                                   {"proxy/app", "", "", ""},
                                                   {"proxy/ghcr.io", "", "", ""},
                                                   {"shop/ghcr.io/r", "", "", ""},
                                                   {"hub/nginx", "docker.io", "docker.io", "library/nginx"},
                                                   {"gh/web", "ghcr.io/team", "ghcr.io", "team/web"},
                                                   {"gh/web", "h:5000", "h:5000", "web"},
                                                   {"gh", "ghcr.io", "", ""}}) {
    CAPTURE(c.repository);
    const Result<std::optional<ForeignName>> name = foreign_name(c.repository, c.proxy_of, mirrors);
    REQUIRE(name.ok());
    if (*c.registry == '\0')
      CHECK_FALSE(name->has_value());
    else
      CHECK(*name == ForeignName{c.registry, c.name});
  }
  CHECK(foreign_name("gh/web", "team", mirrors).error().message.find("want a registry") != std::string::npos);
  CHECK_FALSE(foreign_name("gh/web", "ghcr.io/Team", mirrors).ok());
}

TEST_CASE("registries.yaml is read as k3s has it, and what is not supported is named") {
  const Mirrors mirrors = parse_mirrors(
                              "mirrors:\n  docker.io: {endpoint: [\"https://a.example/v2/hub\", \"http://b:5000\"]}\n  "
                              "\"*\": {endpoint: [\"https://any.example\"]}\n"
                              "configs:\n  b:5000: {tls: {insecure_skip_verify: true}}\n")
                              .value();
  const Upstream hub = plan_upstream(mirrors, login_at("https://index.docker.io/v1/"), "docker.io", "library/nginx");
  REQUIRE(hub.places.size() == 3);
  CHECK(hub.places[0].host == "a.example");
  CHECK(hub.places[0].repository == "hub/library/nginx");
  CHECK(hub.places[0].stands_for == "docker.io");
  CHECK(hub.places[1].plain_http);
  CHECK_FALSE(hub.places[1].verify);
  CHECK(hub.places[2].host == "docker.io");
  CHECK(hub.places[2].login.has_value());
  CHECK_FALSE(hub.places[0].login.has_value());
  CHECK(plan_upstream(mirrors, {}, "quay.io", "o/r").places.front().host == "any.example");
  const auto refusal = [](std::string_view text) { return parse_mirrors(text).error().message; };
  CHECK(refusal("mirrors: {a: {rewrite: {x: y}}}") == "registries.yaml: mirrors.a.rewrite: is not supported");
  CHECK(refusal("configs: {a: {auth: {username: u}}}").find("configs.a.auth: logins belong in the Secret") !=
        std::string::npos);
  CHECK(refusal("mirrors: {a: {endpoint: [b]}}").find("mirrors.a.endpoint: want a URL") != std::string::npos);
  CHECK(refusal("mirrors: {a: {endpoint: [\"https://u:p@b\"]}}").find("not in a URL") != std::string::npos);
  CHECK(refusal("configs: {a: {tls: {ca: /etc/ca.pem}}}").find("PEM text") != std::string::npos);
}

TEST_CASE("docker-registry behind ours") {
  if (find_program("docker-registry").empty()) {
    MESSAGE("skipped: docker-registry is not installed");
    return;
  }
  const TempDir dir = TempDir::make().value();
  int port = 0;
  {
    http::Server free = http::Server::start({}).value();
    port = free.listen("127.0.0.1", 0, [](const http::ExchangePtr&) {}).value();
  }
  const std::string host = "127.0.0.1:" + std::to_string(port);
  const std::string config = dir.path() + "/config.yml";
  REQUIRE(write_file(config, "version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: " + dir.path() +
                                 "/data}}\nhttp: {addr: \"" + host + "\"}\n")
              .ok());
  const Process peer = Process::start({.args = {"docker-registry", "serve", config}}, {}).value();
  RegistryClient client{registry::ClientOptions{}};
  const Duration until = system_clock().monotonic() + std::chrono::seconds(20);
  while (!client.check_login(host).ok()) REQUIRE(system_clock().monotonic() < until);

  Elsewhere source;  // only its stores
  const Digest digest = source.push("team/web", "v1", std::string(2'000'000, 'd'));
  RegistryNames names;
  names.port = 1;
  REQUIRE(client.push(parse_reference(host + "/team/web:v1", names).value(), digest, source.blobs, nullptr).ok());
  Ours ours(host);
  CHECK(*pull(ours.ref("hub/team/web:v1")) == digest);
  CHECK(ours.tags.find("hub/team/web", "v1").value() == digest);
  CHECK(ours.get("/v2/hub/team/web/tags/list").body == "{\"name\":\"hub/team/web\",\"tags\":[\"v1\"]}\n");
  CHECK(ours.get("/v2/hub/team/none/manifests/v1").status == 404);
}
