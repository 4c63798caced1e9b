// SPDX-License-Identifier: Apache-2.0
// The pull request generator against a server that answers as GitHub, GitLab and Gitea document it.
#include "delivery/gitops/pull_requests.h"

#include <doctest/doctest.h>

#include "core/document/yaml.h"
#include "delivery/gitops/fake_host_test.h"

namespace caisson::gitops {
namespace {

using testing::FakeHost;

Result<std::vector<PullRequest>> ask(const std::string& text) {
  return find_pull_requests(yaml::read(text).value(),
                            [](const Value&) -> Result<std::string> { return std::string("hush"); });
}

constexpr const char* kPulls = R"([
  {"number": 7, "title": "Add a page", "user": {"login": "ada"}, "labels": [{"name": "preview"}, {"name": "web"}],
   "head": {"ref": "feature/Add_a page", "sha": "0123456789abcdef"}, "base": {"ref": "main"}},
  {"number": 8, "title": "wip", "user": {"login": "bob"}, "labels": [],
   "head": {"ref": "fix", "sha": "ff"}, "base": {"ref": "release"}}])";

TEST_CASE("GitHub: open pull requests with all the labels, with a token") {
  FakeHost host;
  host.header = "Authorization";
  host.wanted = "Bearer hush";
  host.answers = {{"/repos/shop/web/pulls?state=open", kPulls}};
  const std::string github = "owner: shop, repo: web, api: \"" + host.url() + "\", tokenRef: {secretName: t, key: k}";
  const auto labelled = ask("github: {" + github + ", labels: [preview, web]}").value();
  REQUIRE(labelled.size() == 1);
  const Value parameters = pull_request_parameters(labelled[0]);
  CHECK(parameters["number"].as_string() == "7");
  CHECK(parameters["branch_slug"].as_string() == "feature-add-a-page");
  CHECK(parameters["target_branch"].as_string() == "main");
  CHECK(parameters["head_short_sha"].as_string() == "01234567");
  CHECK(parameters["head_short_sha_7"].as_string() == "0123456");
  CHECK(parameters["author"].as_string() == "ada");
  CHECK(parameters["labels"][1].as_string() == "web");
  host.wanted = "Bearer other";
  CHECK(ask("github: {" + github + "}").error().message.find("Bad credentials") != std::string::npos);
}

TEST_CASE("a filter holds whole, and one of several is enough") {
  FakeHost host;
  host.answers = {{"/api/v1/repos/shop/web/pulls?state=open", kPulls}};
  const std::string gitea = "gitea: {owner: shop, repo: web, api: \"" + host.url() + "\"}\nfilters: ";
  CHECK(ask(gitea + "[]").value().size() == 2);
  CHECK(ask(gitea + "[{branchMatch: ^feature/, targetBranchMatch: main}]").value().size() == 1);
  CHECK(ask(gitea + "[{branchMatch: ^feature/, targetBranchMatch: release}]").value().empty());
  CHECK(ask(gitea + "[{titleMatch: ^Add}, {targetBranchMatch: release}]").value().size() == 2);
  CHECK(ask(gitea + "[{labelMatch: x}]").error().message == "pullRequest: the filter labelMatch is not known");
  CHECK(ask(gitea + "[{branchMatch: \"[\"}]").error().message.find("branchMatch") != std::string::npos);
}

TEST_CASE("GitLab: merge requests by state and labels") {
  FakeHost host;
  host.header = "PRIVATE-TOKEN";
  host.wanted = "hush";
  host.answers = {{"/api/v4/projects/a%2Fweb/merge_requests?state=opened&labels=x%2Cy",
                   R"([{"iid": 3, "title": "t", "author": {"username": "ada"}, "source_branch": "b",
                        "target_branch": "main", "sha": "aa", "labels": ["x", "y"]}])"}};
  const auto found = ask("gitlab: {project: a/web, pullRequestState: opened, labels: [x, y], api: \"" + host.url() +
                         "\", tokenRef: {secretName: t, key: k}}")
                         .value();
  REQUIRE(found.size() == 1);
  CHECK(found[0].number == "3");
  CHECK(found[0].branch == "b");
}

TEST_CASE("what is missing or not supported is named") {
  for (const auto& [text, what] : std::map<std::string, std::string>{
           {"{}", "github, gitlab or gitea is required"},
           {"bitbucketServer: {project: p}", "bitbucketServer is not supported"},
           {"github: {owner: o}", "github.repo is missing"},
           {"gitlab: {}", "gitlab.project is missing"},
           {"gitea: {owner: o, repo: r}", "gitea.api is missing"},
           {"github: {owner: o, repo: r, appSecretName: s}", "github.appSecretName is not supported"}}) {
    CAPTURE(text);
    CHECK(ask(text).error().code == ErrorCode::invalid);
    CHECK(ask(text).error().message.find(what) != std::string::npos);
  }
}

TEST_CASE("a slug is part of a host name, and ends at a word") {
  CHECK(slug("Feature/ABC-12__x") == "feature-abc-12-x");
  CHECK(slug("--") == "");
  CHECK(slug(std::string(60, 'a')) == std::string(50, 'a'));
  const std::string words(30, 'a');
  CHECK(slug(words + "/" + words) == words);
}

}  // namespace
}  // namespace caisson::gitops
