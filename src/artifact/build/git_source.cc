// SPDX-License-Identifier: Apache-2.0
#include "artifact/build/git_source.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <unistd.h>

#include <algorithm>
#include <optional>

#include "artifact/build/ssh_agent.h"
#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/process.h"
#include "core/base/text.h"
#include "core/http/message.h"

namespace caisson::build {
namespace {

Error invalid_source(std::string what) {
  return Error{ErrorCode::invalid, std::move(what)};
}

bool is_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}
bool is_commit(std::string_view text) {
  return (text.size() == 40 || text.size() == 64) && is_hex(text);
}

bool is_http(std::string_view url) {
  return url.starts_with("https://") || url.starts_with("http://");
}
bool is_ssh(std::string_view url) {
  return url.starts_with("ssh://") || url.starts_with("git@");
}

std::string shown_url(const std::string& url) {
  const Result<http::Url> parsed = http::Url::parse(url);
  return parsed.ok() ? parsed->str_without_userinfo() : url;
}

// A git that reads no configuration of this host, asks nobody, runs no hook, and speaks to networks only.
Command plain_git(const GitAccess& access, std::vector<std::string> args) {
  Command command;
  command.args = {
      "git", "-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false", "-c", "init.defaultBranch=main"};
  command.args.insert(command.args.end(), args.begin(), args.end());
  command.time_max = access.time_max;
  command.env = {{"HOME", "/nonexistent"},     {"GIT_CONFIG_NOSYSTEM", "1"},  {"GIT_CONFIG_GLOBAL", "/dev/null"},
                 {"GIT_TERMINAL_PROMPT", "0"}, {"GIT_ASKPASS", "/bin/false"}, {"GIT_LFS_SKIP_SMUDGE", "1"}};
  return command;
}

// How one call speaks to the source's host: with the build's token by https, with its key by ssh.
class Login {
 public:
  // Errors: invalid when ssh has no key, or none that it can use.
  static Result<Login> open(const GitSource& source, const GitAccess& access) {
    Login out;
    if (is_ssh(source.url)) TRY(out.open_ssh(source, access));
    const Result<http::Url> url = http::Url::parse(source.url);
    if (access.secrets != nullptr && url.ok() && url->scheme == "https") out.add_token(*url, *access.secrets);
    return out;
  }
  // Without a key of the build ssh is not spoken at all, by submodules neither: it would find this machine's.
  void apply(Command& command) const {
    command.env.emplace_back("GIT_ALLOW_PROTOCOL", agent_ ? "https:http:git:ssh" : "https:http:git");
    command.env.insert(command.env.end(), env_.begin(), env_.end());
  }

 private:
  Result<void> open_ssh(const GitSource& source, const GitAccess& access) {
    const std::string* const key = find_text(access.ssh_keys, "default");
    if (key == nullptr) {
      return invalid_source(source.url +
                            ": the build has no SSH key \"default\": give one with --ssh default=KEYFILE, or name the "
                            "repository by https, with the secret GIT_AUTH_TOKEN when it is private");
    }
    agent_ = TRY(SshAgent::start(*key, ::geteuid(), ::getegid(), 0600).in("SSH key \"default\""));
    directory_ = TRY(TempDir::make("caisson-git"));
    const std::string* const hosts = find_text(access.secrets, "GIT_SSH_KNOWN_HOSTS");
    const std::string file = directory_->path() + "/known_hosts";
    TRY(write_file_unsynced(file, hosts == nullptr ? std::string_view() : *hosts, 0600));
    env_ = {
        {"SSH_AUTH_SOCK", agent_->socket()},
        {"GIT_SSH_VARIANT", "ssh"},
        {"GIT_SSH_COMMAND",
         "ssh -F none -o BatchMode=yes -o IdentityFile=none -o GlobalKnownHostsFile=/dev/null -o UserKnownHostsFile='" +
             file + "' -o ConnectTimeout=30 -o StrictHostKeyChecking=" + (hosts == nullptr ? "accept-new" : "yes")}};
    return {};
  }

