// SPDX-License-Identifier: Apache-2.0
// What a kustomization names that is not in its tree: git repositories and files behind http(s) URLs. This room only
// reads the URLs; a Fetcher brings the bytes, and without one a build refuses them.
#pragma once
#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "delivery/render/render.h"

namespace caisson::render {

// A repository and a folder in it, in the forms that kustomize v5.8 takes:
//   https://host/org/repo[.git][//]path?ref=v1&timeout=2m&submodules=false, github.com/org/repo/path,
//   git@host:org/repo.git//path, ssh://git@host/org/repo.git, file:///dir/repo.git//path, …/_git/repo/path
struct RepositoryUrl {
  std::string clone;  // what git is told: "https://github.com/org/repo.git"
  std::string path;   // below the repository's root; empty: the root
  std::string ref;    // branch, tag or commit; empty: HEAD
  bool submodules = true;
  std::chrono::milliseconds timeout = std::chrono::seconds(27);  // of each git command
  bool operator==(const RepositoryUrl&) const = default;
};
// Errors: bad_request when it is none of these forms, or its path leaves the repository.
Result<RepositoryUrl> parse_repository_url(std::string_view text);

bool is_http_url(std::string_view text);
// Either of the two.
bool is_remote(std::string_view text);

// Brings remote things. Threads: as the rendering that uses it. Errors: unavailable or timeout, with what the other
// side or the git program said.
class Fetcher {
 public:
  virtual ~Fetcher() = default;
  virtual Result<std::shared_ptr<const FileSource>> repository(const RepositoryUrl& url) = 0;
  virtual Result<std::string> file(const std::string& url) = 0;  // not_found: a status that is not 2xx
};

}  // namespace caisson::render
