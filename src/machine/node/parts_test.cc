// SPDX-License-Identifier: Apache-2.0
// Probes' counting, volumes' files, logs' lines, images' ways. Some need root (owners of files, layers), none a
// container.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/process.h"
#include "core/document/json.h"
#include "core/document/yaml.h"
#include "machine/network/nft.h"
#include "machine/node/accept_queue.h"
#include "machine/node/channels.h"
#include "machine/node/images.h"
#include "machine/node/logs.h"
#include "machine/node/probes.h"
#include "machine/node/volumes.h"

using namespace caisson;
using namespace caisson::node;

namespace {

template <class T>
std::string why(const Result<T>& result) {
  return result.ok() ? "" : result.error().message;
}

}  // namespace

TEST_CASE("probe verdicts change at their thresholds only") {
  struct Case {
    int success, failure;
    std::optional<bool> first;
    const char *results, *changes;  // + success, - failure; c: a change, .: none
  };
  for (const auto& c :
       {Case{1, 3, true, "---", "..c"}, Case{1, 3, true, "--+---", ".....c"}, Case{1, 3, false, "+", "c"},
        Case{2, 1, false, "+-++-", "...cc"}, Case{1, 2, std::nullopt, "-+", ".c"}, Case{1, 2, std::nullopt, "--", ".c"},
        Case{1, 1, true, "++", ".."}}) {
    ProbeCounter counter(c.success, c.failure, c.first);
    std::string changes;
    for (const char result : std::string_view(c.results)) changes += counter.add(result == '+') ? 'c' : '.';
    CHECK_MESSAGE(changes == c.changes, c.results);
  }
}

TEST_CASE("connections that nobody accepted are counted, from the kernel's table") {
  const std::string heading = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n";
  CHECK(unaccepted_connections(heading) == 0);
  // Two in the accept queue of a listener, one handshake under way; unread bytes of an accepted connection are not
  // counted.
  CHECK(unaccepted_connections(
            heading + "   0: 00000000:1F90 00000000:0000 0A 00000000:00000002 00:00000000 00000000     0\n"
                      "   1: 0100007F:1F90 0100007F:A1B2 03 00000000:00000000 00:00000000 00000000     0\n"
                      "  12: 0100007F:1F90 0100007F:A1B3 01 00000000:00000010 00:00000000 00000000     0\n") == 3);
  CHECK(unaccepted_connections("nothing of the kind\n0: 0A") == 0);
}

TEST_CASE("a connection is waited for until it is accepted") {
  // In a network namespace of its own, where nobody else listens.
  const UniqueFd before(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  REQUIRE(::unshare(CLONE_NEWNET) == 0);
  REQUIRE(run_checked(Command{.args = {"ip", "link", "set", "lo", "up"}}).ok());
  const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)),
      client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in at{};
  socklen_t size = sizeof at;
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::bind(listener.get(), reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
  REQUIRE(::listen(listener.get(), 8) == 0);
  REQUIRE(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&at), &size) == 0);
  const auto self = static_cast<pid_t>(::syscall(SYS_gettid));
  CHECK(wait_until_accepted(self, std::chrono::seconds(5)));
  REQUIRE(::connect(client.get(), reinterpret_cast<sockaddr*>(&at), size) == 0);
  CHECK_FALSE(wait_until_accepted(self, std::chrono::milliseconds(20)));
  const UniqueFd accepted(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  CHECK(accepted);
  CHECK(wait_until_accepted(self, std::chrono::seconds(5)));
  REQUIRE(::setns(before.get(), CLONE_NEWNET) == 0);
}

