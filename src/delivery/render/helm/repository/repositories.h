// SPDX-License-Identifier: Apache-2.0
// repositories.yaml: the repositories that `helm repo add` knows, with their logins. Source: Helm 3.22 pkg/repo. One
// process changes it at a time (RepositoriesLock); reading needs no lock.
#pragma once
#include <string>
#include <vector>

#include "core/base/file.h"
#include "core/base/result.h"
#include "core/base/secret.h"
#include "delivery/render/helm/repository/home.h"

namespace caisson::render::helm {

// How a repository or registry is reached.
struct Access {
  std::string username;
  SecretBytes password;
  std::string certificate_file, key_file, ca_file;  // PEM
  bool insecure = false;                            // certificates are not checked
  bool pass_credentials_all = false;                // the login goes to other hosts, too
  bool plain_http = false;                          // OCI registries that are not on loopback
};

struct Repository {
  std::string name, url;
  Access access;
};

struct Repositories {
  std::string api_version, generated = "0001-01-01T00:00:00Z";
  std::vector<Repository> all;
  const Repository* find(const std::string& name) const;  // nullptr: there is none
  void put(Repository repository);                        // in place of one of that name, or last
  bool remove(const std::string& name);
};

// Errors: not_found "couldn't load repositories file (PATH): …"; invalid.
Result<Repositories> read_repositories(const std::string& path);
// The same, and none when there is no file.
Result<Repositories> known_repositories(const std::string& path);
Result<void> write_repositories(const std::string& path, const Repositories& repositories);  // mode 0600

// Held while the file is changed, across processes and with the real helm: repositories.lock beside it.
class RepositoriesLock {
 public:
  static Result<RepositoriesLock> take(const std::string& path);  // waits for it

 private:
  explicit RepositoriesLock(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace caisson::render::helm
