// SPDX-License-Identifier: Apache-2.0
// Tokens of the roles of AppProjects: JWTs as Argo CD makes them (HS256 with the key server.secretkey of the Secret
// argocd-secret; claims iss "argocd", sub "proj:PROJECT:ROLE", iat, nbf, jti, exp), on record in
// status.jwtTokensByRole and spec.roles[].jwtTokens of the AppProject: what is not there any more is refused. Tokens
// that an Argo CD gave with the same key are good here. Follows Argo CD 3.0 util/session and AppProject types. Pure but
// for signing_key; any thread.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "cluster/kube/client.h"
#include "core/base/clock.h"
#include "core/base/secret.h"

namespace caisson::gitops {

struct ProjectToken {
  std::string project, role, id;
  std::int64_t issued_at = 0, expires_at = 0;  // seconds of Unix time; expires_at 0: never
  bool operator==(const ProjectToken&) const = default;
};

// Whether a token says that it is Argo CD's; nothing is checked.
bool is_argocd_token(std::string_view token);
std::string sign_project_token(const ProjectToken& token, const SecretBytes& key);
// Errors: unauthorized: another algorithm, a wrong signature, expired, not valid yet, no token of a project's role.
Result<ProjectToken> read_project_token(std::string_view token, const SecretBytes& key, Time now);

// The key; made when it is not there and `make` says so. Errors: not_found, those of the client.
Result<SecretBytes> signing_key(kube::Client& client, const std::string& ns, bool make);

// --- what is on record. `project` is an AppProject.
bool has_role(const Value& project, std::string_view role);
bool knows_token(const Value& project, const ProjectToken& token);
// Newest first. The role must be there.
std::vector<ProjectToken> tokens_of(const Value& project, const std::string& role);
// Errors: not_found for the role; already_exists for the id.
Result<void> record_token(Value& project, const ProjectToken& token);
// Errors: not_found.
Result<void> forget_token(Value& project, const std::string& role, std::int64_t issued_at);

}  // namespace caisson::gitops
