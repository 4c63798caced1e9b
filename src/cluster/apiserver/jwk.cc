// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/jwk.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include "core/base/encoding.h"
#include "core/base/owner.h"
#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::apiserver {
namespace {

constexpr int kRsaBitsMin = 2048;

using Key = Owned<EVP_PKEY, EVP_PKEY_free>;
using KeyContext = Owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;
using DigestContext = Owned<EVP_MD_CTX, EVP_MD_CTX_free>;
using Builder = Owned<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free>;
using Parameters = Owned<OSSL_PARAM, OSSL_PARAM_free>;
using Number = Owned<BIGNUM, BN_free>;
using Signature = Owned<ECDSA_SIG, ECDSA_SIG_free>;

struct Curve {
  std::string_view jose, openssl, algorithm;
  std::size_t coordinate_bytes;
};
constexpr Curve kCurves[] = {
    {"P-256", "prime256v1", "ES256", 32}, {"P-384", "secp384r1", "ES384", 48}, {"P-521", "secp521r1", "ES512", 66}};

const unsigned char* raw(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

Number number_of(std::string_view bytes) {
  return Number(BN_bin2bn(raw(bytes), static_cast<int>(bytes.size()), nullptr));
}

Error wrong(const std::string& why) {
  ERR_clear_error();
  return Error{ErrorCode::invalid, "JSON Web Key: " + why};
}

Result<Key> key_from(const char* type, OSSL_PARAM_BLD* builder) {
  const Parameters parameters(OSSL_PARAM_BLD_to_param(builder));
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (!parameters || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1)
    return wrong("not a public key of type " + std::string(type));
  return Key(key);
}

Result<Key> rsa_key(const Value& jwk) {
  const std::string modulus = TRY(unbase64url(jwk["n"].as_string()).in("JSON Web Key: n"));
  const std::string exponent = TRY(unbase64url(jwk["e"].as_string()).in("JSON Web Key: e"));
  const Number n = number_of(modulus), e = number_of(exponent);
  const Builder builder(OSSL_PARAM_BLD_new());
  if (BN_num_bits(n.get()) < kRsaBitsMin)
    return wrong("an RSA key of less than " + std::to_string(kRsaBitsMin) + " bits");
  if (OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1)
    return wrong("not an RSA key");
  return key_from("RSA", builder.get());
}

Result<Key> ec_key(const Value& jwk, const Curve& curve) {
  const std::string x = TRY(unbase64url(jwk["x"].as_string()).in("JSON Web Key: x"));
  const std::string y = TRY(unbase64url(jwk["y"].as_string()).in("JSON Web Key: y"));
  if (x.size() != curve.coordinate_bytes || y.size() != curve.coordinate_bytes)
    return wrong("a coordinate of a wrong length");
  const std::string point = "\x04" + x + y;  // uncompressed
  const std::string group(curve.openssl);
  const Builder builder(OSSL_PARAM_BLD_new());
  if (OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, group.c_str(), 0) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()) != 1)
    return wrong("not an EC key");
  return key_from("EC", builder.get());
}

const EVP_MD* digest_of(std::string_view algorithm) {
  const std::string_view bits = algorithm.substr(2);
  return bits == "256" ? EVP_sha256() : bits == "384" ? EVP_sha384() : bits == "512" ? EVP_sha512() : nullptr;
}

// r || s (RFC 7518 §3.4) as OpenSSL wants it; empty when it is none.
std::string der_signature(std::string_view signature, std::size_t coordinate_bytes) {
  if (signature.size() != 2 * coordinate_bytes) return {};
  const Signature parts(ECDSA_SIG_new());
  ECDSA_SIG_set0(parts.get(), number_of(signature.substr(0, coordinate_bytes)).release(),
                 number_of(signature.substr(coordinate_bytes)).release());
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(parts.get(), &der);
  std::string out(reinterpret_cast<const char*>(der), size > 0 ? static_cast<std::size_t>(size) : 0);
  OPENSSL_free(der);
  return out;
}

}  // namespace

Result<JsonWebKey> JsonWebKey::parse(const Value& jwk) {
  JsonWebKey out;
  out.id_ = jwk["kid"].str();
  out.type_ = jwk["kty"].str();
  out.algorithm_ = jwk["alg"].str();
  Key key;
  if (out.type_ == "RSA") {
    key = TRY(rsa_key(jwk));
  } else if (out.type_ == "EC") {
    const auto curve = std::find_if(std::begin(kCurves), std::end(kCurves),
                                    [&](const Curve& c) { return c.jose == jwk["crv"].as_string(); });
    if (curve == std::end(kCurves)) return wrong("the curve " + jwk["crv"].str() + " is not known");
    out.algorithm_ = std::string(curve->algorithm);
    out.coordinate_bytes_ = curve->coordinate_bytes;
    key = TRY(ec_key(jwk, *curve));
  } else {
    return wrong("the type " + out.type_ + " is not known");
  }
  out.key_ = std::shared_ptr<void>(key.release(), [](void* k) { EVP_PKEY_free(static_cast<EVP_PKEY*>(k)); });
  return out;
}

bool JsonWebKey::verify(std::string_view algorithm, std::string_view message, std::string_view signature) const {
  if (algorithm.size() != 5 || (!algorithm_.empty() && algorithm != algorithm_)) return false;
  const std::string_view family = algorithm.substr(0, 2);
  const bool rsa = family == "RS" || family == "PS";
  if (type_ == "RSA" ? !rsa : family != "ES") return false;
  const EVP_MD* digest = digest_of(algorithm);
  const std::string bytes = rsa ? std::string(signature) : der_signature(signature, coordinate_bytes_);
  if (digest == nullptr || bytes.empty()) return false;
  const DigestContext context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* of_key = nullptr;  // belongs to `context`
  bool right = EVP_DigestVerifyInit(context.get(), &of_key, digest, nullptr, static_cast<EVP_PKEY*>(key_.get())) == 1;
  if (right && family == "PS")
    right = EVP_PKEY_CTX_set_rsa_padding(of_key, RSA_PKCS1_PSS_PADDING) == 1 &&
            EVP_PKEY_CTX_set_rsa_pss_saltlen(of_key, RSA_PSS_SALTLEN_DIGEST) == 1;
  right = right && EVP_DigestVerify(context.get(), raw(bytes), bytes.size(), raw(message), message.size()) == 1;
  ERR_clear_error();  // a wrong signature leaves one
  return right;
}

Result<SignedToken> SignedToken::parse(std::string_view token) {
  const auto parts = split(token, '.');
  if (parts.size() != 3) return Error{ErrorCode::bad_request, "not a signed token in compact form"};
  SignedToken out;
  const std::string header = TRY(unbase64url(parts[0]).in("the token's header"));
  const std::string claims = TRY(unbase64url(parts[1]).in("the token's claims"));
  out.signature = TRY(unbase64url(parts[2]).in("the token's signature"));
  out.header = TRY(json::parse(header).in("the token's header"));
  out.claims = TRY(json::parse(claims).in("the token's claims"));
  out.signed_text = std::string(token.substr(0, parts[0].size() + 1 + parts[1].size()));
  return out;
}

}  // namespace caisson::apiserver
