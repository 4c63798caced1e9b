// SPDX-License-Identifier: Apache-2.0
// Users of an identity provider that is a few lines of HTTPS here.
#include "cluster/apiserver/oidc.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "cluster/apiserver/jwk.h"
#include "cluster/apiserver/testing_test.h"
#include "core/base/encoding.h"
#include "core/base/text.h"

using namespace caisson;
using namespace caisson::apiserver;
using namespace std::chrono_literals;

namespace {

// The public half of a P-256 key as JWK.
Value jwk_of(const SecretBytes& key_pem, const std::string& id) {
  const std::string pem = http::public_key_pem(key_pem).value();
  BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  EVP_PKEY* key = PEM_read_bio_PUBKEY(bio, nullptr, nullptr, nullptr);
  unsigned char point[65];
  std::size_t size = 0;
  REQUIRE(EVP_PKEY_get_octet_string_param(key, "pub", point, sizeof point, &size) == 1);
  REQUIRE(size == sizeof point);
  EVP_PKEY_free(key);
  BIO_free(bio);
  const std::string bytes(reinterpret_cast<const char*>(point) + 1, 64);
  return Value{{"kty", "EC"},
               {"crv", "P-256"},
               {"kid", id},
               {"use", "sig"},
               {"x", base64url(bytes.substr(0, 32))},
               {"y", base64url(bytes.substr(32))}};
}

struct Issuer {
  http::KeyPair ca = http::make_ca("issuer ca", system_clock().now()).value();
  http::Server listener = http::Server::start({}).value();
  SecretBytes key{http::make_key_pem().value()};
  std::string key_id = "one";
  std::atomic<int> asked = 0;
  std::string url;

  Issuer() {
    const http::KeyPair pair =
        http::make_certificate(ca, {.common_name = "issuer", .ip_addresses = {"127.0.0.1"}, .server = true},
                               system_clock().now())
            .value();
    const http::TlsOptions tls{pair.certificate_pem, std::string(pair.key_pem.reveal()), ""};
    const auto answer = [this](http::ExchangePtr exchange) {
      ++asked;
      Value body{{"issuer", url}, {"jwks_uri", url + "/keys"}};
      if (exchange->path == "/keys") body = Value{{"keys", Value(std::vector<Value>{jwk_of(key, key_id)})}};
      exchange->respond({.status = 200, .headers = {}, .body = json::write(body)});
    };
    url = "https://127.0.0.1:" + std::to_string(listener.listen("127.0.0.1", 0, answer, &tls).value());
  }

  std::string sign(const Value& claims, const std::string& algorithm = "ES256") const {
    const Value header{{"alg", algorithm}, {"kid", key_id}};
    const std::string text = base64url(json::write(header)) + "." + base64url(json::write(claims));
    return text + "." + base64url(http::sign_es256(key, text).value());
  }
  Value claims(const Clock& clock) const {
    const auto now = std::chrono::duration_cast<std::chrono::seconds>(clock.now().time_since_epoch()).count();
    return Value{{"iss", url},
                 {"aud", "kubernetes"},
                 {"sub", "7"},
                 {"name", "ann"},
                 {"exp", now + 60},
                 {"groups", Value::list_of({"dev", "ops"})},
                 {"tenant", Value{{"id", "t1"}}}};
  }
  Value configuration(
      const std::string& rest = "username: {claim: name, prefix: 'oidc:'}, groups: {claim: groups, prefix: 'oidc:'}",
      const std::string& more = "") const {
    Value out =
        yaml::read(
            "{apiVersion: apiserver.config.k8s.io/v1beta1, kind: AuthenticationConfiguration, jwt: [{issuer: {url: '" +
            url + "', audiences: [kubernetes]}, claimMappings: {" + rest + "}" + more + "}]}")
            .value();
    out.edit("jwt").edit(0).edit("issuer").set("certificateAuthority", ca.certificate_pem);
    return out;
  }
};

const std::string kSelf = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
const std::string kReview = R"({"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"})";

ApiServerOptions with(const Issuer& issuer) {
  ApiServerOptions options;
  options.authentication = issuer.configuration();
  return options;
}

}  // namespace

TEST_CASE("a user of an identity provider is known by its claims, and RBAC speaks of its groups") {
  Issuer issuer;
  HttpTestServer s(with(issuer));
  const http::Headers bearer{{"Authorization", "Bearer " + issuer.sign(issuer.claims(s.clock))}};
  const Value info = s.send("POST", kSelf, kReview, bearer).body["status"]["userInfo"];
  CHECK(info["username"].str() == "oidc:ann");
  CHECK(info["groups"] == Value::list_of({"oidc:dev", "oidc:ops", "system:authenticated"}));
  CHECK(s.send("GET", "/api/v1/nodes", "", bearer).status == 403);
  s.create(
      "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: ops}, roleRef: {apiGroup: "
      "rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}, subjects: [{kind: Group, name: "
      "'oidc:ops'}]}");
  CHECK(s.send("GET", "/api/v1/nodes", "", bearer).status == 200);
  const Value review = s.send("POST", "/apis/authentication.k8s.io/v1/tokenreviews",
                              R"({"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":")" +
                                  issuer.sign(issuer.claims(s.clock)) + R"("}})")
                           .body["status"];
  CHECK(review["user"]["username"].str() == "oidc:ann");
}

