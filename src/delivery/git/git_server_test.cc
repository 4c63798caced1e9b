// SPDX-License-Identifier: Apache-2.0
// Hosting, driven by the real git client over loopback.
#include "delivery/git/git_server.h"

#include <doctest/doctest.h>

#include <mutex>
#include <thread>

#include "core/base/file.h"
#include "core/base/process.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "core/http/client.h"
#include "delivery/git/pkt_line.h"
#include "delivery/git/platform_test.h"
#include "delivery/git/push_event.h"

namespace caisson::git {
namespace {

// A platform with organisation shop, where ada may do everything and bob may read.
struct Fixture : Platform {
  const TempDir& dir = directory;
  GitServer git{*client, spans, system_clock(), {.directory = dir.path() + "/git"}};
  std::map<std::string, std::string> tokens;
  http::Server server = http::Server::start({}).value();
  int port = server.listen("127.0.0.1", 0, [this](http::ExchangePtr exchange) { git.handle(exchange); }).value();

  Fixture() {
    make_organization("shop");
    REQUIRE(create(R"(
{apiVersion: v1, kind: Namespace, metadata: {name: plain}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: git-writer}
rules: [{apiGroups: [caisson.dev], resources: [repositories], verbs: [get, create, update]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: git-reader}
rules: [{apiGroups: [caisson.dev], resources: [repositories], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: ada}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: git-writer}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: ada}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: bob}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: git-reader}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: bob}]
)") == "");
    for (const char* user : {"ada", "bob"}) tokens[user] = std::string(api->make_user_token(user, {}).value().reveal());
  }
  std::string url(const std::string& name = "shop/app", const std::string& user = "ada") const {
    return "http://" + user + ":" + tokens.at(user) + "@127.0.0.1:" + std::to_string(port) + "/" + name + ".git";
  }
  Exit run(std::vector<std::string> args, const std::string& where) const {
    args.insert(args.begin(), "git");
    Command command;
    command.args = std::move(args);
    command.directory = dir.path() + "/" + where;
    command.env = {{"GIT_CONFIG_GLOBAL", "/dev/null"},
                   {"GIT_CONFIG_NOSYSTEM", "1"},
                   {"GIT_TERMINAL_PROMPT", "0"},
                   {"GIT_AUTHOR_NAME", "Ada"},
                   {"GIT_AUTHOR_EMAIL", "ada@example.org"},
                   {"GIT_COMMITTER_NAME", "Ada"},
                   {"GIT_COMMITTER_EMAIL", "ada@example.org"},
                   {"http_proxy", ""},
                   {"HTTP_PROXY", ""},
                   {"LC_ALL", "C.UTF-8"}};
    return caisson::run(command).value();
  }
  // A work tree with one commit.
  void make_work(const std::string& where, const std::string& branch = "main") {
    REQUIRE(make_dirs(dir.path() + "/" + where).ok());
    REQUIRE(run({"init", "-q", "-b", branch}, where).ok());
    commit(where, "README.md", "hello\n", "First");
  }
  std::string commit(const std::string& where, const std::string& path, const std::string& text,
                     const std::string& message) {
    REQUIRE(make_dirs(path_dir(dir.path() + "/" + where + "/" + path)).ok());
    REQUIRE(write_file_unsynced(dir.path() + "/" + where + "/" + path, text).ok());
    REQUIRE(run({"add", "-A"}, where).ok());
    REQUIRE(run({"commit", "-q", "-m", message}, where).ok());
    return std::string(trim(run({"rev-parse", "HEAD"}, where).out));
  }
  std::vector<kube::Object> events() { return client->list(schema::kPushEvents, {}).value().items; }
};

