// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/project_tokens.h"

#include <algorithm>

#include "cluster/apiserver/jwk.h"
#include "cluster/schema/resource.h"
#include "core/base/encoding.h"
#include "core/base/hash.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "delivery/gitops/logins.h"
#include "delivery/gitops/rbac_policy.h"

namespace caisson::gitops {
namespace {

constexpr std::string_view kIssuer = "argocd";
constexpr const char* kSecretName = "argocd-secret";
constexpr const char* kKeyName = "server.secretkey";
constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kTokenBytesMax = 4'096;

Error refused(std::string why) {
  return Error{ErrorCode::unauthorized, std::move(why)};
}

std::int64_t seconds_of(Time time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

Value item_of(const ProjectToken& token) {
  Value item{{"iat", token.issued_at}};
  if (token.expires_at > 0) item.set("exp", token.expires_at);
  item.set("id", token.id);
  return item;
}

const Value* find_role(const Value& project, std::string_view role) {
  for (const Value& one : project["spec"]["roles"].items())
    if (one["name"].as_string() == role) return &one;
  return nullptr;
}

// Upstream keeps both places equal; older versions wrote spec alone.
void write_tokens(Value& project, const std::string& role, const std::vector<ProjectToken>& tokens) {
  Value items = Value::list();
  for (const ProjectToken& token : tokens) items.push_back(item_of(token));
  Value& roles = project.edit({"spec", "roles"});
  for (std::size_t i = 0; i < roles.size(); ++i) {
    if (roles[i]["name"].as_string() != role) continue;
    if (items.empty())
      roles.edit(i).erase("jwtTokens");
    else
      roles.edit(i).set("jwtTokens", items);
  }
  project.edit({"status", "jwtTokensByRole"}).set(role, Value{{"items", std::move(items)}});
}

Error no_role(const Value& project, const std::string& role) {
  return Error{ErrorCode::not_found,
               "AppProject " + project["metadata"]["name"].str() + " has no role \"" + role + "\""};
}

}  // namespace

bool is_argocd_token(std::string_view token) {
  // The header first: every request with a token of another kind passes here.
  const auto header = unbase64url(token.substr(0, token.find('.')));
  if (token.size() > kTokenBytesMax || !header.ok() || header->find("HS256") == std::string::npos) return false;
  const auto parsed = apiserver::SignedToken::parse(token);
  return parsed.ok() && parsed->claims["iss"].as_string() == kIssuer;
}

std::string sign_project_token(const ProjectToken& token, const SecretBytes& key) {
  Value claims{{"iss", kIssuer}, {"sub", project_role_subject(token.project, token.role)}};
  if (token.expires_at > 0) claims.set("exp", token.expires_at);
  claims.set("nbf", token.issued_at).set("iat", token.issued_at).set("jti", token.id);
  const std::string text =
      base64url(json::write(Value{{"alg", "HS256"}, {"typ", "JWT"}})) + "." + base64url(json::write(claims));
  return text + "." + base64url(hmac_sha256(key.reveal(), text));
}

Result<ProjectToken> read_project_token(std::string_view token, const SecretBytes& key, Time now) {
  if (token.size() > kTokenBytesMax) return refused("the token is too long");
  const auto parsed = apiserver::SignedToken::parse(token);
  if (!parsed.ok()) return refused(parsed.error().message);
  if (parsed->header["alg"].as_string() != "HS256")
    return refused("signed with " + parsed->header["alg"].str() + ", not HS256");
  if (key.empty() || !equals_in_constant_time(hmac_sha256(key.reveal(), parsed->signed_text), parsed->signature))
    return refused("the signature is wrong");
  const Value& claims = parsed->claims;
  if (claims["iss"].as_string() != kIssuer) return refused("issued by " + claims["iss"].str());
  if (claims.contains("exp") && claims["exp"].as_int() <= seconds_of(now)) return refused("the token has expired");
  if (claims["nbf"].as_int() > seconds_of(now)) return refused("the token is not valid yet");
  const auto subject = split(claims["sub"].as_string(), ':');
  if (subject.size() != 3 || subject[0] != "proj" || subject[1].empty() || subject[2].empty())
    return refused("the token is of " + claims["sub"].str() + ", no role of a project");
  return ProjectToken{std::string(subject[1]), std::string(subject[2]), claims["jti"].str(), claims["iat"].as_int(),
                      claims["exp"].as_int()};
}

Result<SecretBytes> signing_key(kube::Client& client, const std::string& ns, bool make) {
  auto secret = client.get(schema::kSecrets, {ns, kSecretName});
  if (!secret.ok() && secret.error().code != ErrorCode::not_found) return std::move(secret).error();
  if (secret.ok())
    if (std::string key = secret_field(*secret, kKeyName); !key.empty()) return SecretBytes(std::move(key));
  if (!make)
    return Error{ErrorCode::not_found, "Secret " + ns + "/" + kSecretName + " has no " + std::string(kKeyName)};
  const std::string key = base64(random_bytes(kKeyBytes));
  if (secret.ok()) {
    TRY(kube::modify(client, schema::kSecrets, {ns, kSecretName}, [&](kube::Object& one) {
      if (!secret_field(one, kKeyName).empty()) return false;
      one.edit({"data"}).set(kKeyName, base64(key));
      return true;
    }));
  } else {
    kube::Object made = kube::Object::make(schema::kSecrets, ns, kSecretName);
    made.set_label("app.kubernetes.io/part-of", "argocd");
    made.edit().set("type", "Opaque").set("data", Value{{kKeyName, base64(key)}});
    const auto created = client.create(made);
    if (!created.ok() && created.error().code != ErrorCode::already_exists) return created.error();
  }
  return signing_key(client, ns, false);  // somebody else may have been first
}

bool has_role(const Value& project, std::string_view role) {
  return find_role(project, role) != nullptr;
}

bool knows_token(const Value& project, const ProjectToken& token) {
  const auto list = tokens_of(project, token.role);
  return std::any_of(list.begin(), list.end(), [&](const ProjectToken& one) {
    return token.id.empty() || one.id.empty() ? one.issued_at == token.issued_at : one.id == token.id;
  });
}

std::vector<ProjectToken> tokens_of(const Value& project, const std::string& role) {
  std::vector<ProjectToken> out;
  const Value* found = find_role(project, role);
  if (!found) return out;
  for (const Value* list : {&project["status"]["jwtTokensByRole"][role]["items"], &(*found)["jwtTokens"]})
    for (const Value& item : list->items()) {
      ProjectToken token{project["metadata"]["name"].str(), role, item["id"].str(), item["iat"].as_int(),
                         item["exp"].as_int()};
      if (token.id.empty()) token.id = std::to_string(token.issued_at);
      if (std::find(out.begin(), out.end(), token) == out.end()) out.push_back(std::move(token));
    }
  std::stable_sort(out.begin(), out.end(),
                   [](const ProjectToken& a, const ProjectToken& b) { return a.issued_at > b.issued_at; });
  return out;
}

Result<void> record_token(Value& project, const ProjectToken& token) {
  if (!has_role(project, token.role)) return no_role(project, token.role);
  std::vector<ProjectToken> tokens = tokens_of(project, token.role);
  for (const ProjectToken& one : tokens)
    if (one.id == token.id)
      return Error{ErrorCode::already_exists, "role " + token.role + " has a token with the id \"" + token.id + "\""};
  tokens.insert(tokens.begin(), token);
  write_tokens(project, token.role, tokens);
  return {};
}

Result<void> forget_token(Value& project, const std::string& role, std::int64_t issued_at) {
  if (!has_role(project, role)) return no_role(project, role);
  std::vector<ProjectToken> tokens = tokens_of(project, role);
  const auto kept =
      std::remove_if(tokens.begin(), tokens.end(), [&](const ProjectToken& one) { return one.issued_at == issued_at; });
  if (kept == tokens.end())
    return Error{ErrorCode::not_found, "role " + role + " has no token issued at " + std::to_string(issued_at)};
  tokens.erase(kept, tokens.end());
  write_tokens(project, role, tokens);
  return {};
}

}  // namespace caisson::gitops
