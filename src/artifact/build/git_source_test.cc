// SPDX-License-Identifier: Apache-2.0
// Words that name a git repository; and one commit of a real repository, over git's own protocol.
#include "artifact/build/git_source.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "core/base/file.h"
#include "core/base/process.h"
#include "core/http/server.h"

using namespace caisson;
using namespace caisson::build;

namespace {

// A repository with two commits, a branch, an annotated tag, and a server for it.
struct Repository {
  TempDir dir = TempDir::make("caisson-git").value();
  std::string url, first, second;
  std::optional<Process> daemon;

  std::string git(std::vector<std::string> args) const {
    Command command;
    command.args = {"git", "-C", dir.path() + "/r.git"};
    command.args.insert(command.args.end(), args.begin(), args.end());
    command.env = {{"GIT_CONFIG_GLOBAL", "/dev/null"},
                   {"GIT_AUTHOR_NAME", "a"},
                   {"GIT_AUTHOR_EMAIL", "a@example.com"},
                   {"GIT_COMMITTER_NAME", "a"},
                   {"GIT_COMMITTER_EMAIL", "a@example.com"},
                   {"GIT_AUTHOR_DATE", "2024-01-02T03:04:05Z"},
                   {"GIT_COMMITTER_DATE", "2024-01-02T03:04:05Z"}};
    std::string out = run_checked(command).value();
    while (out.ends_with('\n')) out.pop_back();
    return out;
  }
  void commit(const std::string& path, const std::string& text) const {
    REQUIRE(make_dirs(path_dir(dir.path() + "/r.git/" + path)).ok());
    REQUIRE(write_file_unsynced(dir.path() + "/r.git/" + path, text).ok());
    git({"add", "."});
    git({"commit", "-q", "-m", path});
  }
  Repository() {
    REQUIRE(make_dirs(dir.path() + "/r.git").ok());
    git({"init", "-q", "-b", "main"});
    commit("sub/a", "1");
    first = git({"rev-parse", "HEAD"});
    git({"tag", "-a", "-m", "one", "v1"});
    git({"branch", "old"});
    commit("b", "2");
    second = git({"rev-parse", "HEAD"});
    int port = 0;
    {
      http::Server free = http::Server::start({}).value();
      port = free.listen("127.0.0.1", 0, [](const http::ExchangePtr&) {}).value();
    }
    url = "git://127.0.0.1:" + std::to_string(port) + "/r.git";
    daemon = Process::start(
                 {.args = {"git", "-c", "safe.directory=*", "daemon", "--listen=127.0.0.1",
                           "--port=" + std::to_string(port), "--export-all", "--base-path=" + dir.path(), dir.path()},
                  .time_max = Duration(0)},
                 {})
                 .value();
    const Duration until = system_clock().monotonic() + std::chrono::seconds(20);
    while (!resolve_git(parse_git_source(url).value(), {}).ok()) REQUIRE(system_clock().monotonic() < until);
  }
  std::string resolve(const std::string& rest) const {
    const Result<std::string> commit = resolve_git(parse_git_source(url + rest).value(), {});
    return commit.ok() ? *commit : commit.error().message;
  }
};

}  // namespace

TEST_CASE("which words name a git repository, and what of it") {
  CHECK(is_git_source("https://h/o/r.git"));
  CHECK(is_git_source("https://h/o/r.git#main:dir"));
  CHECK(is_git_source("https://h/o/r.git?ref=main"));
  CHECK(is_git_source("git@h:o/r"));
  CHECK(is_git_source("ssh://git@h/o/r"));
  CHECK(is_git_source("git://h/r"));
  CHECK_FALSE(is_git_source("https://h/o/r.git/file"));
  CHECK_FALSE(is_git_source("https://h/o/r.tar.gz#x.git"));
  CHECK_FALSE(is_git_source("r.git"));
  CHECK(parse_git_source("https://h/r.git#v1:a//b/").value() == GitSource{"https://h/r.git", "v1", "a/b"});
  CHECK(parse_git_source("https://h/r.git#:a").value() == GitSource{"https://h/r.git", "", "a"});
  CHECK(parse_git_source("https://h/r.git#v1:../../etc").value().subdir == "etc");
  CHECK(parse_git_source("https://h/r.git?branch=m&subdir=d&keep-git-dir=1&submodules=false&checksum=ab").value() ==
        GitSource{"https://h/r.git", "refs/heads/m", "d", "ab", true, false});
  CHECK(parse_git_source("https://h/r.git?x=1").error().message == "unexpected query \"x\" of a git repository");
  CHECK_FALSE(parse_git_source("https://h/r.git?ref=a#b").ok());
  CHECK(parse_git_source("https://h/r.git#--upload-pack=x").error().message ==
        "\"--upload-pack=x\" is no branch, tag or commit");
  CHECK_FALSE(parse_git_source("https://h/r.git?checksum=xyz").ok());
}

