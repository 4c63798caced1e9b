// SPDX-License-Identifier: Apache-2.0
// Open pull and merge requests of one repository, for ApplicationSets' pullRequest: GitHub (REST 2022-11-28), GitLab
// (v4) and Gitea (v1). Follows Argo CD 3.0 docs/operator-manual/applicationset/Generators-Pull-Request.md. Blocks
// (network); any thread.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::gitops {

struct PullRequest {
  std::string number, title, author, branch, target_branch, head_sha;
  std::vector<std::string> labels;
};

// What `provider` (spec.generators[].pullRequest) names, after its labels and filters. `token` gives what tokenRef
// names. Errors: invalid for a host that is not supported, by its name, a member that is missing, a filter that can't
// be read; unavailable.
Result<std::vector<PullRequest>> find_pull_requests(
    const Value& provider, const std::function<Result<std::string>(const Value& reference)>& token);

// number, title, author, branch, branch_slug, target_branch, target_branch_slug, head_sha, head_short_sha,
// head_short_sha_7, labels (a list).
Value pull_request_parameters(const PullRequest& request);

// A branch as a part of a host name: lower case, '-' for everything but letters and digits, at most 50 long, cut
// between words where there are several.
std::string slug(std::string_view text);

}  // namespace caisson::gitops
