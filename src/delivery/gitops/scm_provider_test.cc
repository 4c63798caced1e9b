// SPDX-License-Identifier: Apache-2.0
// The SCM generator against a server that answers as GitHub, GitLab and Gitea document it, and over own repositories.
#include "delivery/gitops/scm_provider.h"

#include <doctest/doctest.h>

#include "core/base/file.h"
#include "core/base/process.h"
#include "core/document/yaml.h"
#include "delivery/gitops/fake_host_test.h"

namespace caisson::gitops {
namespace {

using testing::FakeHost;

struct Fixture {
  TempDir directory = TempDir::make("scm").value();
  git::Repositories own{{.directory = directory.path() + "/git",
                         .mirrors = directory.path() + "/mirrors",
                         .own_hosts = {"localhost:8080"}}};

  Result<std::vector<Value>> ask(const std::string& text) {
    const Value provider = yaml::read(text).value();
    const auto host =
        open_scm_host(provider, own, [](const Value&) -> Result<std::string> { return std::string("hush"); });
    if (!host.ok()) return host.error();
    const auto found = find_repositories(**host, provider);
    if (!found.ok()) return found.error();
    std::vector<Value> out;
    for (const ScmFound& one : *found) out.push_back(scm_parameters(one, provider));
    return out;
  }
};

constexpr const char* kRepositories = R"([
  {"id": 1, "name": "web", "clone_url": "https://h/shop/web.git", "ssh_url": "git@h:shop/web.git", "default_branch": "main", "topics": ["deploy", "web"]},
  {"id": 2, "name": "old", "clone_url": "https://h/shop/old.git", "ssh_url": "git@h:shop/old.git", "default_branch": "main", "archived": true},
  {"id": 3, "name": "notes", "clone_url": "https://h/shop/notes.git", "ssh_url": "git@h:shop/notes.git", "default_branch": "main"}])";

TEST_CASE("GitHub: repositories by name, label and path, with a token") {
  Fixture f;
  FakeHost host;
  host.header = "Authorization";
  host.wanted = "Bearer hush";
  host.answers = {{"/orgs/shop/repos?sort=name", kRepositories},
                  {"/repos/shop/web/branches/main", R"({"name": "main", "commit": {"sha": "0123456789abcdef"}})"},
                  {"/repos/shop/web/contents/deploy/base?ref=main", "[]"}};
  const std::string provider = "github: {organization: shop, api: \"" + host.url() +
                               "\", tokenRef: {secretName: t, key: k}, excludeArchivedRepos: true}\n";
  const auto found =
      f.ask(
           provider +
           "filters: [{repositoryMatch: ^w, labelMatch: deploy, pathsExist: [deploy/base], pathsDoNotExist: [none]}]\n")
          .value();
  REQUIRE(found.size() == 1);
  CHECK(found[0]["url"].as_string() == "git@h:shop/web.git");
  CHECK(found[0]["short_sha_7"].as_string() == "0123456");
  CHECK(found[0]["labels"].as_string() == "deploy,web");
  CHECK(f.ask(provider + "filters: [{pathsExist: [none]}]\n").value().empty());
  CHECK(f.ask(provider + "filters: [{repositoryMatch: \"[\"}]\n").error().message.find("repositoryMatch") !=
        std::string::npos);
  CHECK(f.ask(provider + "filters: [{nameMatch: a}]\n").error().message.find("nameMatch") != std::string::npos);
  host.wanted = "Bearer other";
  CHECK(f.ask(provider).error().message.find("Bad credentials") != std::string::npos);
}

TEST_CASE("Gitea and GitLab: their own paths, all branches, https") {
  Fixture f;
  FakeHost gitea;
  gitea.answers = {{"/api/v1/orgs/shop/repos?sort=name", kRepositories},
                   {"/api/v1/repos/shop/web/branches?sort=name",
                    R"([{"name": "main", "commit": {"id": "aa"}}, {"name": "feature/x", "commit": {"id": "bb"}}])"}};
  auto found = f.ask("cloneProtocol: https\ngitea: {owner: shop, api: \"" + gitea.url() +
                     "/\", allBranches: true}\nfilters: [{repositoryMatch: web, branchMatch: ^feature/}]\n")
                   .value();
  REQUIRE(found.size() == 1);
  CHECK(found[0]["url"].as_string() == "https://h/shop/web.git");
  CHECK(found[0]["branchNormalized"].as_string() == "feature-x");
  FakeHost gitlab;
  gitlab.answers = {
      {"/api/v4/groups/a%2Fb/projects?order_by=id&include_subgroups=true&with_shared=true",
       R"([{"id": 7, "path": "web", "namespace": {"full_path": "a/b"}, "http_url_to_repo": "https://h/a/b/web.git", "ssh_url_to_repo": "s", "default_branch": "main"}])"},
      {"/api/v4/projects/7/repository/branches/main", R"({"name": "main", "commit": {"id": "cc"}})"},
      {"/api/v4/projects/7/repository/tree?ref=main&path=deploy", R"([{"name": "x"}])"}};
  found = f.ask("cloneProtocol: https\ngitlab: {group: a/b, includeSubgroups: true, api: \"" + gitlab.url() +
                "\"}\nfilters: [{pathsExist: [deploy]}]\n")
              .value();
  REQUIRE(found.size() == 1);
  CHECK(found[0]["organization"].as_string() == "a/b");
  CHECK(found[0]["repository_id"].as_string() == "7");
}

TEST_CASE("the platform's own organisation is read from disk") {
  Fixture f;
  const std::string bare = f.own.options().directory + "/shop/web.git", clone = f.directory.path() + "/clone";
  const auto git = [&](std::vector<std::string> args, const std::string& where) {
    args.insert(args.begin(), "git");
    Command command;
    command.args = args;
    command.directory = where;
    REQUIRE(run_checked(command).ok());
  };
  REQUIRE(make_dirs(bare).ok());
  git({"init", "-q", "--bare", "-b", "main", bare}, f.directory.path());
  git({"clone", "-q", bare, clone}, f.directory.path());
  REQUIRE(make_dirs(clone + "/deploy").ok());
  REQUIRE(write_file(clone + "/deploy/a.yaml", "a: 1\n").ok());
  git({"add", "-A"}, clone);
  git({"-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "x"}, clone);
  git({"push", "-q", "origin", "HEAD:main"}, clone);
  const std::string provider = "gitea: {owner: shop, api: \"http://localhost:8080\"}\n";
  const auto found = f.ask(provider + "filters: [{pathsExist: [deploy]}]\n").value();
  REQUIRE(found.size() == 1);
  CHECK(found[0]["url"].as_string() == "http://localhost:8080/shop/web.git");
  CHECK(found[0]["sha"].as_string().size() == 40);
  CHECK(f.ask(provider + "filters: [{pathsExist: [none]}]\n").value().empty());
  CHECK(f.ask("gitea: {owner: nobody, api: \"http://localhost:8080\"}\n").value().empty());
}

TEST_CASE("what is not supported or missing is refused by name") {
  Fixture f;
  CHECK(f.ask("azureDevOps: {organization: a}\n").error().message.find("azureDevOps") != std::string::npos);
  CHECK(f.ask("github: {organization: a, appSecretName: b}\n").error().message.find("appSecretName") !=
        std::string::npos);
  CHECK(f.ask("gitea: {owner: a}\n").error().message.find("api") != std::string::npos);
  CHECK(f.ask("gitlab: {api: \"https://x\"}\n").error().code == ErrorCode::invalid);
}

}  // namespace
}  // namespace caisson::gitops
