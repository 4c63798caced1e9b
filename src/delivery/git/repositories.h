// SPDX-License-Identifier: Apache-2.0
// Reading git repositories: ours from disk, others through a mirror in a cache directory. Trees and blobs come from
// libgit2, which is opened on first use; fetching is git's own.
//
// Threads: any. A Repository is cheap to copy; its copies share one handle and take turns.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/base/secret.h"

namespace caisson::git {

inline constexpr std::string_view kNoCommit = "0000000000000000000000000000000000000000";

struct Commit {
  std::string id, message;  // the message with its newline, as git keeps it
  std::string author_name, author_email, committer_name;
  Time time{};  // of the commit
  std::vector<std::string> parents;
};

struct TreeEntry {
  enum class Type { file, executable, symlink, directory, submodule };
  std::string path;  // below the listed directory
  Type type = Type::file;
  std::string id;  // of the blob, tree or (submodule) commit
  bool operator==(const TreeEntry&) const = default;
};

struct Ref {
  std::string name, id;  // "refs/heads/main"
  bool operator==(const Ref&) const = default;
};

class Repository;
Result<Repository> open_repository(const std::string& path, std::string name);

class Repository {
 public:
  const std::string& path() const;  // of the bare repository on disk
  const std::string& name() const;  // "shop/shop-app", or the URL of a mirror

  // A branch, tag, whole or short id, "HEAD" or "" (the default branch), "main~2": the commit's id. Errors: not_found.
  Result<std::string> resolve(std::string_view revision) const;
  Result<std::vector<Ref>> refs() const;  // branches and tags, sorted by name; tags unpeeled
  Result<std::string> head() const;       // the ref that HEAD names, born or not
  Result<Commit> commit(std::string_view id) const;
  Result<std::vector<Commit>> log(std::string_view from, std::size_t count_max, std::string_view until = {}) const;

  // `commit` is an id from resolve; `path` has no leading '/', and "" is the root. Errors: not_found, too_large.
  Result<std::string> read(std::string_view commit, std::string_view path,
                           std::size_t size_bytes_max = 64u << 20) const;
  Result<std::vector<TreeEntry>> list(std::string_view commit, std::string_view path,
                                      bool recursive = true) const;                     // sorted by path
  Result<std::string> tree_hash(std::string_view commit, std::string_view path) const;  // id of the tree or blob there

  struct Changes {
    std::vector<std::string> added, removed, modified;  // files, sorted
    bool truncated = false;                             // more than `count_max`
    std::vector<std::string> all() const;               // sorted
  };
  // Between two commits; an empty or zero `before` is the empty tree.
  Result<Changes> changes(std::string_view before, std::string_view after, std::size_t count_max = 10'000) const;
  Result<bool> is_ancestor(std::string_view ancestor, std::string_view of) const;

 private:
  friend Result<Repository> open_repository(const std::string& path, std::string name);
  struct Impl;
  explicit Repository(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<Impl> impl_;
};

// How a repository of another host is reached. What is empty is not used.
struct Credentials {
  std::string user;
  SecretBytes password;         // or a token, as the password of any user
  SecretBytes bearer;           // "Authorization: Bearer …" instead
  SecretBytes ssh_private_key;  // PEM or OpenSSH form
  std::string known_hosts;      // lines of an ssh_known_hosts file; the only hosts that ssh talks to
  SecretBytes certificate_key;  // client certificate of TLS, both PEM
  std::string certificate, ca_pem;
  std::string proxy;
  bool insecure = false;  // neither certificates nor host keys are checked
};

struct RepositoriesOptions {
  std::string directory;  // git/: <org>/<repo>.git
  std::string mirrors;    // cache directory
  std::vector<std::string>
      own_hosts;        // host or host:port of URLs that mean `directory`: "localhost:8080", "git.caisson-system.svc"
  std::string ca_file;  // for fetching; empty: the system's
  Duration fetch_time_max = std::chrono::minutes(2);
  std::function<Result<Credentials>(const std::string& url)> logins;  // for what is fetched without credentials
};

// "org/repo" of a name or URL, when it is one of ours: "https://localhost:8080/shop/app.git" gives "shop/app".
std::optional<std::string> own_repository(const RepositoriesOptions& options, std::string_view name_or_url);
// Whether `org` and `repo` can be names here: DNS labels, and a repository may also hold '.', '_' and '-' inside.
bool is_repository_name(std::string_view org_and_repo);

class Repositories {
 public:
  explicit Repositories(RepositoriesOptions options);
  ~Repositories();
  const RepositoriesOptions& options() const;

  // By "org/repo" or URL. A URL of another host is mirrored when it is not yet (fetch does so again).
  // Errors: not_found, unavailable (with git's words), bad_request for protocols other than https, http and ssh
  // ("ssh://git@host/path", "git@host:path").
  Result<Repository> find(std::string_view name_or_url, const Credentials& credentials = {}) const;
  // As find, with the mirror brought up to date first; for our own repositories the same as find.
  Result<Repository> fetch(std::string_view name_or_url, const Credentials& credentials = {}) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// A bare repository at `path`. Errors: not_found, internal when libgit2 is missing or can't read it.
Result<Repository> open_repository(const std::string& path, std::string name);

}  // namespace caisson::git
