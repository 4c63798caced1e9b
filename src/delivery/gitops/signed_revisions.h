// SPDX-License-Identifier: Apache-2.0
// AppProject.spec.signatureKeys: what the project's Applications take from git has to be signed with one of these keys.
// The public keys are those of the ConfigMap argocd-gpg-keys-cm. Charts have no commits and are not covered. Follows
// Argo CD 3.0 docs/user-guide/gpg-verification.md. Threads: any; blocks (git, gpg).
#pragma once
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "cluster/kube/client.h"
#include "delivery/git/repositories.h"
#include "delivery/gitops/application.h"

namespace caisson::gitops {

class SignedRevisions {
 public:
  using Keys = std::function<Result<std::vector<std::string>>()>;  // armoured public keys
  SignedRevisions(const git::Repositories& repositories, Keys keys)
      : repositories_(repositories), keys_(std::move(keys)) {}

  // `commits`: of the source and its others, with commas between (Renderer::resolve). Nothing is asked when `allowed`
  // is empty. Errors: invalid, naming the revision and why; what git::verify_commit gives.
  Result<void> check(const Source& source, const std::string& commits, const std::vector<std::string>& allowed);

 private:
  Result<void> check_one(const Source& source, const std::string& commit, const std::vector<std::string>& allowed,
                         const std::vector<std::string>& keys) const;
  const git::Repositories& repositories_;
  const Keys keys_;
  std::mutex mutex_;
  std::set<std::string> good_;  // digests of what was checked: commit, allowed, keys; GUARDED_BY(mutex_)
};

// The public keys of argocd-gpg-keys-cm; none when there is no such ConfigMap.
Result<std::vector<std::string>> gpg_keys(kube::Client& client, const std::string& home_namespace);
// The keyIDs of the project; `project` may be null.
std::vector<std::string> signature_keys(const kube::Object* project);

}  // namespace caisson::gitops