TEST_CASE("a token that is not right in every point is refused") {
  Issuer issuer;
  FakeClock clock;
  const auto oidc = OidcAuthenticator::make(issuer.configuration(), "https://own", clock).value();
  const Value claims = issuer.claims(clock);
  const auto right = oidc->verify(issuer.sign(claims));
  REQUIRE_MESSAGE(right.ok(), failure(right));
  const auto changed = [&](const char* claim, Value value) {
    Value out = claims;
    out.set(claim, std::move(value));
    return issuer.sign(out);
  };
  std::string tampered = issuer.sign(claims);
  tampered[tampered.size() - 20] = tampered[tampered.size() - 20] == 'A' ? 'B' : 'A';
  for (const auto& [token, message] : std::initializer_list<std::pair<std::string, const char*>>{
           {changed("aud", "another"), "expected audience"},
           {changed("aud", Value::list_of({"x", "y"})), "expected audience"},
           {changed("exp", claims["exp"].as_int() - 61), "expired"},
           {changed("exp", Value()), "expired"},
           {changed("nbf", claims["exp"].as_int() + 600), "nbf"},
           {changed("iss", "https://other"), "issued by https://other"},
           {changed("name", ""), "no username"},
           {changed("name", Value()), "no username"},
           {changed("name", 7), "neither a string"},
           {changed("groups", Value(std::vector<Value>{Value(1)})), "no string"},
           {issuer.sign(claims, "none"), "verify id token signature"},
           {issuer.sign(claims, "HS256"), "verify id token signature"},
           {issuer.sign(claims, "RS256"), "verify id token signature"},
           {tampered, "verify id token signature"},
           {"a.b", "compact form"}}) {
    const std::string said = failure(oidc->verify(token)), wanted = message;
    CAPTURE(said);
    CAPTURE(wanted);
    CHECK(said.find(wanted) != std::string::npos);
  }
  CHECK(failure(oidc->verify(issuer.sign(claims), {"elsewhere"})).find("another audience") != std::string::npos);
}

TEST_CASE("keys are read once, and again when the issuer changes them") {
  Issuer issuer;
  FakeClock clock;
  const auto oidc = OidcAuthenticator::make(issuer.configuration(), "https://own", clock).value();
  CHECK(oidc->verify(issuer.sign(issuer.claims(clock))).ok());
  CHECK(oidc->verify(issuer.sign(issuer.claims(clock))).ok());
  CHECK(issuer.asked == 2);  // what it says of itself, and its keys
  issuer.key = SecretBytes(http::make_key_pem().value());
  issuer.key_id = "two";
  CHECK(!oidc->verify(issuer.sign(issuer.claims(clock))).ok());  // not asked again at once
  CHECK(issuer.asked == 2);
  clock.advance(11s);
  CHECK(oidc->verify(issuer.sign(issuer.claims(clock))).ok());
  CHECK(issuer.asked == 4);
}

TEST_CASE("claims are mapped and checked by expressions") {
  Issuer issuer;
  FakeClock clock;
  const auto user = [&](const std::string& mappings, const std::string& rules, Value claims) {
    const auto oidc = OidcAuthenticator::make(issuer.configuration(mappings, rules), "https://own", clock);
    REQUIRE_MESSAGE(oidc.ok(), failure(oidc));
    return (*oidc)->verify(issuer.sign(claims));
  };
  const Value claims = issuer.claims(clock);
  const auto mapped = user(
      "username: {expression: 'claims.name + \"@\" + claims.tenant.id'}, groups: {expression: 'claims.groups.filter(g, "
      "g != \"ops\")'}, "
      "uid: {claim: sub}, extra: [{key: example.com/tenant, valueExpression: claims.tenant.id}]",
      "", claims);
  REQUIRE_MESSAGE(mapped.ok(), failure(mapped));
  CHECK(mapped->name == "ann@t1");
  CHECK(mapped->groups == std::vector<std::string>{"dev"});
  CHECK(mapped->uid == "7");
  CHECK(mapped->extra[0].second == std::vector<std::string>{"t1"});
  const std::string plain = "username: {claim: name, prefix: ''}";
  CHECK(user(plain, ", claimValidationRules: [{claim: sub, requiredValue: '7'}]", claims).ok());
  CHECK(failure(user(plain, ", claimValidationRules: [{claim: sub, requiredValue: '8'}]", claims))
            .find("sub value does not match") != std::string::npos);
  CHECK(
      failure(user(plain, ", claimValidationRules: [{claim: hd, requiredValue: x}]", claims)).find("hd not present") !=
      std::string::npos);
  CHECK(
      failure(user(plain, ", claimValidationRules: [{expression: 'claims.tenant.id == \"t2\"', message: wrong tenant}]",
                   claims))
          .find("wrong tenant") != std::string::npos);
  CHECK(failure(user(plain,
                     ", userValidationRules: [{expression: \"!user.username.startsWith('ann')\", message: reserved}]",
                     claims))
            .find("reserved") != std::string::npos);
  Value mail = claims;
  mail.set("email", "a@example.com").set("email_verified", false);
  CHECK(failure(user("username: {claim: email, prefix: ''}", "", mail)).find("email not verified") !=
        std::string::npos);
}

