// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/authenticate.h"

#include "cluster/apiserver/access_rules.h"
#include "cluster/apiserver/authorizer.h"
#include "cluster/apiserver/oidc.h"
#include "cluster/apiserver/tokens.h"
#include "core/base/log.h"
#include "core/base/text.h"

namespace caisson::apiserver {
namespace {

constexpr std::string_view kAuthenticated = "system:authenticated";

Error unauthorized() {
  return Error{ErrorCode::unauthorized, "Unauthorized"};
}

User known(User user) {
  if (!user.in_group(kAuthenticated) && user.name != "system:anonymous") user.groups.emplace_back(kAuthenticated);
  return user;
}

std::string_view bearer_token(std::string_view authorization) {
  constexpr std::string_view kBearer = "bearer ";
  if (authorization.size() <= kBearer.size() || !equals_ignoring_case(authorization.substr(0, kBearer.size()), kBearer))
    return {};
  return trim(authorization.substr(kBearer.size()));
}

}  // namespace

Result<User> verify_token(const Core& core, std::string_view token, const std::vector<std::string>& audiences) {
  if (core.oidc && core.oidc->knows_issuer_of(token)) return core.oidc->verify(token, audiences);
  for (const auto& rules : core.options.access) {
    auto user = rules->user_of(token);
    if (!user) continue;
    // Such tokens name no audience: they are for an API server.
    const auto& own = core.tokens->issuer();
    if (!audiences.empty() && std::find(audiences.begin(), audiences.end(), own) == audiences.end())
      return Error{ErrorCode::unauthorized, "the token is for another audience"};
    return std::move(*user);
  }
  return core.tokens->verify(token, audiences);
}

Result<User> authenticate(Core& core, const http::Exchange& exchange) {
  const std::string_view authorization = exchange.headers.get("Authorization");
  if (!authorization.empty()) {
    const std::string_view token = bearer_token(authorization);
    // Another scheme, or a bearer without a token, says nothing of who it is.
    if (token.empty()) return User{"system:anonymous", {"system:unauthenticated"}, "", {}};
    auto user = verify_token(core, token);
    if (!user.ok()) {
      log::debug("token refused", {{"error", user.error()}});
      return unauthorized();
    }
    return known(std::move(user).value());
  }
  const http::Peer& peer = exchange.peer;
  if (!peer.certificate_common_name.empty())
    return known({peer.certificate_common_name, peer.certificate_organizations, "", {}});
  if (peer.unix_uid == 0)
    return known({"system:node:" + core.options.node_name, {"system:nodes", "caisson:agents"}, "", {}});
  return User{"system:anonymous", {"system:unauthenticated"}, "", {}};  // RBAC grants it next to nothing
}

Result<User> impersonate(Core& core, Request& request, const http::Headers& headers, User user) {
  constexpr std::string_view kExtra = "Impersonate-Extra-";
  const std::string name(headers.get("Impersonate-User"));
  std::vector<std::string> groups;
  bool others = false;
  for (const auto& [key, value] : headers.fields()) {
    if (equals_ignoring_case(key, "Impersonate-Group")) groups.push_back(value);
    others = others || equals_ignoring_case(key, "Impersonate-Uid") ||
             equals_ignoring_case(std::string_view(key).substr(0, kExtra.size()), kExtra);
  }
  if (name.empty() && groups.empty() && !others) return user;
  request.user = user;
  if (name.empty())
    return request.fail(ErrorCode::internal,
                        "Internal Server Error: \"" + request.path +
                            "\": requested [{UserInfo  groups/uid without user}] without impersonating a user");
  const auto check = [&](std::string_view resource, std::string_view ns, std::string_view who) -> Result<void> {
    Attributes a{
        .verb = "impersonate", .resource = std::string(resource), .name = std::string(who), .ns = std::string(ns)};
    if (core.authorizer->decide(user, a).allowed) return {};
    Request asked;
    asked.user = user;
    asked.is_resource = true;
    asked.plural = std::string(resource);
    asked.name = std::string(who);
    Error error = refusal(asked, a);
    Value details = asked.status_of(error)["details"];
    return request.fail(ErrorCode::forbidden, error.message, std::move(details));
  };
  User other{.name = name};
  constexpr std::string_view kAccount = "system:serviceaccount:";
  if (name.starts_with(kAccount)) {
    const auto parts = split(std::string_view(name).substr(kAccount.size()), ':');
    TRY(check("serviceaccounts", parts[0], parts.size() > 1 ? parts[1] : ""));
    if (groups.empty()) other.groups = {"system:serviceaccounts", "system:serviceaccounts:" + std::string(parts[0])};
  } else {
    TRY(check("users", "", name));
  }
  for (const std::string& group : groups) {
    TRY(check("groups", "", group));
    other.groups.push_back(group);
  }
  return known(std::move(other));
}

}  // namespace caisson::apiserver
