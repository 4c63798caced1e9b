// SPDX-License-Identifier: Apache-2.0
// Reading repositories that the real git made.
#include "delivery/git/repositories.h"

#include <doctest/doctest.h>

#include "core/base/file.h"
#include "core/base/process.h"
#include "core/base/text.h"
#include "core/http/server.h"

namespace caisson::git {
namespace {

struct Fixture {
  TempDir dir = TempDir::make("git-test").value();
  std::string bare = dir.path() + "/git/shop/app.git", first, second;

  Fixture() {
    REQUIRE(make_dirs(bare).ok());
    git({"init", "-q", "--bare", "-b", "main", bare}, "");
    git({"init", "-q", "-b", "main", "work"}, "");
    write("base/app.yaml", "a: 1\n");
    write("base/sub/더하기.yaml", "b: 2\n");
    write("README", "hello\n");
    first = commit("First\n\nbody");
    write("base/app.yaml", "a: 2\n");
    write("base.txt", "sorts between\n");
    REQUIRE(remove_file(dir.path() + "/work/README").ok());
    second = commit("둘째");
    git({"tag", "-a", "v1", "-m", "one", first}, "work");
    git({"push", "-q", bare, "main", "v1"}, "work");
  }
  std::string git(std::vector<std::string> args, const std::string& where) {
    args.insert(args.begin(), "git");
    Command command;
    command.args = std::move(args);
    command.directory = dir.path() + "/" + where;
    command.env = {{"GIT_CONFIG_GLOBAL", "/dev/null"},
                   {"GIT_AUTHOR_NAME", "Ada"},
                   {"GIT_AUTHOR_EMAIL", "ada@example.org"},
                   {"GIT_COMMITTER_NAME", "Ada"},
                   {"GIT_COMMITTER_EMAIL", "ada@example.org"}};
    const auto out = run_checked(command);
    REQUIRE(out.ok());
    return std::string(trim(*out));
  }
  void write(const std::string& path, const std::string& text) {
    REQUIRE(make_dirs(path_dir(dir.path() + "/work/" + path)).ok());
    REQUIRE(write_file_unsynced(dir.path() + "/work/" + path, text).ok());
  }
  std::string commit(const std::string& message) {
    git({"add", "-A"}, "work");
    git({"commit", "-q", "-m", message}, "work");
    return git({"rev-parse", "HEAD"}, "work");
  }
  Repositories repositories() const {
    return Repositories({.directory = dir.path() + "/git",
                         .mirrors = dir.path() + "/cache",
                         .own_hosts = {"localhost:8080", "git.caisson-system.svc"}});
  }
};

TEST_CASE("revisions, trees, blobs and changes read as git made them") {
  Fixture f;
  const Repository repository = f.repositories().find("shop/app").value();
  for (const char* revision : {"", "HEAD", "main", "refs/heads/main"}) CHECK(*repository.resolve(revision) == f.second);
  for (const std::string& revision : {std::string("v1"), std::string("main~1"), f.first, f.first.substr(0, 10)})
    CHECK(*repository.resolve(revision) == f.first);
  CHECK(repository.resolve("nothing").error().code == ErrorCode::not_found);
  CHECK(*repository.head() == "refs/heads/main");
  CHECK(repository.refs()->size() == 2);

  CHECK(*repository.read(f.first, "base/app.yaml") == "a: 1\n");
  CHECK(*repository.read(f.second, "./base/sub/더하기.yaml") == "b: 2\n");
  CHECK(repository.read(f.second, "README").error().code == ErrorCode::not_found);
  CHECK(repository.read(f.second, "base").error().code == ErrorCode::bad_request);
  CHECK(repository.read(f.second, "base/app.yaml", 2).error().code == ErrorCode::too_large);

  const auto all = repository.list(f.second, "").value();
  std::vector<std::string> paths;
  for (const TreeEntry& entry : all) paths.push_back(entry.path);
  CHECK(paths == std::vector<std::string>{"base", "base.txt", "base/app.yaml", "base/sub", "base/sub/더하기.yaml"});
  CHECK(repository.list(f.second, "base", false)->size() == 2);
  CHECK(repository.list(f.second, "base.txt").error().code == ErrorCode::bad_request);
  CHECK(*repository.tree_hash(f.first, "base/sub") == *repository.tree_hash(f.second, "base/sub"));
  CHECK(*repository.tree_hash(f.first, "base") != *repository.tree_hash(f.second, "base"));
  CHECK(*repository.tree_hash(f.second, "") == f.git({"rev-parse", "main^{tree}"}, "work"));

  const auto changes = repository.changes(f.first, f.second).value();
  CHECK(changes.added == std::vector<std::string>{"base.txt"});
  CHECK(changes.removed == std::vector<std::string>{"README"});
  CHECK(changes.modified == std::vector<std::string>{"base/app.yaml"});
  CHECK(repository.changes(kNoCommit, f.first)->added.size() == 3);
  CHECK(repository.changes(f.first, f.second, 1)->truncated);
  CHECK(*repository.is_ancestor(f.first, f.second));
  CHECK_FALSE(*repository.is_ancestor(f.second, f.first));

  const auto log = repository.log(f.second, 10).value();
  REQUIRE(log.size() == 2);
  CHECK(log[0].message == "둘째\n");
  CHECK(log[0].parents == std::vector<std::string>{f.first});
  CHECK(log[1].author_email == "ada@example.org");
  CHECK(repository.log(f.second, 10, f.first)->size() == 1);
}

TEST_CASE("which names and URLs are ours") {
  const Fixture f;
  const auto options = f.repositories().options();
  const auto own = [&](const char* text) { return own_repository(options, text).value_or("-"); };
  CHECK(own("shop/app") == "shop/app");
  CHECK(own("shop/app.git") == "shop/app");
  CHECK(own("http://localhost:8080/shop/app.git") == "shop/app");
  CHECK(own("https://git.caisson-system.svc/shop/app.git/") == "shop/app");
  CHECK(own("https://localhost/shop/app.git") == "-");
  CHECK(own("https://example.org/shop/app.git") == "-");
  for (const char* bad : {"shop", "shop/..", "../x", "shop/a/b", "Shop/app", "shop/-a", "shop/a..b", "shop/a.lock",
                          "sh.op/a", "/a", "a/"}) {
    CAPTURE(bad);
    CHECK_FALSE(is_repository_name(bad));
  }
  CHECK(is_repository_name("shop/shop-app.v2"));
  CHECK(f.repositories().find("shop/none").error().code == ErrorCode::not_found);
  CHECK(f.repositories().find("file:///etc").error().code == ErrorCode::bad_request);
  CHECK(f.repositories().find("ext::sh -c id").error().code == ErrorCode::bad_request);
}

}  // namespace
}  // namespace caisson::git
