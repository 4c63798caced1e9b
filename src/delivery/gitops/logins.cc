// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/logins.h"

#include "cluster/schema/resource.h"
#include "core/base/encoding.h"
#include "core/base/text.h"
#include "core/http/message.h"

namespace caisson::gitops {
namespace {

std::string plain_url(std::string_view url) {
  if (url.starts_with("oci://")) url.remove_prefix(6);
  while (url.ends_with('/')) url.remove_suffix(1);
  if (url.ends_with(".git")) url.remove_suffix(4);
  return std::string(url);
}

bool has_login(const kube::Object& secret) {
  for (std::string_view name : {"username", "password", "bearerToken", "sshPrivateKey", "tlsClientCertData",
                                "githubAppPrivateKey", "insecure", "insecureIgnoreHostKey", "proxy"}) {
    if (!secret_field(secret, name).empty()) return true;
  }
  return false;
}

// The host of "git@host:path" and of "https://host:443/path".
std::string host_of(const std::string& url) {
  if (url.find("://") != std::string::npos) {
    const auto parsed = http::Url::parse(url);
    return parsed.ok() ? parsed->host : "";
  }
  const std::size_t at = url.find('@'), colon = url.find(':');
  return at < colon && colon != std::string::npos ? url.substr(at + 1, colon - at - 1) : "";
}

// Trouble with the API passes (a token that is just rotated, a restart): what waits for a login soon asks again.
Error passing(const Error& error) {
  return {ErrorCode::unavailable, "logins of repositories: " + error.message};
}

// One key of a ConfigMap; empty when either is absent.
Result<std::string> map_entry(kube::Client& client, const std::string& ns, const std::string& name,
                              const std::string& key) {
  const auto map = client.get(schema::kConfigMaps, {ns, name});
  if (map.ok()) return (*map)["data"][key].str();
  if (map.error().code == ErrorCode::not_found) return std::string();
  return passing(map.error());
}

}  // namespace

std::string secret_field(const kube::Object& secret, std::string_view name) {
  const Value& plain = secret.value()["stringData"][name];
  if (plain.is_string()) return plain.str();
  const auto decoded = unbase64(secret.value()["data"][name].as_string());
  return decoded.ok() ? *decoded : "";
}

Result<std::optional<kube::Object>> login_secret(kube::Client& client, const std::string& ns, const std::string& url) {
  kube::ListOptions options;
  options.ns = ns;
  options.label_selector = "argocd.argoproj.io/secret-type in (repository,repo-creds)";
  const auto secrets = client.list(schema::kSecrets, options);
  if (!secrets.ok() && secrets.error().code != ErrorCode::not_found) return passing(secrets.error());
  std::optional<kube::Object> out;
  const std::string wanted = plain_url(url);
  std::size_t best = 0;  // 1 + the length of what matched; a whole URL beats every beginning
  for (const kube::Object& secret : secrets.ok() ? secrets->items : std::vector<kube::Object>{}) {
    const std::string known = plain_url(secret_field(secret, "url"));
    const bool whole = secret.metadata()["labels"]["argocd.argoproj.io/secret-type"].as_string() == "repository";
    if (known.empty() || (whole ? known != wanted : !wanted.starts_with(known))) continue;
    const std::size_t rank = whole ? SIZE_MAX : 1 + known.size();
    if (rank < best || !has_login(secret)) continue;
    best = rank;
    out = secret;
  }
  return out;
}

Result<git::Credentials> git_login(kube::Client& client, const std::string& ns, const std::string& url) {
  git::Credentials out;
  const std::string host = host_of(url);
  out.ca_pem = TRY(map_entry(client, ns, "argocd-tls-certs-cm", host));
  const bool ssh = url.starts_with("ssh://") || url.find("://") == std::string::npos;
  if (ssh) out.known_hosts = TRY(map_entry(client, ns, "argocd-ssh-known-hosts-cm", "ssh_known_hosts"));
  const auto secret = TRY(login_secret(client, ns, url));
  if (!secret) return out;
  const auto field = [&](std::string_view name) { return secret_field(*secret, name); };
  if (!field("githubAppPrivateKey").empty())
    return Error{ErrorCode::invalid,
                 "Secret " + secret->name() + ": githubAppPrivateKey is not supported; use a token"};
  // A token alone is the password of any user.
  out.user = field("username").empty() && !field("password").empty() ? "x-access-token" : field("username");
  out.password = SecretBytes(field("password"));
  out.bearer = SecretBytes(field("bearerToken"));
  out.ssh_private_key = SecretBytes(field("sshPrivateKey"));
  out.certificate = field("tlsClientCertData");
  out.certificate_key = SecretBytes(field("tlsClientCertKey"));
  out.proxy = field("proxy");
  out.insecure = field("insecure") == "true" || field("insecureIgnoreHostKey") == "true";
  return out;
}

}  // namespace caisson::gitops
