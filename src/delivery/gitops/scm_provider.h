// SPDX-License-Identifier: Apache-2.0
// The repositories of an organisation, for ApplicationSets' scmProvider: on the platform's own git host, and by the
// APIs of GitHub (REST 2022-11-28), GitLab (v4) and Gitea (v1). Follows Argo CD 3.0
// docs/operator-manual/applicationset/ Generators-SCM-Provider.md. Blocks (network); any thread.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/document/value.h"
#include "delivery/git/repositories.h"

namespace caisson::gitops {

struct ScmRepository {
  std::string organization, name, id, https_url, ssh_url, default_branch;
  std::vector<std::string> labels;
  bool archived = false;
};
struct ScmBranch {
  std::string name, sha;
};
struct ScmFound {
  ScmRepository repository;
  ScmBranch branch;
};

// One organisation of one host.
class ScmHost {
 public:
  virtual ~ScmHost() = default;
  virtual bool own() const { return false; }  // the platform's: asking costs nothing
  virtual Result<std::vector<ScmRepository>> repositories() const = 0;
  // All of them, or the default branch alone; none for a repository without commits.
  virtual Result<std::vector<ScmBranch>> branches(const ScmRepository& repository, bool all) const = 0;
  virtual Result<bool> has_path(const ScmRepository& repository, const std::string& branch,
                                const std::string& path) const = 0;
};

// `token` gives what tokenRef names. Errors: invalid for a provider that is not supported, by its name, or a field that
// is missing.
Result<std::unique_ptr<ScmHost>> open_scm_host(const Value& provider, const git::Repositories& own,
                                               const std::function<Result<std::string>(const Value& reference)>& token);

// What spec's filters leave: one of them has to hold whole. Errors: invalid for a wrong expression; unavailable;
// too_large above 5,000 branches.
Result<std::vector<ScmFound>> find_repositories(const ScmHost& host, const Value& provider);

// organization, repository, repository_id, url, branch, branchNormalized, sha, short_sha, short_sha_7, labels.
Value scm_parameters(const ScmFound& found, const Value& provider);

}  // namespace caisson::gitops