  void add_token(const http::Url& url, const std::map<std::string, std::string>& secrets) {
    const std::string* token = find_text(&secrets, "GIT_AUTH_TOKEN." + url.host);
    if (token == nullptr) token = find_text(&secrets, "GIT_AUTH_TOKEN");
    if (token == nullptr) return;
    const std::string host = url.host + (url.port != 0 ? ":" + std::to_string(url.port) : "");
    env_ = {{"GIT_CONFIG_COUNT", "1"},
            {"GIT_CONFIG_KEY_0", "http.https://" + host + "/.extraHeader"},
            {"GIT_CONFIG_VALUE_0",
             "Authorization: Basic " + base64("x-access-token:" + std::string(caisson::trim(*token)))}};
  }

  static const std::string* find_text(const std::map<std::string, std::string>* texts, const std::string& name) {
    if (texts == nullptr) return nullptr;
    const auto found = texts->find(name);
    return found == texts->end() ? nullptr : &found->second;
  }

  std::optional<SshAgent> agent_;
  std::optional<TempDir> directory_;
  std::vector<std::pair<std::string, std::string>> env_;
};

Result<std::string> run_git(const Command& command, const std::string& doing) {
  const Exit exit = TRY(run(command).in(doing));
  if (exit.ok()) return exit.out;
  const std::string_view text = trim(exit.err);
  const std::size_t line = text.rfind('\n');
  return Error{ErrorCode::unavailable,
               doing + ": " + std::string(line == std::string_view::npos ? text : text.substr(line + 1))};
}

Result<void> set_times(const std::string& path, const timespec& time) {
  struct stat st {};
  if (::lstat(path.c_str(), &st) != 0) return errno_error("stat " + path);
  if (S_ISDIR(st.st_mode)) {
    for (const std::string& name : TRY(list_dir(path))) TRY(set_times(path + "/" + name, time));
  }
  const timespec times[2] = {time, time};
  if (::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) return errno_error("set times of " + path);
  return {};
}

Result<void> set_option(GitSource& out, const std::string& name, const std::string& value) {
  if (name == "ref" || name == "commit")
    out.ref = value;
  else if (name == "branch")
    out.ref = "refs/heads/" + value;
  else if (name == "tag")
    out.ref = "refs/tags/" + value;
  else if (name == "subdir")
    out.subdir = value;
  else if (name == "checksum")
    out.checksum = value;
  else if (name == "keep-git-dir")
    out.keep_git_dir = value.empty() || value == "1" || value == "true";
  else if (name == "submodules")
    out.submodules = value.empty() || value == "1" || value == "true";
  else
    return invalid_source("unexpected query \"" + name + "\" of a git repository");
  return {};
}

}  // namespace

bool is_git_source(std::string_view text) {
  if (text.starts_with("git@") || text.starts_with("git://") || text.starts_with("ssh://")) return true;
  return is_http(text) && text.substr(0, text.find_first_of("#?")).ends_with(".git");
}

Result<GitSource> parse_git_source(std::string_view text) {
  GitSource out;
  const std::size_t hash = text.find('#');
  const std::string_view fragment = hash == std::string_view::npos ? std::string_view() : text.substr(hash + 1);
  std::string_view rest = text.substr(0, hash);
  const std::size_t query = rest.find('?');
  if (query != std::string_view::npos) {
    if (!fragment.empty())
      return invalid_source("a git repository has either a fragment or a query: " + shown_url(std::string(text)));
    for (const auto& [name, value] : http::parse_query(rest.substr(query + 1))) TRY(set_option(out, name, value));
    rest = rest.substr(0, query);
  }
  out.url = std::string(rest);
  if (!fragment.empty()) {
    const std::size_t colon = fragment.find(':');
    out.ref = std::string(fragment.substr(0, colon));
    if (colon != std::string_view::npos) out.subdir = std::string(fragment.substr(colon + 1));
  }
  if (out.ref.starts_with("-") || out.ref.find_first_of(" ~^:?*[\\") != std::string::npos ||
      out.ref.find("..") != std::string::npos)
    return invalid_source("\"" + out.ref + "\" is no branch, tag or commit");
  if (!is_hex(out.checksum)) return invalid_source("invalid checksum \"" + out.checksum + "\" of a git repository");
  out.subdir = path_clean("/" + out.subdir).substr(1);
  return out;
}

