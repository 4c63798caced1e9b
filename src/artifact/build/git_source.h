// SPDX-License-Identifier: Apache-2.0
// ADD of git repositories: which words name one, and fetching one commit of it. Source: the Dockerfile reference,
// "Adding files from a Git repository" (fragment `#ref:dir`, --keep-git-dir, --checksum), and BuildKit's query form
// (`ref`, `branch`, `tag`, `commit`, `subdir`, `checksum`, `keep-git-dir`, `submodules`). Any thread; fetching blocks
// and runs git.
#pragma once
#include <cstdint>
#include <map>
#include <stop_token>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/result.h"

namespace caisson::build {

struct GitSource {
  std::string url;       // without fragment and query
  std::string ref;       // branch, tag, "refs/…" or a whole commit; empty: the default branch
  std::string subdir;    // relative, clean; empty: the root
  std::string checksum;  // of the commit or the annotated tag, or its beginning; empty: any
  bool keep_git_dir = false, submodules = true;
  bool operator==(const GitSource&) const = default;
};

// "https://host/repository.git", "git://…", "ssh://…", "git@host:path", each with a fragment or a query.
bool is_git_source(std::string_view text);
// Errors: invalid, with what is wrong.
Result<GitSource> parse_git_source(std::string_view text);

struct GitAccess {
  // Of the build: GIT_AUTH_TOKEN.<host> or GIT_AUTH_TOKEN opens https repositories; never in arguments or messages.
  // GIT_SSH_KNOWN_HOSTS says which hosts ssh talks to; without it the first answer of a host is believed.
  const std::map<std::string, std::string>* secrets = nullptr;
  // Of the build, private keys by id: ssh uses "default", through an agent that ends with the call.
  const std::map<std::string, std::string>* ssh_keys = nullptr;
  Duration time_max = std::chrono::minutes(30);  // of each run of git
};

// The commit that the ref names now, without fetching. Errors: not_found (no such ref), unavailable; invalid when the
// checksum is another's, and for ssh without a key.
Result<std::string> resolve_git(const GitSource& source, const GitAccess& access);
// The files of `commit` in `directory`, which must not exist; all with the commit's time.
Result<void> fetch_git(const GitSource& source, const std::string& commit, const std::string& directory,
                       const GitAccess& access);

}  // namespace caisson::build