TEST_CASE("the end of a connection is waited for until the other side has acknowledged it") {
  const std::string heading = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n";
  CHECK(unacknowledged_ends(heading) == 0);
  // FIN_WAIT1, LAST_ACK and CLOSING; not ESTABLISHED, FIN_WAIT2 and TIME_WAIT.
  CHECK(unacknowledged_ends(heading +
                            "   0: 0100007F:1F90 0100007F:A1B2 04 00000001:00000000 00:00000000 00000000\n"
                            "   1: 0100007F:1F90 0100007F:A1B3 09 00000001:00000000 00:00000000 00000000\n"
                            "   2: 0100007F:1F90 0100007F:A1B4 0B 00000001:00000000 00:00000000 00000000\n"
                            "   3: 0100007F:1F90 0100007F:A1B5 01 00000001:00000000 00:00000000 00000000\n"
                            "   4: 0100007F:1F90 0100007F:A1B6 05 00000000:00000000 00:00000000 00000000\n"
                            "   5: 0100007F:1F90 0100007F:A1B7 06 00000000:00000000 00:00000000 00000000\n") == 3);
  CHECK(wait_until_acknowledged("/nowhere/net", std::chrono::seconds(1)).error().code == ErrorCode::not_found);

  const UniqueFd before(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  REQUIRE(::unshare(CLONE_NEWNET) == 0);
  const std::string here =
      "/proc/" + std::to_string(::getpid()) + "/task/" + std::to_string(::syscall(SYS_gettid)) + "/ns/net";
  REQUIRE(run_checked(Command{.args = {"ip", "link", "set", "lo", "up"}}).ok());
  auto opened = network::Nft::open();
  REQUIRE(opened.ok());
  network::Nft nft = std::move(opened).value();
  UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in at{};
  socklen_t size = sizeof at;
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::bind(listener.get(), reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
  REQUIRE(::listen(listener.get(), 8) == 0);
  REQUIRE(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&at), &size) == 0);
  REQUIRE(::connect(client.get(), reinterpret_cast<sockaddr*>(&at), size) == 0);
  UniqueFd accepted(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  REQUIRE(accepted);
  CHECK(*wait_until_acknowledged(here, std::chrono::seconds(5)));  // it is open: nothing to wait for
  REQUIRE(nft.run("table ip t { chain c { type filter hook output priority 0; tcp flags & fin == fin drop; }; }").ok());
  accepted.reset();
  CHECK_FALSE(*wait_until_acknowledged(here, std::chrono::milliseconds(20)));
  REQUIRE(nft.run("delete table ip t").ok());
  CHECK(*wait_until_acknowledged(here, std::chrono::seconds(5)));
  char byte = 0;
  CHECK(::recv(client.get(), &byte, 1, MSG_DONTWAIT) == 0);  // the end has come
  REQUIRE(::setns(before.get(), CLONE_NEWNET) == 0);
}

TEST_CASE("files of a volume are swapped as a whole") {
  const auto dir = TempDir::make();
  const std::string at = dir->path() + "/v";
  auto changed = write_payload(at, {{"a", {"one"}}, {"sub/b", {"two", 0600}}}, 2000);
  REQUIRE_MESSAGE(changed.ok(), why(changed));
  CHECK(*changed);
  CHECK(*read_file(at + "/a") == "one");
  CHECK(*read_file(at + "/sub/b") == "two");
  struct stat info {};
  REQUIRE(::stat((at + "/a").c_str(), &info) == 0);
  CHECK(info.st_gid == 2000);
  CHECK_FALSE(
      *write_payload(at, {{"a", {"one"}}, {"sub/b", {"two", 0640}}}, 2000));  // 0600 and the group's right to read
  const UniqueFd old(::open((at + "/a").c_str(), O_RDONLY));
  CHECK(*write_payload(at, {{"a", {"new"}}, {"c", {"three"}}}, std::nullopt));
  CHECK(*read_file(at + "/a") == "new");
  CHECK(*read_file(at + "/c") == "three");
  CHECK_FALSE(exists(at + "/sub"));
  char buffer[8];
  CHECK(::read(old.get(), buffer, sizeof buffer) == 3);  // who holds the old file reads the old file
  CHECK(list_dir(at)->size() == 4);                      // ..data, its target, a, c
}

TEST_CASE("volumes are made from objects, and what is missing is named") {
  Surroundings around;
  around.config_map = [](const std::string& name) -> std::optional<kube::Object> {
    if (name != "cm") return std::nullopt;
    return kube::Object(*yaml::read("{metadata: {name: cm}, data: {a: x}, binaryData: {b: AAE=}}"));
  };
  around.secret = [](const std::string&) { return std::optional<kube::Object>(); };
  VolumeSources sources;
  sources.around = &around;
  sources.token = [](const std::string& audience, std::int64_t) -> Result<std::string> {
    return "token for " + audience;
  };
  const kube::Object pod(*yaml::read("{metadata: {name: p, namespace: ns, labels: {l: v}}, spec: {}}"));
  const auto payload = [&](const char* volume) { return volume_payload(pod, *yaml::read(volume), sources); };
  auto got = payload("{configMap: {name: cm}}");
  REQUIRE_MESSAGE(got.ok(), why(got));
  CHECK((*got)->at("a").data == "x");
  CHECK((*got)->at("b").data == std::string("\0\1", 2));
  got = payload("{configMap: {name: cm, items: [{key: a, path: d/e, mode: 256}]}}");
  REQUIRE_MESSAGE(got.ok(), why(got));
  CHECK((*got)->size() == 1);
  CHECK((*got)->at("d/e").mode == 0400);
  got = payload(
      "{projected: {sources: [{serviceAccountToken: {path: token, audience: x}}, {downwardAPI: {items: [{path: l, "
      "fieldRef: {fieldPath: metadata.labels}}]}}]}}");
  REQUIRE_MESSAGE(got.ok(), why(got));
  CHECK((*got)->at("token").data == "token for x");
  CHECK((*got)->at("l").data == "l=\"v\"");
  const std::pair<const char*, const char*> refused[] = {
      {"{secret: {secretName: s}}", "secret \"s\" not found"},
      {"{configMap: {name: cm, items: [{key: z, path: p}]}}", "configmap \"cm\" has no key \"z\""},
      {"{configMap: {name: cm, items: [{key: a, path: ../p}]}}",
       "item path \"../p\": must be relative and stay in the volume"}};
  for (const auto& [volume, want] : refused) {
    const auto failed = payload(volume);
    REQUIRE_FALSE(failed.ok());
    CHECK(failed.error().message == want);
  }
  CHECK((*payload("{secret: {secretName: s, optional: true}}"))->empty());
}

TEST_CASE("a subPath stays in its volume") {
  const auto dir = TempDir::make();
  REQUIRE(::symlink("/etc", (dir->path() + "/out").c_str()) == 0);
  CHECK(*mount_source(dir->path(), "x/y") == dir->path() + "/x/y");
  CHECK(is_directory(dir->path() + "/x/y"));
  CHECK(*mount_source(dir->path(), "out/passwd") == dir->path() + "/etc/passwd");
  CHECK_FALSE(mount_source(dir->path(), "../x").ok());
}

TEST_CASE("log lines lose their heads, partial ones are joined, and limits hold") {
  const std::string log =
      "2026-11-21T00:00:01.000000000+00:00 stdout F one\n2026-11-21T00:00:02.000000000+00:00 stderr P tw\n"
      "2026-11-21T00:00:02.000000000+00:00 stderr F o\n2026-11-21T00:00:03.000000000+00:00 stdout F "
      "\n2026-11-21T00:00:04.000000000+00:00 stdout F four\n";
  struct Case {
    const char *query, *want;
  };
  for (const auto& c :
       {Case{"", "one\ntwo\n\nfour\n"}, Case{"limitBytes=5", "one\nt"},
        Case{"sinceTime=2026-11-21T00:00:03Z", "\nfour\n"},
        Case{"timestamps=true&sinceTime=2026-11-21T00:00:04Z", "2026-11-21T00:00:04.000000000+00:00 four\n"}}) {
    const auto options = LogOptions::parse(http::parse_query(c.query), Time{});
    REQUIRE_MESSAGE(options.ok(), why(options));
    for (const std::size_t step : {std::size_t{1}, std::size_t{7}, log.size()}) {  // however the bytes come
      LogFormatter formatter(*options);
      std::string text;
      for (std::size_t at = 0; at < log.size(); at += step)
        text += formatter.format(std::string_view(log).substr(at, step));
      CHECK_MESSAGE(text == c.want, c.query);
    }
  }
  CHECK_FALSE(LogOptions::parse(http::parse_query("tailLines=x"), Time{}).ok());
}

TEST_CASE("the last lines of a log, and its rotation") {
  const auto dir = TempDir::make();
  const std::string path = dir->path() + "/0.log";
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += "line " + std::to_string(i) + "\n";
  REQUIRE(write_file(path, text).ok());
  const UniqueFd file(::open(path.c_str(), O_RDONLY));
  CHECK(text.substr(*tail_offset(file.get(), 2)) == "line 19998\nline 19999\n");
  CHECK(*tail_offset(file.get(), 0) == text.size());
  CHECK(*tail_offset(file.get(), 20'001) == 0);
  CHECK_FALSE(*rotate_log(path, text.size(), 3));
  CHECK(*rotate_log(path, 10, 3));
  CHECK(exists(path + ".1"));
  REQUIRE(write_file(path, text).ok());
  CHECK(*rotate_log(path, 10, 3));
  REQUIRE(write_file(path, "the third\n" + text).ok());
  CHECK(*rotate_log(path, 10, 3));
  CHECK(exists(path + ".2"));
  CHECK_FALSE(exists(path + ".3"));
}

TEST_CASE("exit codes and subprotocols of the remote command protocol") {
  CHECK(exit_message(0) == R"({"metadata":{},"status":"Success"})");
  const auto failed = json::parse(exit_message(7));
  CHECK((*failed)["reason"].as_string() == "NonZeroExitCode");
  CHECK((*failed)["details"]["causes"][0]["message"].as_string() == "7");
  CHECK(*choose_protocol("v4.channel.k8s.io, v5.channel.k8s.io") == "v5.channel.k8s.io");
  CHECK(*choose_protocol("v4.channel.k8s.io") == "v4.channel.k8s.io");
  CHECK_FALSE(choose_protocol("chat").ok());
}

namespace {

class Source : public ImageSource {
 public:
  std::function<Result<content::Digest>()> answer;
  int asked = 0;
  Result<content::Digest> fetch(const content::Reference&, const ImageRequest&) override {
    ++asked;
    return answer();
  }
};

}  // namespace

TEST_CASE("images come from our registry, from upstream, from a stand-in, and the executor from this program") {
  const auto dir = TempDir::make();
  auto blobs = content::BlobStore::open(dir->path() + "/content");
  auto tags = content::TagIndex::open(dir->path() + "/content");
  auto layers = content::LayerStore::open(dir->path() + "/layers");
  REQUIRE(blobs.ok());
  REQUIRE(tags.ok());
  REQUIRE(layers.ok());
  content::BlobStore& store = const_cast<content::BlobStore&>(*blobs);
  content::TagIndex& index = const_cast<content::TagIndex&>(*tags);
  const auto make_image = [&](const std::string& label) -> content::Digest {
    const std::string tree = (*layers)->work_dir() + "/t";
    REQUIRE(make_dirs(tree).ok());
    REQUIRE(write_file(tree + "/file", label).ok());
    const auto layer = (*layers)->commit(tree);
    REQUIRE_MESSAGE(layer.ok(), why(layer));
    content::ImageConfig config;
    config.diff_ids = {layer->diff_id};
    if (!label.empty()) config.labels = {{std::string(content::kStandInLabel), label}};
    const std::string bytes = content::write_config(config);
    content::Manifest manifest;
    manifest.config = {std::string(content::kOciConfig), *store.put_bytes(bytes), bytes.size()};
    manifest.layers = {{std::string(content::kOciLayer), layer->diff_id, layer->size_bytes}};
    return *store.put_bytes(content::write_manifest(manifest));
  };
  const content::Digest own = make_image(""), made = make_image("debian");
  REQUIRE(index.add_manifest("shop/web", own, content::kOciManifest).ok());
  REQUIRE(index.set("shop/web", "v1", own).ok());
  Source upstream, stand_ins;
  upstream.answer = [] { return Error{ErrorCode::unavailable, "no route"}; };
  stand_ins.answer = [&] { return made; };
  const auto provider = [&](StandIns mode) {
    return make_image_provider(store, index, **layers, &upstream, &stand_ins,
                               {.directory = dir->path() + "/names", .stand_ins = mode});
  };
  auto images = provider(StandIns::automatic);
  int pulls = 0;
  const auto ensure = [&](const char* name, PullPolicy policy = PullPolicy::if_not_present) {
    ImageRequest request;
    request.name = name;
    request.policy = policy;
    request.on_pull = [&pulls] { ++pulls; };
    return images->ensure(request);
  };
  const auto ours = ensure("registry.caisson.internal:5000/shop/web:v1");
  REQUIRE_MESSAGE(ours.ok(), why(ours));
  CHECK(ours->digest == own);
  CHECK(ours->trees.size() == 1);
  CHECK(upstream.asked == 0);
  const auto unknown = ensure("localhost:5000/shop/web:v2");
  REQUIRE_FALSE(unknown.ok());
  CHECK(unknown.error().message.find("is not in the platform's registry: push it to") != std::string::npos);

  const auto substitute = ensure("nginx:1.25");
  REQUIRE_MESSAGE(substitute.ok(), why(substitute));
  CHECK(substitute->stand_in == "debian");
  CHECK(pulls == 1);
  REQUIRE(ensure("nginx:1.25").ok());  // known now
  CHECK(stand_ins.asked == 1);
  CHECK_FALSE(ensure("nginx@sha256:0000000000000000000000000000000000000000000000000000000000000000").ok());
  CHECK(stand_ins.asked == 1);  // never for a digest

  upstream.answer = [] { return Error{ErrorCode::not_found, "no such image"}; };
  const auto wrong = ensure("nginx:nope");
  REQUIRE_FALSE(wrong.ok());
  CHECK(wrong.error().code == ErrorCode::not_found);
  CHECK(wrong.error().message.find("correct the name") != std::string::npos);
  images = provider(StandIns::never);
  upstream.answer = [] { return Error{ErrorCode::unavailable, "no route"}; };
  CHECK_FALSE(ensure("nginx:1.25").ok());  // a stand-in that is here does not count either
  const auto never = ensure("redis", PullPolicy::never);
  REQUIRE_FALSE(never.ok());
  CHECK(never.error().message.find("imagePullPolicy is Never") != std::string::npos);
  CHECK(ensure("Bad Name").error().code == ErrorCode::bad_request);

  const auto executor = ensure("gcr.io/kaniko-project/executor:v1.23.2");
  REQUIRE_MESSAGE(executor.ok(), why(executor));
  CHECK(executor->config.entrypoint == std::vector<std::string>{"/kaniko/executor"});
  const auto started =
      run({.args = {"chroot", executor->trees[0], "/kaniko/executor", "--version"}});  // its libraries are all there
  REQUIRE_MESSAGE(started.ok(), why(started));
  CHECK_MESSAGE(started->code == 0, started->err);
  CHECK(ensure("caisson.dev/executor")->digest == executor->digest);
}