Result<std::string> resolve_git(const GitSource& source, const GitAccess& access) {
  const auto checked = [&](const std::string& commit, std::string_view tag) -> Result<std::string> {
    if (commit.starts_with(source.checksum) || (!tag.empty() && tag.starts_with(source.checksum))) return commit;
    return invalid_source("expected checksum to match " + source.checksum + ", got " + commit);
  };
  if (is_commit(source.ref)) return checked(source.ref, "");
  const std::string wanted = source.ref.empty() ? "HEAD" : source.ref;
  const std::string doing = "git ls-remote " + shown_url(source.url);
  const Login login = TRY(Login::open(source, access));
  Command list = plain_git(access, {"ls-remote", "--", source.url, wanted, wanted + "^{}"});
  login.apply(list);
  const std::string out = TRY(run_git(list, doing));
  // A pattern matches the ends of names, so "main" finds "refs/heads/x/main", too: whole names only, tags first as git
  // does.
  std::map<std::string, std::string, std::less<>> found;
  for (const std::string_view line : split(out, '\n')) {
    const std::size_t tab = line.find('\t');
    if (tab != std::string_view::npos)
      found.emplace(std::string(line.substr(tab + 1)), std::string(line.substr(0, tab)));
  }
  for (const std::string& name : {wanted, "refs/" + wanted, "refs/tags/" + wanted, "refs/heads/" + wanted}) {
    const auto object = found.find(name);
    if (object == found.end()) continue;
    const auto peeled = found.find(name + "^{}");
    return checked(peeled == found.end() ? object->second : peeled->second, object->second);
  }
  return Error{ErrorCode::not_found, "repository does not contain ref " + wanted};
}

Result<void> fetch_git(const GitSource& source, const std::string& commit, const std::string& directory,
                       const GitAccess& access) {
  const std::string name = shown_url(source.url);
  const Login login = TRY(Login::open(source, access));
  const auto here = [&](std::vector<std::string> args) {
    args.insert(args.begin(), {"-C", directory});
    Command command = plain_git(access, std::move(args));
    login.apply(command);
    return command;
  };
  TRY(make_dirs(directory, 0755));
  TRY(run_git(here({"init", "-q"}), "git init"));
  TRY(run_git(here({"remote", "add", "--", "origin", source.url}), "git remote add"));
  // Servers need not give a bare commit: the ref then, as it was asked for just now, and everything at last.
  const std::vector<std::string> fetch = {"fetch", "-q", "--no-tags", "--depth=1", "origin"};
  const auto has_commit = [&] {
    const Result<Exit> look = run(here({"cat-file", "-e", commit + "^{commit}"}));
    return look.ok() && look->ok();
  };
  std::vector<std::string> by_commit = fetch, by_ref = fetch;
  by_commit.push_back(commit);
  by_ref.push_back(source.ref.empty() ? "HEAD" : source.ref);
  const Result<std::string> direct = run_git(here(by_commit), "git fetch " + name);
  if (!direct.ok() && !is_commit(source.ref)) TRY(run_git(here(by_ref), "git fetch " + name));
  if (!has_commit())
    TRY(run_git(here({"fetch", "-q", "origin", "+refs/*:refs/remotes/origin/*"}), "git fetch " + name));
  TRY(run_git(here({"checkout", "-q", "--detach", commit}), "git checkout " + commit));
  if (source.submodules && exists(directory + "/.gitmodules"))
    TRY(run_git(here({"submodule", "update", "-q", "--init", "--recursive", "--depth=1"}), "git submodule update"));
  const std::string time = TRY(run_git(here({"show", "-s", "--format=%ct", commit}), "git show"));
  if (!source.keep_git_dir || !source.subdir.empty()) TRY(remove_tree(directory + "/.git"));
  return set_times(directory, timespec{static_cast<time_t>(parse_int(trim(time)).value_or(0)), 0});
}

}  // namespace caisson::build