TEST_CASE("a ref is the commit that it names, and the files are that commit's at its time") {
  const Repository r;
  CHECK(r.resolve("") == r.second);
  CHECK(r.resolve("#main") == r.second);
  CHECK(r.resolve("#v1") == r.first);
  CHECK(r.resolve("?tag=v1") == r.first);
  CHECK(r.resolve("?branch=old") == r.first);
  CHECK(r.resolve("#" + r.first) == r.first);
  CHECK(r.resolve("?ref=v1&checksum=" + r.first.substr(0, 12)) == r.first);
  CHECK(r.resolve("?ref=v1&checksum=" + r.git({"rev-parse", "v1"})) == r.first);
  CHECK(r.resolve("?ref=main&checksum=" + r.first) == "expected checksum to match " + r.first + ", got " + r.second);
  CHECK(r.resolve("#nope") == "repository does not contain ref nope");

  const std::string out = r.dir.path() + "/out";
  REQUIRE(fetch_git(parse_git_source(r.url + "#old").value(), r.first, out, {}).ok());
  CHECK(list_dir(out).value() == std::vector<std::string>{"sub"});
  struct stat st {};
  REQUIRE(::stat((out + "/sub/a").c_str(), &st) == 0);
  CHECK(st.st_mtim.tv_sec == 1704164645);
  GitSource kept = parse_git_source(r.url + "#" + r.first).value();  // not the end of any branch but one
  kept.keep_git_dir = true;
  REQUIRE(fetch_git(kept, r.first, r.dir.path() + "/kept", {}).ok());
  CHECK(exists(r.dir.path() + "/kept/.git/HEAD"));
}

TEST_CASE("what a build has no key for is refused, with the way out") {
  const Result<std::string> commit = resolve_git(parse_git_source("git@example.com:o/r.git").value(), {});
  REQUIRE_FALSE(commit.ok());
  CHECK(commit.error().code == ErrorCode::invalid);
  CHECK(commit.error().message.find("no SSH key \"default\": give one with --ssh") != std::string::npos);
  const Result<std::string> local = resolve_git({"file:///etc"}, {});
  REQUIRE_FALSE(local.ok());
  CHECK(local.error().message.find("not allowed") != std::string::npos);
}

namespace {

// An `ssh` in PATH that logs in nowhere: it writes down how it was called and which keys its agent has, and runs the
// command here.
struct FakeSsh {
  TempDir dir = TempDir::make("caisson-ssh").value();
  std::string path = ::getenv("PATH");
  FakeSsh() {
    REQUIRE(write_file_unsynced(dir.path() + "/ssh",
                                "#!/bin/sh\necho \"$*\" >>" + dir.path() + "/calls\nssh-add -l >>" + dir.path() +
                                    "/keys\nfor last; do :; done\nexec sh -c \"$last\"\n",
                                0755)
                .ok());
    ::setenv("PATH", (dir.path() + ":" + path).c_str(), 1);
  }
  ~FakeSsh() { ::setenv("PATH", path.c_str(), 1); }
  FakeSsh(const FakeSsh&) = delete;
  FakeSsh& operator=(const FakeSsh&) = delete;
  std::string told(const std::string& name) const { return read_file(dir.path() + "/" + name).value(); }
};

}  // namespace

TEST_CASE(
    "by ssh a repository is read with the build's own key, and only at hosts that are known when some are named") {
  const Repository r;
  const FakeSsh ssh;
  const std::string key = r.dir.path() + "/key";
  REQUIRE(run_checked({.args = {"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "build", "-f", key}}).ok());
  const std::map<std::string, std::string> keys{{"default", *read_file(key)}};
  const GitSource source = parse_git_source("git@host.example:" + r.dir.path() + "/r.git#v1").value();
  const Result<std::string> commit = resolve_git(source, {.ssh_keys = &keys});
  REQUIRE_MESSAGE(commit.ok(), (commit.ok() ? "" : commit.error().message));
  CHECK(*commit == r.first);
  CHECK(ssh.told("keys").find(" build (ED25519)") != std::string::npos);
  CHECK(ssh.told("calls").find("-F none") != std::string::npos);
  CHECK(ssh.told("calls").find("StrictHostKeyChecking=accept-new") != std::string::npos);
  const std::map<std::string, std::string> hosts{{"GIT_SSH_KNOWN_HOSTS", "host.example ssh-ed25519 AAAA\n"}};
  REQUIRE(fetch_git(source, r.first, r.dir.path() + "/out", {.secrets = &hosts, .ssh_keys = &keys}).ok());
  CHECK(exists(r.dir.path() + "/out/sub/a"));
  CHECK(ssh.told("calls").find("StrictHostKeyChecking=yes") != std::string::npos);
  const std::map<std::string, std::string> broken{{"default", "no key\n"}};
  CHECK(resolve_git(source, {.ssh_keys = &broken}).error().message.find("no private key") != std::string::npos);
}
