// SPDX-License-Identifier: Apache-2.0
// POST /api/webhook: pushes told by GitHub, GitLab, Gitea (Gogs) and Bitbucket, as Argo CD 3.0's
// docs/operator-manual/webhook.md has them. An unsigned request is refused, also where no secret is configured: that is
// the one difference. The Applications whose repository and revision the push moves are refreshed. Threads: any.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "cluster/kube/client.h"
#include "core/http/server.h"

namespace caisson::gitops {

struct Push {
  std::vector<std::string> urls;  // of the repository, every way it is told
  std::string ref, after;         // "refs/heads/main", a commit; may be empty
  std::vector<std::string> changed;
};

// `secrets`: argocd-secret's data, decoded: webhook.github.secret, webhook.gitlab.secret, webhook.gogs.secret (Gitea
// too), webhook.bitbucketserver.secret, webhook.bitbucket.uuid. Errors: unauthorized for a wrong or missing signature,
// bad_request for what is no push. Pure.
Result<Push> read_webhook(const http::Headers& headers, const std::string& body,
                          const std::map<std::string, std::string>& secrets);

// "https://user@git.example:443/shop/app.git" and "git@git.example:shop/app" are one repository. Pure.
bool same_repository(std::string_view a, std::string_view b);

// Whether the push concerns the Application: repository, revision and, where it has
// argocd.argoproj.io/manifest-generate-paths, the changed files. Pure.
bool concerned(const kube::Object& application, const Push& push);

void handle_webhook(kube::Client& client, const std::string& home_namespace, const http::ExchangePtr& exchange);

}  // namespace caisson::gitops
