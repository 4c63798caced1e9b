// SPDX-License-Identifier: Apache-2.0
// Charts that are not in git: `chart` of a Helm repository (`repoURL: https://…`) or of an OCI registry (`repoURL:
// oci://…` or without a scheme). The platform's own registry is read from disk. Logins come from Argo CD's repository
// Secrets. Archives are kept a while, for a version is not thought to change. Blocks (network); any thread.
#pragma once
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>

#include "artifact/content/blob_store.h"
#include "artifact/content/reference.h"
#include "artifact/content/tag_index.h"
#include "cluster/kube/client.h"
#include "core/base/result.h"
#include "delivery/render/helm/repository/repositories.h"

namespace caisson::gitops {

// The platform's own registry, as it lies on disk. Borrowed.
struct OwnRegistry {
  const content::BlobStore* blobs = nullptr;
  const content::TagIndex* tags = nullptr;
  content::RegistryNames names;
};

struct ChartPlace {
  std::string repo_url, chart;
  bool pass_credentials = false;
};

class ChartFetcher {
 public:
  // How a repository is reached; nothing special when there is none.
  using Logins = std::function<Result<render::helm::Access>(const std::string& url)>;
  // The URL of a repository by its name, which dependencies of charts may give ("@stable"). Errors: not_found.
  using Names = std::function<Result<std::string>(const std::string& name)>;
  explicit ChartFetcher(Logins logins = {}, OwnRegistry own = {}, Names names = {})
      : logins_(std::move(logins)), own_(std::move(own)), names_(std::move(names)) {}

  // The newest version that `revision` (a version, or a range: "1.x", ">=1.2", "*") means. Errors: not_found, what the
  // network says.
  Result<std::string> resolve(const ChartPlace& place, const std::string& revision) const;
  Result<std::string> fetch(const ChartPlace& place, const std::string& version) const;  // the .tgz
  Result<std::string> url_of(const std::string& name) const;
  void forget() const;  // what is kept: a hard refresh

 private:
  // The newest first; the oldest go when there are too many bytes.
  struct Kept {
    std::mutex mutex;
    std::list<std::pair<std::string, std::string>> archives;  // GUARDED_BY(mutex)
    std::size_t bytes = 0;                                    // GUARDED_BY(mutex)
  };
  Result<render::helm::Access> access(const ChartPlace& place) const;
  Result<std::string> download(const ChartPlace& place, const std::string& version) const;
  Result<std::string> resolve_own(const std::string& repository, const std::string& revision) const;
  Result<std::string> fetch_own(const std::string& repository, const std::string& version) const;

  Logins logins_;
  OwnRegistry own_;
  Names names_;
  std::shared_ptr<Kept> kept_ = std::make_shared<Kept>();
};

// By the Secrets of `ns` with the label argocd.argoproj.io/secret-type: "repository" for a URL, "repo-creds" for the
// longest beginning of one.
Result<render::helm::Access> repository_login(kube::Client& client, const std::string& ns, const std::string& url);
// The URL of the "repository" Secret of `ns` that has this `name`. Errors: not_found.
Result<std::string> repository_url(kube::Client& client, const std::string& ns, const std::string& name);

}  // namespace caisson::gitops
