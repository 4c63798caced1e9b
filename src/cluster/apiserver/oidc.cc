// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/oidc.h"

#include <algorithm>
#include <mutex>

#include "cluster/apiserver/jwk.h"
#include "cluster/apiserver/oidc_configuration.h"
#include "core/document/json.h"
#include "core/http/client.h"

namespace caisson::apiserver {
namespace {

constexpr auto kIssuerTimeMax = std::chrono::seconds(10);
constexpr auto kKeysAgeMax = std::chrono::minutes(15);
constexpr auto kReadAgainAfter = std::chrono::seconds(10);  // at most so often for keys that nobody knows
constexpr auto kClocksDiffer = std::chrono::minutes(5);     // of nbf, as go-oidc has it
constexpr std::size_t kDocumentBytesMax = 1u << 20;
constexpr std::uint64_t kExpressionCostMax = 1'000'000;

Error refused(std::string why) {
  return Error{ErrorCode::unauthorized, "oidc: " + std::move(why)};
}

Result<Value> read_document(const http::Client& client, const std::string& url) {
  const http::Response answer = TRY(
      client.send({.url = url, .time_max = kIssuerTimeMax, .response_bytes_max = kDocumentBytesMax}).in("GET " + url));
  if (answer.status != 200)
    return Error{ErrorCode::unavailable, "GET " + url + ": status " + std::to_string(answer.status)};
  return json::parse(answer.body).in("GET " + url);
}

bool expired(const Value& claims, Time now) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
  return !claims["exp"].is_number() || claims["exp"].as_int() <= seconds;
}

bool not_yet(const Value& claims, Time now) {
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>((now + kClocksDiffer).time_since_epoch()).count();
  return claims["nbf"].is_number() && claims["nbf"].as_int() > seconds;
}

bool meant_for(const Value& claims, const std::vector<std::string>& audiences) {
  const auto is_one = [&](const Value& a) {
    return std::find(audiences.begin(), audiences.end(), a.as_string()) != audiences.end();
  };
  if (claims["aud"].is_string()) return is_one(claims["aud"]);
  const auto list = claims["aud"].items();
  return std::any_of(list.begin(), list.end(), is_one);
}

Result<Value> evaluate(const cel::Program& program, std::string_view variable, const Value& bound) {
  cel::Bindings bindings;
  bindings.set(variable, cel::Value::from(bound));
  const cel::Outcome outcome = program.evaluate(bindings, {.cost_max = kExpressionCostMax});
  if (!outcome.value.ok()) return outcome.value.error();
  return outcome.value->to_document();
}

// A text, or a list of them; null is none.
Result<std::vector<std::string>> texts(const Value& value, const std::string& what) {
  std::vector<std::string> out;
  if (value.is_null()) return out;
  if (value.is_string()) {
    if (!value.as_string().empty()) out.push_back(value.str());
    return out;
  }
  if (!value.is_list()) return refused(what + " is neither a string nor a list of strings");
  for (const Value& item : value.items()) {
    if (!item.is_string()) return refused(what + " has an item that is no string");
    out.push_back(item.str());
  }
  return out;
}

Result<std::vector<std::string>> values_of(const ClaimSource& source, const Value& claims, const std::string& what) {
  if (!source.given()) return std::vector<std::string>();
  const Value found =
      source.expression ? TRY(evaluate(*source.expression, "claims", claims).in(what)) : claims[source.claim];
  auto out = TRY(texts(found, what));
  for (std::string& text : out) text = source.prefix + text;
  return out;
}

Result<std::string> one_of(const ClaimSource& source, const Value& claims, const std::string& what) {
  const auto found = TRY(values_of(source, claims, what));
  return found.size() == 1 ? found[0] : std::string();
}

Result<void> check_claims(const OidcIssuer& issuer, const Value& claims) {
  for (const auto& rule : issuer.claim_rules) {
    if (!rule.expression) {
      if (claims[rule.claim].is_null()) return refused("required claim " + rule.claim + " not present in ID token");
      if (claims[rule.claim].as_string() != rule.required_value)
        return refused("required claim " + rule.claim + " value does not match");
      continue;
    }
    const Value holds =
        TRY(evaluate(*rule.expression, "claims", claims).in("oidc: error evaluating claim validation expression"));
    if (!holds.as_bool())
      return refused("validation expression '" + rule.expression->text() + "' failed: " + rule.message);
  }
  return {};
}

Value user_value(const User& user) {
  Value extra = Value::map();
  for (const auto& [key, values] : user.extra) extra.set(key, Value::list_of(values));
  return Value{{"username", user.name}, {"uid", user.uid}, {"groups", Value::list_of(user.groups)}, {"extra", extra}};
}

Result<User> user_of(const OidcIssuer& issuer, const Value& claims) {
  User user;
  user.name = TRY(one_of(issuer.username, claims, "the username claim"));
  if (user.name.empty()) return refused("no username in the token");
  if (issuer.username.claim == "email" && !claims["email_verified"].is_null() && !claims["email_verified"].as_bool())
    return refused("email not verified");
  user.groups = TRY(values_of(issuer.groups, claims, "the groups claim"));
  user.uid = TRY(one_of(issuer.uid, claims, "the uid claim"));
  for (const auto& [key, program] : issuer.extra) {
    const Value found = TRY(evaluate(program, "claims", claims).in("oidc: extra " + key));
    auto values = TRY(texts(found, "extra " + key));
    if (!values.empty()) user.extra.emplace_back(key, std::move(values));
  }
  for (const auto& rule : issuer.user_rules) {
    const Value holds =
        TRY(evaluate(rule.expression, "user", user_value(user)).in("oidc: error evaluating user info validation rule"));
    if (!holds.as_bool())
      return refused("validation expression '" + rule.expression.text() + "' failed: " + rule.message);
  }
  return user;
}

// One provider and its keys.
class Provider {
 public:
  Provider(OidcIssuer issuer, Clock& clock)
      : issuer_(std::move(issuer)), clock_(clock), client_(http::ClientOptions{.ca_pem = issuer_.ca_pem}) {}
  const OidcIssuer& issuer() const { return issuer_; }