TEST_CASE("a wrong authentication configuration is refused with the field") {
  FakeClock clock;
  const std::string head =
      "{apiVersion: apiserver.config.k8s.io/v1beta1, kind: AuthenticationConfiguration, jwt: [{issuer: {url: ";
  const std::string ok = "'https://i', audiences: [a]}, claimMappings: {username: {claim: sub, prefix: ''}}";
  CHECK(OidcAuthenticator::make(yaml::read(head + ok + "}]}").value(), "https://own", clock).ok());
  for (const auto& [rest, message] : std::initializer_list<std::pair<std::string, const char*>>{
           {"'http://i', audiences: [a]}, claimMappings: {username: {claim: sub, prefix: ''}}",
            "jwt[0].issuer.url: Invalid value: \"http://i\": URL scheme must be https"},
           {"'https://u@i', audiences: [a]}, claimMappings: {username: {claim: sub, prefix: ''}}",
            "username or password"},
           {"'https://i?x', audiences: [a]}, claimMappings: {username: {claim: sub, prefix: ''}}",
            "must not contain a query"},
           {"'https://own', audiences: [a]}, claimMappings: {username: {claim: sub, prefix: ''}}",
            "disallowed issuers"},
           {"'https://i'}, claimMappings: {username: {claim: sub, prefix: ''}}", "at least one audience"},
           {"'https://i', audiences: [a, b]}, claimMappings: {username: {claim: sub, prefix: ''}}", "must be MatchAny"},
           {"'https://i', audiences: [a]}, claimMappings: {}", "jwt[0].claimMappings.username: Required value"},
           {"'https://i', audiences: [a]}, claimMappings: {username: {claim: sub}}", "prefix is required"},
           {"'https://i', audiences: [a]}, claimMappings: {username: {expression: 'claims.'}}", "compilation failed"},
           {"'https://i', audiences: [a]}, claimMappings: {username: {expression: 'claims.email'}}", "email_verified"},
           {ok + ", claimValidationRules: [{expression: '1'}]", "must evaluate to bool"},
           {ok + ", claimValidationRules: [{}]", "exactly one of"},
           {ok + ", surprise: 1", "jwt[0].surprise: Forbidden"}}) {
    CAPTURE(rest);
    CHECK(
        failure(OidcAuthenticator::make(yaml::read(head + rest + "}]}").value(), "https://own", clock)).find(message) !=
        std::string::npos);
  }
  CHECK(!OidcAuthenticator::make(yaml::read("{apiVersion: v1, kind: AuthenticationConfiguration}").value(), "", clock)
             .ok());
}

TEST_CASE("keys and signatures of RFC 7515 are taken, forgeries are not") {
  // RFC 7515, appendix A.2 (RS256) and A.3 (ES256): the examples' public keys and signatures.
  const Value rsa =
      json::parse(
          R"({"kty":"RSA","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"})")
          .value();
  const std::string rsa_token =
      "eyJhbGciOiJSUzI1NiJ9."
      "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
      "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_"
      "O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_"
      "nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-"
      "eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
  const SignedToken token = SignedToken::parse(rsa_token).value();
  const JsonWebKey key = JsonWebKey::parse(rsa).value();
  CHECK(key.verify("RS256", token.signed_text, token.signature));
  CHECK(!key.verify("RS512", token.signed_text, token.signature));
  CHECK(!key.verify("PS256", token.signed_text, token.signature));
  CHECK(!key.verify("ES256", token.signed_text, token.signature));
  CHECK(!key.verify("none", token.signed_text, ""));
  CHECK(!key.verify("RS256", token.signed_text + "x", token.signature));
  const Value ec =
      json::parse(
          R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})")
          .value();
  const SignedToken other =
      SignedToken::parse(
          "eyJhbGciOiJFUzI1NiJ9."
          "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
          "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q")
          .value();
  CHECK(JsonWebKey::parse(ec).value().verify("ES256", other.signed_text, other.signature));
  CHECK(!JsonWebKey::parse(ec).value().verify("ES256", other.signed_text, other.signature.substr(1)));
  for (const char* wrong :
       {R"({"kty":"oct","k":"AA"})", R"({"kty":"RSA","n":"AQAB","e":"AQAB"})", R"({"kty":"EC","crv":"P-999"})",
        R"({"kty":"EC","crv":"P-256","x":"AA","y":"AA"})", R"({})"})
    CHECK(!JsonWebKey::parse(json::parse(wrong).value()).ok());
}
