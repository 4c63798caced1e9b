// SPDX-License-Identifier: Apache-2.0
// Logins of repositories: Argo CD's Secrets with the label argocd.argoproj.io/secret-type, "repository" for one URL,
// "repo-creds" for the longest beginning of one (docs/operator-manual/declarative-setup.md of Argo CD 3.0). Threads:
// any.
#pragma once
#include <optional>
#include <string>

#include "cluster/kube/client.h"
#include "delivery/git/repositories.h"

namespace caisson::gitops {

// The Secret of `ns` that holds a login for `url`; nullopt: there is none. A Secret of the URL without a login leaves
// it to the beginnings.
Result<std::optional<kube::Object>> login_secret(kube::Client& client, const std::string& ns, const std::string& url);
std::string secret_field(const kube::Object& secret, std::string_view name);  // decoded; empty when absent

// username and password, bearerToken, sshPrivateKey (hosts from argocd-ssh-known-hosts-cm), tlsClientCertData and
// -Key, insecure, proxy; the host's CA from argocd-tls-certs-cm. Errors: invalid for a GitHub App, which needs a
// network of its own.
Result<git::Credentials> git_login(kube::Client& client, const std::string& ns, const std::string& url);

}  // namespace caisson::gitops
