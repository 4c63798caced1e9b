// SPDX-License-Identifier: Apache-2.0
// Repositories of other hosts: which URLs git may be sent to, and what its command needs to get in there. Sources:
// git-clone(1) "GIT URLS", git-config(1) http.*, ssh_config(5). Internal to the room. Threads: any.
#pragma once
#include <memory>
#include <string>

#include "core/base/file.h"
#include "core/base/process.h"
#include "delivery/git/repositories.h"

namespace caisson::git {

struct Remote {
  std::string url;  // as git is given it: without a password; ssh keeps its user
  bool ssh = false;
  Credentials credentials;  // what the URL itself holds
};
// "https://…", "http://…", "ssh://…" or "user@host:path". Errors: bad_request for other protocols, and for a host that
// a program would take for an option.
Result<Remote> parse_remote(std::string_view text);

// Lives as long as the commands that it was added to: what programs take only from files lies in a directory of its
// own, which goes with it.
class Login {
 public:
  static Result<Login> make(const Credentials& credentials, const std::string& ca_file, const std::string& parent);
  void add_to(Command& command) const;

 private:
  Login() = default;
  void set(std::string name, std::string value) { config_.emplace_back(std::move(name), std::move(value)); }
  Result<std::string> keep(const std::string& name, std::string_view text, const std::string& parent);
  Result<void> prepare_ssh(const Credentials& credentials, const std::string& parent);

  std::vector<std::pair<std::string, std::string>> config_;
  std::string ssh_command_;
  std::unique_ptr<TempDir> files_;
};

}  // namespace caisson::git
