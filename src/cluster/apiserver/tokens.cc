// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/tokens.h"

#include <algorithm>
#include <map>
#include <mutex>

#include "core/base/encoding.h"
#include "core/base/hash.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/http/tls.h"

namespace caisson::apiserver {
namespace {

constexpr std::size_t kVerifiedMax = 1'000;
constexpr std::size_t kBootstrapId = 6, kBootstrapSecret = 16;

// "abcdef.0123456789abcdef"
bool is_bootstrap_token(std::string_view token) {
  if (token.size() != kBootstrapId + 1 + kBootstrapSecret || token[kBootstrapId] != '.') return false;
  return std::all_of(token.begin(), token.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.'; });
}

std::int64_t seconds_of(Time time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

Error refused(std::string why) {
  return Error{ErrorCode::unauthorized, std::move(why)};
}

struct UserToken {
  User user;
};

std::string secret_text(const Value& secret, std::string_view field) {
  const auto text = unbase64(secret["data"][field].as_string());
  return text.ok() ? *text : std::string();
}

}  // namespace

struct TokenAuthority::Impl {
  Impl(store::Store& s, Clock& c, SecretBytes k, std::string i)
      : store(s), clock(c), key(std::move(k)), issuer(std::move(i)) {}
  store::Store& store;
  Clock& clock;
  SecretBytes key;
  std::string public_key, key_id, issuer;

  mutable std::mutex mutex;
  mutable std::map<std::string, Value> verified;  // hash of a token whose signature was right → claims
  mutable store::Revision secrets_revision = -1;
  mutable std::map<std::string, User> users;  // hash (its 32 bytes) → user

  Result<Value> claims_of(std::string_view token) const;
  Result<User> service_account(const Value& claims, const std::vector<std::string>& audiences) const;
  Result<User> user(std::string_view token) const;
  Result<User> bootstrap(std::string_view id, std::string_view secret) const;
  bool exists(std::string_view resource, std::string_view ns, const Value& reference) const;
};

TokenAuthority::TokenAuthority(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TokenAuthority::~TokenAuthority() = default;
const std::string& TokenAuthority::issuer() const {
  return impl_->issuer;
}

Result<std::unique_ptr<TokenAuthority>> TokenAuthority::make(store::Store& store, Clock& clock,
                                                             const SecretBytes& key_pem, std::string issuer) {
  auto impl = std::make_unique<Impl>(store, clock, key_pem, std::move(issuer));
  impl->public_key = TRY(http::public_key_pem(key_pem).in("service account key"));
  impl->key_id = base64url(sha256(impl->public_key));
  return std::unique_ptr<TokenAuthority>(new TokenAuthority(std::move(impl)));
}

Result<std::string> TokenAuthority::issue(const std::string& ns, const std::string& account,
                                          const std::string& account_uid, const Bound& bound,
                                          const std::vector<std::string>& audiences, Duration lifetime) const {
  const std::int64_t now = seconds_of(impl_->clock.now());
  const std::int64_t end = now + std::chrono::duration_cast<std::chrono::seconds>(lifetime).count();
  Value kubernetes{{"namespace", ns}, {"serviceaccount", Value{{"name", account}, {"uid", account_uid}}}};
  if (!bound.node_name.empty()) kubernetes.set("node", Value{{"name", bound.node_name}, {"uid", bound.node_uid}});
  if (!bound.kind.empty()) kubernetes.set(to_lower(bound.kind), Value{{"name", bound.name}, {"uid", bound.uid}});
  const Value claims{{"aud", Value::list_of(audiences.empty() ? std::vector<std::string>{impl_->issuer} : audiences)},
                     {"exp", end},
                     {"iat", now},
                     {"iss", impl_->issuer},
                     {"jti", random_uuid()},
                     {"kubernetes.io", kubernetes},
                     {"nbf", now},
                     {"sub", "system:serviceaccount:" + ns + ":" + account}};
  const Value header{{"alg", "ES256"}, {"kid", impl_->key_id}};
  std::string token = base64url(json::write(header)) + "." + base64url(json::write(claims));
  const std::string signature = TRY(http::sign_es256(impl_->key, token));
  return token + "." + base64url(signature);
}

Result<Value> TokenAuthority::Impl::claims_of(std::string_view token) const {
  const std::string hash = sha256(token);
  {
    const std::lock_guard lock(mutex);
    if (const auto it = verified.find(hash); it != verified.end()) return it->second;
  }
  const auto parts = split(token, '.');
  if (parts.size() != 3) return refused("not a JWT");
  const std::string header_bytes = TRY(unbase64url(parts[0]));
  const Value header = TRY(json::parse(header_bytes));
  if (header["alg"].as_string() != "ES256") return refused("signed with " + header["alg"].str() + ", not ES256");
  const std::string signature = TRY(unbase64url(parts[2]));
  const bool right =
      TRY(http::verify_es256(public_key, token.substr(0, parts[0].size() + 1 + parts[1].size()), signature));
  if (!right) return refused("the signature is wrong");
  const std::string claims_bytes = TRY(unbase64url(parts[1]));
  const Value claims = TRY(json::parse(claims_bytes));
  const std::lock_guard lock(mutex);
  if (verified.size() >= kVerifiedMax) verified.clear();
  verified[hash] = claims;
  return claims;
}

bool TokenAuthority::Impl::exists(std::string_view resource, std::string_view ns, const Value& reference) const {
  const store::ItemPtr item = store.get(resource, ns, reference["name"].as_string());
  return item && item->value()["metadata"]["uid"].as_string() == reference["uid"].as_string();
}

Result<User> TokenAuthority::Impl::service_account(const Value& claims,
                                                   const std::vector<std::string>& audiences) const {
  const std::int64_t now = seconds_of(clock.now());
  if (claims["iss"].as_string() != issuer) return refused("issued by " + claims["iss"].str());
  if (claims["exp"].as_int() <= now) return refused("service account token has expired");
  if (claims["nbf"].as_int() > now + 60) return refused("service account token is not valid yet");
  const std::vector<std::string> accepted = audiences.empty() ? std::vector<std::string>{issuer} : audiences;
  const auto audience = claims["aud"].items();
  const bool meant = std::any_of(audience.begin(), audience.end(), [&](const Value& a) {
    return std::find(accepted.begin(), accepted.end(), a.as_string()) != accepted.end();
  });
  if (!meant) return refused("the token is for another audience");
  const Value& kubernetes = claims["kubernetes.io"];
  const std::string ns = kubernetes["namespace"].str(), account = kubernetes["serviceaccount"]["name"].str();
  if (!exists("serviceaccounts", ns, kubernetes["serviceaccount"])) return refused("the service account was deleted");
  if (!kubernetes["pod"].is_null() && !exists("pods", ns, kubernetes["pod"]))
    return refused("the pod of the token was deleted");
  if (!kubernetes["secret"].is_null() && !exists("secrets", ns, kubernetes["secret"]))
    return refused("the secret of the token was deleted");
  User user{.name = "system:serviceaccount:" + ns + ":" + account,
            .groups = {"system:serviceaccounts", "system:serviceaccounts:" + ns},
            .uid = kubernetes["serviceaccount"]["uid"].str()};
  user.extra.push_back({"authentication.kubernetes.io/credential-id", {"JTI=" + claims["jti"].str()}});
  if (!kubernetes["pod"].is_null()) {
    user.extra.push_back({"authentication.kubernetes.io/pod-name", {kubernetes["pod"]["name"].str()}});
    user.extra.push_back({"authentication.kubernetes.io/pod-uid", {kubernetes["pod"]["uid"].str()}});
  }
  return user;
}

Result<User> TokenAuthority::Impl::user(std::string_view token) const {
  const store::Revision revision = store.revision_of("secrets");
  const std::lock_guard lock(mutex);
  if (revision != secrets_revision) {
    users.clear();
    const auto listing = store.list("secrets", {.ns = std::string(kSystemNamespace)});
    if (!listing.ok()) return listing.error();
    for (const store::ItemPtr& item : listing->items) {
      const Value secret = item->value();
      if (secret["type"].as_string() != kUserTokenType) continue;
      User user{.name = secret_text(secret, "user")};
      const std::string groups = secret_text(secret, "groups");
      for (const std::string_view group : split(groups, ','))
        if (!trim(group).empty()) user.groups.emplace_back(trim(group));
      if (const auto hash = unhex(secret_text(secret, "hash")); hash.ok()) users[*hash] = std::move(user);
    }
    secrets_revision = revision;
  }
  const auto it = users.find(sha256(token));
  if (it == users.end() || it->second.name.empty()) return refused("unknown token");
  return it->second;
}

// plugin/pkg/auth/authenticator/token/bootstrap of 1.33.
Result<User> TokenAuthority::Impl::bootstrap(std::string_view id, std::string_view word) const {
  const store::ItemPtr item = store.get("secrets", "kube-system", "bootstrap-token-" + std::string(id));
  if (!item) return refused("unknown token");
  const Value secret = item->value();
  if (secret["type"].as_string() != "bootstrap.kubernetes.io/token" ||
      !secret["metadata"]["deletionTimestamp"].is_null())
    return refused("unknown token");
  if (secret_text(secret, "token-id") != id || sha256(secret_text(secret, "token-secret")) != sha256(word))
    return refused("unknown token");
  if (const std::string end = secret_text(secret, "expiration"); !end.empty()) {
    const auto time = parse_time(end);
    if (!time || *time <= clock.now()) return refused("the bootstrap token has expired");
  }
  if (secret_text(secret, "usage-bootstrap-authentication") != "true")
    return refused("the bootstrap token is not for authentication");
  User user{.name = "system:bootstrap:" + std::string(id), .groups = {"system:bootstrappers"}};
  const std::string groups = secret_text(secret, "auth-extra-groups");
  for (const std::string_view group : split(groups, ',')) {
    if (group.empty()) continue;
    if (!group.starts_with("system:bootstrappers:"))
      return refused("a bootstrap token can't be of group " + std::string(group));
    user.groups.emplace_back(group);
  }
  return user;
}

Result<User> TokenAuthority::verify(std::string_view token, const std::vector<std::string>& audiences) const {
  if (token.size() > 16'384) return refused("the token is too long");
  if (is_bootstrap_token(token)) return impl_->bootstrap(token.substr(0, kBootstrapId), token.substr(kBootstrapId + 1));
  if (std::count(token.begin(), token.end(), '.') != 2) return impl_->user(token);
  const auto claims = impl_->claims_of(token);
  if (!claims.ok()) return refused(claims.error().message);
  return impl_->service_account(*claims, audiences);
}

Value TokenAuthority::user_token_secret(std::string_view token, const std::string& user,
                                        const std::vector<std::string>& groups) {
  const std::string hash = sha256_hex(token);
  return Value{{"apiVersion", "v1"},
               {"kind", "Secret"},
               {"metadata", Value{{"name", "user-token-" + hash.substr(0, 16)}, {"namespace", kSystemNamespace}}},
               {"type", kUserTokenType},
               {"data", Value{{"user", base64(user)}, {"groups", base64(join(groups, ","))}, {"hash", base64(hash)}}}};
}

}  // namespace caisson::apiserver
