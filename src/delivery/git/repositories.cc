// SPDX-License-Identifier: Apache-2.0
// Repositories: which repository a name or URL means, and mirrors of those that are not ours.
#include "delivery/git/repositories.h"

#include <map>
#include <mutex>

#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/process.h"
#include "core/base/text.h"
#include "core/http/message.h"
#include "delivery/git/fetches.h"
#include "delivery/git/git_command.h"
#include "delivery/git/remote.h"

namespace caisson::git {

bool is_repository_name(std::string_view org_and_repo) {
  const auto slash = org_and_repo.find('/');
  if (slash == std::string_view::npos) return false;
  const std::string_view org = org_and_repo.substr(0, slash), repo = org_and_repo.substr(slash + 1);
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (org.empty() || org.size() > 63 || repo.empty() || repo.size() > 100) return false;
  for (const std::string_view name : {org, repo}) {
    if (!plain(name.front()) || !plain(name.back())) return false;
    for (std::size_t i = 0; i < name.size(); ++i) {
      if (plain(name[i]) || name[i] == '-') continue;
      if (name[i] != '.' || name.data() != repo.data() || name[i - 1] == '.') return false;
    }
  }
  return !repo.ends_with(".git") && !repo.ends_with(".lock");
}

std::optional<std::string> own_repository(const RepositoriesOptions& options, std::string_view name_or_url) {
  std::string name(name_or_url);
  if (name.find("://") != std::string::npos) {
    const auto url = http::Url::parse(name_or_url);
    if (!url.ok()) return std::nullopt;
    const std::string host = to_lower(url->host);
    const std::string full = host + ":" +
                             std::to_string(url->port != 0           ? url->port
                                            : url->scheme == "https" ? 443
                                                                     : 80);
    bool own = false;
    for (const std::string& candidate : options.own_hosts)
      own = own || candidate == full || (candidate == host && url->port == 0);
    if (!own) return std::nullopt;
    name = url->path.substr(1);
  }
  while (name.ends_with("/")) name.pop_back();
  if (name.ends_with(".git")) name.resize(name.size() - 4);
  if (!is_repository_name(name)) return std::nullopt;
  return name;
}

struct Repositories::Impl {
  RepositoriesOptions options;
  std::mutex mutex;
  std::map<std::string, std::shared_ptr<Fetches>> fetching;  // by path; GUARDED_BY(mutex)

  std::shared_ptr<Fetches> fetches_of(const std::string& path) {
    const std::scoped_lock lock(mutex);
    auto& found = fetching[path];
    if (!found) found = std::make_shared<Fetches>();
    return found;
  }

  Command git(std::vector<std::string> arguments, const std::string& path, const Login& login) const {
    Command command = git_command(std::move(arguments), path);
    command.time_max = options.fetch_time_max;
    login.add_to(command);
    return command;
  }

  Result<void> refresh(const std::string& path, const std::string& url, const Login& login) const {
    const auto unavailable = [](Error error) {
      if (error.code == ErrorCode::internal) error.code = ErrorCode::unavailable;
      return error;
    };
    const auto symref = run_checked(git({"git", "ls-remote", "--symref", url, "HEAD"}, path, login));
    if (!symref.ok()) return unavailable(Error(symref.error()));
    const auto fetched = run_checked(git({"git", "fetch", "--quiet", "--prune", "--force", "--no-write-fetch-head", url,
                                          "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"},
                                         path, login));
    if (!fetched.ok()) return unavailable(Error(fetched.error()));
    for (const std::string_view line : split(*symref, '\n')) {  // "ref: refs/heads/main\tHEAD"
      const auto tab = line.find('\t');
      if (line.starts_with("ref: refs/heads/") && tab != std::string_view::npos)
        return write_file_unsynced(path + "/HEAD", std::string(line.substr(0, tab)) + "\n");
    }
    return {};
  }

  // What the caller has, else what the URL holds, else what is known for it.
  Result<Login> login_for(const Remote& remote, const Credentials& credentials) const {
    Credentials known = credentials;
    if (known.password.empty() && known.ssh_private_key.empty()) known = remote.credentials;
    if (known.password.empty() && options.logins) known = TRY(options.logins(remote.url));
    return Login::make(known, options.ca_file, options.mirrors);
  }

  Result<Repository> open(std::string_view name_or_url, const Credentials& credentials, bool refresh_always) {
    if (const auto own = own_repository(options, name_or_url))
      return open_repository(options.directory + "/" + *own + ".git", *own);
    const Remote remote = TRY(parse_remote(name_or_url));
    const std::string& plain = remote.url;
    const std::string path = options.mirrors + "/" + sha256_hex(plain).substr(0, 32) + ".git";
    const std::string done = path + "/caisson-fetched";  // a mirror whose first fetch failed is none
    if (refresh_always || !exists(done)) {
      TRY(fetches_of(path)->run(plain, [&]() -> Result<void> {
        if (!is_directory(path)) TRY(make_bare_repository(path, "main"));
        const Login login = TRY(login_for(remote, credentials).in("login of " + plain));
        TRY(refresh(path, plain, login).in("fetch " + plain));
        return write_file_unsynced(done, plain + "\n");
      }));
    }
    return open_repository(path, plain);
  }
};

Repositories::Repositories(RepositoriesOptions options) : impl_(std::make_unique<Impl>()) {
  impl_->options = std::move(options);
}
Repositories::~Repositories() = default;
const RepositoriesOptions& Repositories::options() const {
  return impl_->options;
}

Result<Repository> Repositories::find(std::string_view name_or_url, const Credentials& credentials) const {
  return impl_->open(name_or_url, credentials, false);
}

Result<Repository> Repositories::fetch(std::string_view name_or_url, const Credentials& credentials) const {
  return impl_->open(name_or_url, credentials, true);
}

}  // namespace caisson::git