TEST_CASE("a first push makes the repository, and a clone gives back what was pushed, Hangul included") {
  Fixture f;
  f.make_work("work");
  const std::string id = f.commit("work", "문서/안내.md", "안녕하세요\n", "문서: 안내를 더한다");
  const Exit pushed = f.run({"push", f.url(), "main"}, "work");
  INFO(pushed.err);
  REQUIRE(pushed.ok());
  REQUIRE(f.run({"clone", "-q", f.url(), "copy"}, "").ok());
  CHECK(*read_file(f.dir.path() + "/copy/문서/안내.md") == "안녕하세요\n");

  const auto events = f.events();
  REQUIRE(events.size() == 1);
  const Value& spec = events[0].spec();
  CHECK(spec["repository"].as_string() == "shop/app");
  CHECK(spec["ref"].as_string() == "refs/heads/main");
  CHECK(spec["before"].as_string() == kNoCommit);
  CHECK(spec["after"].as_string() == id);
  CHECK(spec["pusher"].as_string() == "ada");
  const Value& body = spec["body"];
  CHECK(body["created"].as_bool());
  CHECK_FALSE(body["forced"].as_bool());
  CHECK(body["repository"]["full_name"].as_string() == "shop/app");
  CHECK(body["repository"]["clone_url"].as_string() == "http://localhost:8080/shop/app.git");
  CHECK(body["repository"]["default_branch"].as_string() == "main");
  REQUIRE(body["commits"].size() == 2);
  CHECK(body["commits"][1]["message"].as_string() == "문서: 안내를 더한다");
  CHECK(body["commits"][1]["added"][0].as_string() == "문서/안내.md");
  CHECK(body["head_commit"]["id"].as_string() == id);
  CHECK(spec["changedPaths"].size() == 2);

  const kube::Object object = f.client->get(schema::kRepositories, {"shop", "app"}).value();
  CHECK(object.status()["refs"]["refs/heads/main"].as_string() == id);
  CHECK(object.status()["head"].as_string() == id);
  CHECK(events[0].trace().trace_id == f.spans.spans.at(0).context.trace_id);
  CHECK(f.spans.spans.at(0).name == "git receive-pack");
}

TEST_CASE("later pushes: fast forward, forced, tag, deletion") {
  Fixture f;
  f.make_work("work");
  REQUIRE(f.run({"push", "-q", f.url(), "main"}, "work").ok());
  f.commit("work", "README.md", "changed\n", "Second");
  REQUIRE(f.run({"push", "-q", f.url(), "main"}, "work").ok());
  REQUIRE(f.run({"commit", "-q", "--amend", "-m", "Amended"}, "work").ok());
  REQUIRE(f.run({"push", "-q", "-f", f.url(), "main"}, "work").ok());
  REQUIRE(f.run({"tag", "-a", "v1", "-m", "one"}, "work").ok());
  REQUIRE(f.run({"push", "-q", f.url(), "v1", "main:refs/heads/side"}, "work").ok());
  REQUIRE(f.run({"push", "-q", f.url(), ":side"}, "work").ok());
  int forced = 0, deleted = 0, tags = 0;
  const auto events = f.events();
  for (const kube::Object& event : events) {
    forced += event.spec()["body"]["forced"].as_bool();
    deleted += event.spec()["body"]["deleted"].as_bool();
    tags += event.spec()["ref"].as_string() == "refs/tags/v1";
  }
  CHECK(events.size() == 6);
  CHECK(forced == 1);
  CHECK(deleted == 1);
  CHECK(tags == 1);
  const kube::Object object = f.client->get(schema::kRepositories, {"shop", "app"}).value();
  CHECK(object.status()["refs"].size() == 2);
  CHECK(f.run({"push", "-q", f.url(), ":main"}, "work").err.find("refus") != std::string::npos);  // HEAD's branch stays
}

TEST_CASE("a big push goes chunked, a shallow clone and a fetch work") {
  Fixture f;
  f.make_work("work");
  f.commit("work", "big.bin", random_bytes(5'000'000), "Big");
  const Exit pushed = f.run({"push", f.url(), "main"}, "work");
  INFO(pushed.err);
  REQUIRE(pushed.ok());
  for (const char* version : {"0", "1", "2"}) {
    CAPTURE(version);
    const std::string copy = std::string("copy") + version;
    REQUIRE(f.run({"-c", std::string("protocol.version=") + version, "clone", "-q", "--depth", "1", f.url(), copy}, "")
                .ok());
    CHECK(trim(f.run({"rev-list", "--count", "HEAD"}, copy).out) == "1");
    CHECK(read_file(f.dir.path() + "/" + copy + "/big.bin")->size() == 5'000'000);
    REQUIRE(f.run({"-c", std::string("protocol.version=") + version, "fetch", "-q", "--unshallow"}, copy).ok());
    CHECK(trim(f.run({"rev-list", "--count", "HEAD"}, copy).out) == "2");
  }
}

TEST_CASE("a fetch with much to negotiate sends a gzip'd request, which is understood") {
  Fixture f;
  f.make_work("work");
  REQUIRE(f.run({"push", "-q", f.url(), "main"}, "work").ok());
  REQUIRE(f.run({"clone", "-q", f.url(), "copy"}, "").ok());
  for (int i = 0; i < 60; ++i) f.commit("copy", "local" + std::to_string(i), "x", "local");
  f.commit("work", "news", "x", "news");
  REQUIRE(f.run({"push", "-q", f.url(), "main"}, "work").ok());
  const Exit fetched = f.run({"fetch", "-q", "origin"}, "copy");
  INFO(fetched.err);
  CHECK(fetched.ok());
}