  Result<void> check_signature(const SignedToken& token) {
    const std::lock_guard lock(mutex_);
    const Duration age = clock_.monotonic() - read_at_;
    if (!read_ || age > kKeysAgeMax) TRY(read_keys());
    if (signed_by_one(token)) return {};
    if (clock_.monotonic() - read_at_ < kReadAgainAfter) return refused("failed to verify id token signature");
    TRY(read_keys());  // the issuer may sign with a new one
    if (signed_by_one(token)) return {};
    return refused("failed to verify id token signature");
  }

 private:
  bool signed_by_one(const SignedToken& token) const {
    const std::string_view id = token.header["kid"].as_string(), algorithm = token.header["alg"].as_string();
    return std::any_of(keys_.begin(), keys_.end(), [&](const JsonWebKey& key) {
      return (id.empty() || key.id().empty() || key.id() == id) &&
             key.verify(algorithm, token.signed_text, token.signature);
    });
  }

  Result<void> read_keys() {
    const Value about = TRY(read_document(client_, issuer_.discovery_url));
    if (about["issuer"].as_string() != issuer_.url)
      return refused("issuer did not match the issuer returned by provider, expected \"" + issuer_.url + "\" got \"" +
                     about["issuer"].str() + "\"");
    const Value set = TRY(read_document(client_, about["jwks_uri"].str()));
    std::vector<JsonWebKey> keys;
    for (const Value& jwk : set["keys"].items()) {
      if (!jwk["use"].is_null() && jwk["use"].as_string() != "sig") continue;
      if (auto key = JsonWebKey::parse(jwk); key.ok())
        keys.push_back(std::move(key).value());  // others are of kinds we don't take
    }
    keys_ = std::move(keys);
    read_ = true;
    read_at_ = clock_.monotonic();
    return {};
  }

  const OidcIssuer issuer_;
  Clock& clock_;
  const http::Client client_;
  std::mutex mutex_;
  std::vector<JsonWebKey> keys_;  // guarded by mutex_
  bool read_ = false;             // guarded by mutex_
  Duration read_at_{};            // guarded by mutex_
};

}  // namespace

struct OidcAuthenticator::Impl {
  Clock& clock;
  std::vector<std::unique_ptr<Provider>> providers;

  Provider* of(const Value& claims) const {
    for (const auto& provider : providers)
      if (provider->issuer().url == claims["iss"].as_string()) return provider.get();
    return nullptr;
  }
};

OidcAuthenticator::OidcAuthenticator(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
OidcAuthenticator::~OidcAuthenticator() = default;

Result<std::unique_ptr<OidcAuthenticator>> OidcAuthenticator::make(const Value& configuration,
                                                                   const std::string& own_issuer, Clock& clock) {
  std::vector<OidcIssuer> issuers =
      TRY(read_oidc_issuers(configuration, own_issuer).in("authentication configuration"));
  auto impl = std::unique_ptr<Impl>(new Impl{clock, {}});
  for (OidcIssuer& issuer : issuers) impl->providers.push_back(std::make_unique<Provider>(std::move(issuer), clock));
  return std::unique_ptr<OidcAuthenticator>(new OidcAuthenticator(std::move(impl)));
}

bool OidcAuthenticator::knows_issuer_of(std::string_view token) const {
  const auto parsed = SignedToken::parse(token);
  return parsed.ok() && impl_->of(parsed->claims) != nullptr;
}

Result<User> OidcAuthenticator::verify(std::string_view token, const std::vector<std::string>& audiences) const {
  const auto parsed = SignedToken::parse(token);
  if (!parsed.ok()) return refused(parsed.error().message);
  const Value& claims = parsed->claims;
  Provider* provider = impl_->of(claims);
  if (provider == nullptr) return refused("issued by " + claims["iss"].str());
  const OidcIssuer& issuer = provider->issuer();
  if (!meant_for(claims, issuer.audiences))
    return refused("expected audience in " + issuer.audiences[0] + " got " + json::write(claims["aud"]));
  if (!audiences.empty() && !meant_for(claims, audiences)) return refused("the token is for another audience");
  if (expired(claims, impl_->clock.now())) return refused("token is expired");
  if (not_yet(claims, impl_->clock.now())) return refused("current time is before the nbf (not before) time");
  TRY(provider->check_signature(*parsed));
  TRY(check_claims(issuer, claims));
  return user_of(issuer, claims);
}

}  // namespace caisson::apiserver
