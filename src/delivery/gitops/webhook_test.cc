// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/webhook.h"

#include <doctest/doctest.h>

#include "core/base/encoding.h"
#include "core/base/hash.h"
#include "core/document/yaml.h"

namespace caisson::gitops {
namespace {

constexpr std::string_view kPush =
    R"({"ref": "refs/heads/main", "after": "abc", "repository": {"clone_url": "https://git.example/shop/deploy.git"},
        "commits": [{"added": ["apps/web/a.yaml"], "modified": [], "removed": []}]})";

kube::Object application(const std::string& url, const std::string& revision, const std::string& paths = "") {
  return kube::Object(yaml::read("{metadata: {name: web, annotations: {argocd.argoproj.io/manifest-generate-paths: '" +
                                 paths + "'}}, spec: {source: {repoURL: '" + url +
                                 "', path: apps/web, targetRevision: " + revision + "}}}")
                          .value());
}

std::string signature(const std::string& secret, std::string_view body) {
  return hex(hmac_sha256(secret, body));
}

TEST_CASE("each service's signature is checked, and what is unsigned or signed otherwise is refused") {
  const std::string body(kPush);
  const std::map<std::string, std::string> secrets{{"webhook.github.secret", "s"},
                                                   {"webhook.gitlab.secret", "t"},
                                                   {"webhook.gogs.secret", "g"},
                                                   {"webhook.bitbucketserver.secret", "b"}};
  CHECK(read_webhook({{"X-GitHub-Event", "push"}, {"X-Hub-Signature-256", "sha256=" + signature("s", body)}}, body,
                     secrets)
            .ok());
  CHECK(read_webhook({{"X-Gitlab-Event", "Push Hook"}, {"X-Gitlab-Token", "t"}}, body, secrets).ok());
  CHECK(read_webhook({{"X-Gitea-Event", "push"}, {"X-Gitea-Signature", signature("g", body)}}, body, secrets).ok());
  CHECK(read_webhook({{"X-Event-Key", "repo:refs_changed"}, {"X-Hub-Signature", "sha256=" + signature("b", body)}},
                     body, secrets)
            .ok());
  const http::Headers wrong[] = {
      {{"X-GitHub-Event", "push"}, {"X-Hub-Signature-256", "sha256=" + signature("x", body)}},
      {{"X-GitHub-Event", "push"}},
      {{"X-Gitlab-Event", "Push Hook"}, {"X-Gitlab-Token", "s"}},
      {{"X-Hook-UUID", "anything"}}};
  for (const http::Headers& headers : wrong) {
    const auto got = read_webhook(headers, body, secrets);
    REQUIRE_FALSE(got.ok());
    CHECK(got.error().code == ErrorCode::unauthorized);
  }
  CHECK(read_webhook({}, body, secrets).error().code == ErrorCode::bad_request);
  CHECK(read_webhook({{"X-Gitlab-Event", "Push Hook"}, {"X-Gitlab-Token", ""}}, body, {}).error().code ==
        ErrorCode::unauthorized);
}

TEST_CASE("a repository is the same by https, ssh, user, port and .git") {
  CHECK(same_repository("https://git.example/shop/deploy.git", "git@git.example:shop/deploy"));
  CHECK(same_repository("https://user@git.example:443/Shop/deploy/", "ssh://git@git.example/shop/deploy.git"));
  CHECK_FALSE(same_repository("https://git.example/shop/deploy", "https://git.example/shop/deploy2"));
}

TEST_CASE("a push concerns the Applications of its repository, branch and paths") {
  const auto push = read_webhook({{"X-Gitlab-Event", "Push Hook"}, {"X-Gitlab-Token", "t"}}, std::string(kPush),
                                 {{"webhook.gitlab.secret", "t"}});
  REQUIRE(push.ok());
  CHECK(concerned(application("https://git.example/shop/deploy", "main"), *push));
  CHECK_FALSE(concerned(application("https://git.example/shop/deploy", "release"), *push));
  CHECK_FALSE(concerned(application("https://git.example/shop/other", "main"), *push));
  CHECK(concerned(application("https://git.example/shop/deploy", "main", "."), *push));
  CHECK_FALSE(concerned(application("https://git.example/shop/deploy", "main", "/charts;../base"), *push));
  CHECK(concerned(application("https://git.example/shop/deploy", "main", "/apps"), *push));
}

}  // namespace
}  // namespace caisson::gitops
