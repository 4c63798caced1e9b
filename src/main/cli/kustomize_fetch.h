// SPDX-License-Identifier: Apache-2.0
// Fetches what a kustomization names beyond its tree: repositories with the machine's git (its credentials, proxies and
// ssh keys), files with HTTP. Clones live in a temporary directory that goes with the object. One thread.
#pragma once
#include <vector>

#include "core/base/file.h"
#include "delivery/render/remote.h"

namespace caisson::cli {

class NetworkFetcher final : public render::Fetcher {
 public:
  Result<std::shared_ptr<const render::FileSource>> repository(const render::RepositoryUrl& url) override;
  Result<std::string> file(const std::string& url) override;

 private:
  std::vector<TempDir> clones_;
};

}  // namespace caisson::cli