TEST_CASE("who may not push hears why") {
  Fixture f;
  f.make_work("work");
  const std::string base = "127.0.0.1:" + std::to_string(f.port) + "/";
  struct Case {
    const char* name;
    std::string url;
    const char* want;
  };
  const Case cases[] = {
      {"no credentials", "http://" + base + "shop/app.git", "could not read Username"},
      {"wrong token", "http://ada:nonsense@" + base + "shop/app.git", "Authentication failed"},
      {"may only read", f.url("shop/app", "bob"), "remote: bob may not create shop/app"},
      {"unknown organisation", f.url("nowhere/app"), "remote: organisation 'nowhere' does not exist here"},
      {"a namespace that is none", f.url("plain/app"), "remote: organisation 'plain' does not exist here"},
      {"a name that can't be", f.url("shop/Bad_Name"), "remote: 'shop/Bad_Name' can't be a repository"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    const Exit pushed = f.run({"push", c.url, "main"}, "work");
    CHECK_FALSE(pushed.ok());
    CAPTURE(pushed.err);
    CHECK(pushed.err.find(c.want) != std::string::npos);
  }
  CHECK(f.events().empty());
  CHECK_FALSE(exists(f.dir.path() + "/git/shop/app.git"));
  REQUIRE(f.run({"push", "-q", f.url(), "main"}, "work").ok());
  CHECK(f.run({"clone", "-q", f.url("shop/app", "bob"), "copy"}, "").ok());
  CHECK(f.run({"push", f.url("shop/app", "bob"), "main:x"}, "work").err.find("remote: bob may not push to shop/app") !=
        std::string::npos);
  CHECK(f.run({"clone", f.url("shop/other"), "none"}, "").err.find("remote: repository shop/other does not exist") !=
        std::string::npos);
}

TEST_CASE("an upload that breaks off leaves nothing behind") {
  Fixture f;
  f.make_work("work");
  REQUIRE(f.run({"push", "-q", f.url(), "main"}, "work").ok());
  const std::string before = *read_file(f.dir.path() + "/git/shop/app.git/refs/heads/main");
  const http::Client client;
  for (const bool whole_http : {false, true}) {
    http::Request request;
    request.method = "POST";
    request.url = f.url() + "/git-receive-pack";
    request.headers.set("Content-Type", "application/x-git-receive-pack-request");
    const std::string commands = pkt_line(std::string(trim(before)) + " " + std::string(40, '1') + " refs/heads/main" +
                                          std::string("\0 report-status", 15)) +
                                 "0000PACK" + std::string("\0\0\0\2\0\0\0\1", 8);
    if (whole_http) request.body = commands;
    int pieces = 0;
    if (!whole_http)
      request.body_source = [&]() -> Result<std::string> {
        if (pieces++ == 0) return commands + std::string(2u << 20, 'x');  // more than is held in memory
        return Error{ErrorCode::unavailable, "the cable was pulled"};
      };
    const auto response = client.send(request);
    CHECK(response.ok() == whole_http);
    if (response.ok()) CHECK(response->body.find("unpack ok") == std::string::npos);
  }
  CHECK(*read_file(f.dir.path() + "/git/shop/app.git/refs/heads/main") == before);
  CHECK(f.events().size() == 1);
  // The server may still be reading what came before the cable was pulled.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  const auto is_clean = [&] {
    const auto names = list_dir(f.dir.path() + "/git/.incoming");
    return names.ok() && names->empty();
  };
  while (!is_clean() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  CHECK(is_clean());
  const auto objects = list_dir(f.dir.path() + "/git/shop/app.git/objects").value();
  for (const std::string& name : objects) CHECK_FALSE(name.starts_with("tmp_objdir"));
}

TEST_CASE("of two pushes at once to one branch one wins, and each that won has its event") {
  Fixture f;
  f.make_work("work");
  REQUIRE(f.run({"push", "-q", f.url(), "main"}, "work").ok());
  constexpr int kPushers = 4;
  for (int i = 0; i < kPushers; ++i) {
    const std::string where = "w" + std::to_string(i);
    REQUIRE(f.run({"clone", "-q", f.url(), where}, "").ok());
    f.commit(where, "file" + std::to_string(i), "x", "push " + std::to_string(i));
  }
  std::atomic<int> won = 0;
  std::vector<std::thread> pushers;
  for (int i = 0; i < kPushers; ++i) {
    pushers.emplace_back([&, i] {
      const std::string where = "w" + std::to_string(i);
      const std::string branch = i % 2 == 0 ? "main" : "side" + std::to_string(i);
      if (f.run({"push", "-q", f.url(), "HEAD:refs/heads/" + branch}, where).ok()) ++won;
    });
  }
  for (std::thread& pusher : pushers) pusher.join();
  CHECK(won == 3);
  CHECK(f.events().size() == 4);
}

TEST_CASE("a move that a crash left without event is emitted at the next start, once") {
  Fixture f;
  f.make_work("work");
  REQUIRE(f.run({"push", "-q", f.url(), "main"}, "work").ok());
  const std::string id = f.commit("work", "a", "b", "while the platform was down");
  REQUIRE(f.run({"push", "-q", f.dir.path() + "/git/shop/app.git", "main"}, "work").ok());  // past the server: no event
  CHECK(f.events().size() == 1);
  for (int start = 0; start < 2; ++start) {
    kube::Runtime runtime(*f.client, system_clock(), {.threads = 2});
    f.git.add_reconciler(runtime);
    runtime.start();
    REQUIRE(runtime.wait_synced(std::chrono::seconds(20)));
    REQUIRE(runtime.wait_idle(std::chrono::seconds(20), std::chrono::seconds(30)));
    const auto events = f.events();
    REQUIRE(events.size() == 2);
    const bool first = events[0].spec()["after"].as_string() == id;
    CHECK(events[first ? 0 : 1].spec()["before"].as_string() != kNoCommit);
    CHECK(f.client->get(schema::kRepositories, {"shop", "app"})->status()["refs"]["refs/heads/main"].as_string() == id);
  }
}

TEST_CASE("a Repository object gets its directory, and a first push of another branch becomes HEAD") {
  Fixture f;
  REQUIRE(f.client->create(kube::Object::make(schema::kRepositories, "shop", "other")).ok());
  REQUIRE(f.run({"clone", "-q", f.url("shop/other"), "empty"}, "").ok());
  f.make_work("work", "master");
  REQUIRE(f.run({"push", "-q", f.url("shop/other"), "master"}, "work").ok());
  REQUIRE(f.run({"clone", "-q", f.url("shop/other"), "copy"}, "").ok());
  CHECK(trim(f.run({"branch", "--show-current"}, "copy").out) == "master");
}

TEST_CASE("a push that can't be kept is refused in git's own words, in the form that the client asks for") {
  const std::string id(40, 'a'), none(40, '0');
  const std::vector<RefUpdate> updates{{"refs/heads/main", none, id}, {"refs/tags/v1", none, id}};
  const auto commands = [&](const std::string& capabilities) {
    return pkt_line(none + " " + id + " refs/heads/main" + std::string(1, '\0') + capabilities) +
           pkt_line(none + " " + id + " refs/tags/v1") + "0000";
  };
  const std::string plain = pkt_line("unpack No space left on device\n") +
                            pkt_line("ng refs/heads/main unpacker error\n") +
                            pkt_line("ng refs/tags/v1 unpacker error\n") + "0000";
  CHECK(refusing_report(commands(" report-status"), updates, "No space left on device") == plain);
  const std::string banded = refusing_report(commands(" report-status-v2 side-band-64k agent=git/2.39.5\n"), updates,
                                             "No space left on device");
  CHECK(banded == pkt_line("\1" + plain) + "0000");
  const PushReport report = parse_push_report(banded);
  CHECK(report.reported);
  CHECK(report.refs == std::map<std::string, bool>{{"refs/heads/main", false}, {"refs/tags/v1", false}});
  CHECK(refusing_report(commands(" agent=git/2.39.5"), updates, "why").empty());
  CHECK(refusing_report("0000", {}, "why").empty());
}

TEST_CASE("push commands and reports are read from their lines") {
  const std::string a(40, 'a'), b(40, 'b');
  const auto updates =
      parse_push_commands(pkt_line(a + " " + b + " refs/heads/main" + std::string("\0 report-status\n", 16)) +
                          pkt_line(b + " " + a + " refs/heads/한글\n") + "0000PACK");
  REQUIRE(updates.ok());
  CHECK(*updates == std::vector<RefUpdate>{{"refs/heads/main", a, b}, {"refs/heads/한글", b, a}});
  for (const std::string& bad : {std::string(), std::string("zzzz"), std::string("0005"), pkt_line("nonsense"),
                                 pkt_line(a + " " + b), pkt_line("push-cert\n") + "0000", std::string("ffff")}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_push_commands(bad).ok());
  }
  const std::string plain =
      pkt_line("unpack ok\n") + pkt_line("ok refs/heads/a\n") + pkt_line("ng refs/heads/b no\n") + "0000";
  for (const std::string& output : {plain, pkt_line("\2progress") + pkt_line("\1" + plain.substr(0, 10)) +
                                               pkt_line("\1" + plain.substr(10)) + "0000"}) {
    const PushReport report = parse_push_report(output);
    CHECK(report.reported);
    CHECK(report.refs == std::map<std::string, bool>{{"refs/heads/a", true}, {"refs/heads/b", false}});
  }
}

}  // namespace
}  // namespace caisson::git
