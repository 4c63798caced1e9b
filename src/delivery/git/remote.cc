// SPDX-License-Identifier: Apache-2.0
#include "delivery/git/remote.h"

#include "core/base/encoding.h"
#include "core/base/text.h"
#include "core/http/message.h"

namespace caisson::git {
namespace {

Error no_protocol(const std::string& what) {
  return {ErrorCode::bad_request, "repository " + what + ": only https://, http:// and ssh:// can be fetched"};
}

bool is_option(std::string_view host) {
  return host.empty() || host.front() == '-';
}

// "git@example.org:shop/app.git", as scp(1) has it.
Result<Remote> parse_scp(std::string_view text) {
  const std::size_t colon = text.find(':');
  const std::size_t at = text.substr(0, colon).find('@');
  // Without a user it might be one of git's remote helpers ("ext::sh -c …").
  if (colon == std::string_view::npos || at == std::string_view::npos ||
      text.substr(0, colon).find('/') != std::string_view::npos)
    return no_protocol("'" + std::string(text) + "'");
  const std::string_view host = text.substr(at + 1, colon - at - 1);
  if (is_option(host) || is_option(text) || is_option(text.substr(colon + 1)))
    return Error{ErrorCode::bad_request, "repository '" + std::string(text) + "': host, user or path is missing"};
  return Remote{std::string(text), true, {}};
}

}  // namespace

Result<Remote> parse_remote(std::string_view text) {
  if (text.find("://") == std::string_view::npos) return parse_scp(text);
  const http::Url url = TRY(http::Url::parse(text).in("repository '" + std::string(text) + "'"));
  Remote out;
  out.url = url.str_without_userinfo();
  if (is_option(url.host)) return Error{ErrorCode::bad_request, "repository " + out.url + ": the host is missing"};
  if (url.scheme == "ssh") {
    out.ssh = true;
    if (is_option(url.user) && !url.user.empty())
      return Error{ErrorCode::bad_request, "repository " + out.url + ": that is no user"};
    if (!url.user.empty()) out.url.insert(out.url.find("://") + 3, url.user + "@");
    return out;
  }
  if (url.scheme != "https" && url.scheme != "http") return no_protocol(out.url);
  if (!url.password.empty()) {
    out.credentials.user = url.user;
    out.credentials.password = SecretBytes(url.password);
  }
  return out;
}

Result<std::string> Login::keep(const std::string& name, std::string_view text, const std::string& parent) {
  if (!files_) {
    TRY(make_dirs(parent));
    files_ = std::make_unique<TempDir>(TRY(TempDir::make(".login", parent)));
  }
  std::string path = files_->path() + "/" + name;
  const std::string end = text.ends_with('\n') ? "" : "\n";  // OpenSSH wants a key's last line whole
  TRY(write_file_unsynced(path, std::string(text) + end, 0600));
  return path;
}

Result<void> Login::prepare_ssh(const Credentials& credentials, const std::string& parent) {
  std::string config =
      "Host *\n  BatchMode yes\n  PasswordAuthentication no\n  ConnectTimeout 15\n"
      "  GlobalKnownHostsFile /dev/null\n";
  const std::string hosts = TRY(keep("known_hosts", credentials.known_hosts, parent));
  config += "  UserKnownHostsFile \"" + hosts + "\"\n";
  config += std::string("  StrictHostKeyChecking ") + (credentials.insecure ? "no" : "yes") + "\n";
  if (!credentials.ssh_private_key.empty()) {
    const std::string key = TRY(keep("key", credentials.ssh_private_key.reveal(), parent));
    config += "  IdentitiesOnly yes\n  IdentityAgent none\n  IdentityFile \"" + key + "\"\n";
  }
  const std::string file = TRY(keep("ssh_config", config, parent));
  ssh_command_ = "ssh -F '" + replace_all(file, "'", "'\\''") + "'";  // git hands it to a shell
  return {};
}

Result<Login> Login::make(const Credentials& credentials, const std::string& ca_file, const std::string& parent) {
  Login out;
  out.config_ = {{"protocol.allow", "never"},       {"protocol.https.allow", "always"},
                 {"protocol.http.allow", "always"}, {"protocol.ssh.allow", "always"},
                 {"http.lowSpeedLimit", "1000"},    {"http.lowSpeedTime", "30"}};
  if (!credentials.ca_pem.empty())
    out.set("http.sslCAInfo", TRY(out.keep("ca.pem", credentials.ca_pem, parent)));
  else if (!ca_file.empty())
    out.set("http.sslCAInfo", ca_file);
  if (credentials.insecure) out.set("http.sslVerify", "false");
  if (!credentials.proxy.empty()) out.set("http.proxy", credentials.proxy);
  if (!credentials.certificate.empty()) {
    out.set("http.sslCert", TRY(out.keep("client.pem", credentials.certificate, parent)));
    out.set("http.sslKey", TRY(out.keep("client.key", credentials.certificate_key.reveal(), parent)));
  }
  if (!credentials.bearer.empty()) {
    out.set("http.extraHeader", "Authorization: Bearer " + std::string(credentials.bearer.reveal()));
  } else if (!credentials.password.empty()) {
    const std::string pair = credentials.user + ":" + std::string(credentials.password.reveal());
    out.set("http.extraHeader", "Authorization: Basic " + base64(pair));
  }
  TRY(out.prepare_ssh(credentials, parent));
  return out;
}

// In the environment: arguments can be read by everybody.
void Login::add_to(Command& command) const {
  command.env.emplace_back("GIT_CONFIG_COUNT", std::to_string(config_.size()));
  for (std::size_t i = 0; i < config_.size(); ++i) {
    command.env.emplace_back("GIT_CONFIG_KEY_" + std::to_string(i), config_[i].first);
    command.env.emplace_back("GIT_CONFIG_VALUE_" + std::to_string(i), config_[i].second);
  }
  command.env.emplace_back("GIT_TERMINAL_PROMPT", "0");
  command.env.emplace_back("GIT_SSH_COMMAND", ssh_command_);
}

}  // namespace caisson::git
