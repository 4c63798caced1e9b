// SPDX-License-Identifier: Apache-2.0
#include "security/policy/notary.h"

#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>

#include "core/base/encoding.h"
#include "core/base/owner.h"
#include "core/document/json.h"

namespace caisson::policy {
namespace {

constexpr std::size_t kEnvelopeBytesMax = 1u << 20, kPredicateBytesMax = 32u << 20;
constexpr std::size_t kEnvelopesMax = 10;  // as many as Kyverno tries
constexpr std::size_t kReferrersLookedAtMax = 100, kChainMax = 20;
constexpr std::string_view kArtifact = "application/vnd.cncf.notary.signature";
constexpr std::string_view kJws = "application/jose+json", kCose = "application/cose";
constexpr std::string_view kPayload = "application/vnd.cncf.notary.payload.v1+json";
constexpr std::string_view kScheme = "io.cncf.notary.signingScheme", kExpiry = "io.cncf.notary.expiry";

using Key = Owned<EVP_PKEY, EVP_PKEY_free>;
using DigestContext = Owned<EVP_MD_CTX, EVP_MD_CTX_free>;
using EcSignature = Owned<ECDSA_SIG, ECDSA_SIG_free>;

// An algorithm belongs to a size of key, and to no other.
struct Algorithm {
  std::string_view name;
  int key_type, key_bits;
  const char* hash;
};
constexpr std::array<Algorithm, 6> kAlgorithms = {{{"PS256", EVP_PKEY_RSA, 2048, "SHA256"},
                                                   {"PS384", EVP_PKEY_RSA, 3072, "SHA384"},
                                                   {"PS512", EVP_PKEY_RSA, 4096, "SHA512"},
                                                   {"ES256", EVP_PKEY_EC, 256, "SHA256"},
                                                   {"ES384", EVP_PKEY_EC, 384, "SHA384"},
                                                   {"ES512", EVP_PKEY_EC, 521, "SHA512"}}};

Error cannot_read(std::string why) {
  return {ErrorCode::bad_request, "Notary signature: " + std::move(why)};
}
Error not_good(std::string why) {
  ERR_clear_error();
  return {ErrorCode::unauthorized, std::move(why)};
}

Result<Value> json_of(std::string_view text, std::size_t bytes_max) {
  return json::parse(text, {.depth_max = 100, .size_bytes_max = bytes_max});
}

// Headers that must be understood, and when the signature ends.
Result<NotaryClaims> claims_of(const Value& header) {
  if (header["cty"].as_string() != kPayload) return cannot_read("its payload is \"" + header["cty"].str() + "\"");
  if (header[kScheme].as_string() != "notary.x509")
    return cannot_read("signing scheme \"" + header[kScheme].str() + "\" is not checked: notary.x509 is");
  for (const Value& name : header["crit"].items())
    if (name.as_string() != kScheme && name.as_string() != kExpiry)
      return cannot_read("critical header " + name.str() + " is not understood");
  NotaryClaims claims{header["alg"].str(), {}};
  if (!header.contains(kExpiry)) return claims;
  claims.expiry = parse_time(header[kExpiry].as_string());
  if (!claims.expiry) return cannot_read("its expiry is no time: " + header[kExpiry].str());
  return claims;
}

Result<std::vector<Certificate>> chain_of(const Value& header) {
  const Value& chain = header["x5c"];
  if (chain.empty() || chain.size() > kChainMax) return cannot_read("it needs 1 to 20 certificates");
  std::vector<Certificate> out;
  for (const Value& one : chain.items()) {
    const std::string der = TRY(unbase64(one.as_string()));
    out.push_back(TRY(Certificate::parse_der(der)));
  }
  return out;
}

Result<Signature> read_envelope(const std::string& bytes) {
  const Value envelope = TRY(json_of(bytes, kEnvelopeBytesMax));
  const std::string protected_text = TRY(unbase64url(envelope["protected"].as_string()));
  const Value header = TRY(json_of(protected_text, kEnvelopeBytesMax));
  Signature out;
  out.notary = TRY(claims_of(header));
  out.certificates = TRY(chain_of(envelope["header"]));
  out.signature = TRY(unbase64url(envelope["signature"].as_string()));
  out.payload = TRY(unbase64url(envelope["payload"].as_string()));
  out.message = envelope["protected"].str() + "." + envelope["payload"].str();
  out.document = TRY(json_of(out.payload, kEnvelopeBytesMax));
  return out;
}

// The envelope that a manifest holds in its one layer.
Result<Signature> signature_in(const ImageSource& source, const std::string& repository, const Value& manifest) {
  const Value& layer = manifest["layers"][0];
  if (layer["mediaType"].as_string() == kCose) return cannot_read("COSE envelopes are not read: JWS are");
  if (manifest["layers"].size() != 1 || layer["mediaType"].as_string() != kJws)
    return cannot_read("its manifest holds no envelope");
  const std::string bytes = TRY(source.blob(repository, layer["digest"].str(), kEnvelopeBytesMax));
  return read_envelope(bytes);
}

// ECDSA signatures are two numbers of the key's size, one after the other; OpenSSL wants them in DER.
std::string der_of(const std::string& raw, int key_bits) {
  const std::size_t half = (static_cast<std::size_t>(key_bits) + 7) / 8;
  if (raw.size() != 2 * half) return "";
  const auto* bytes = reinterpret_cast<const unsigned char*>(raw.data());
  const EcSignature pair(ECDSA_SIG_new());
  BIGNUM* r = BN_bin2bn(bytes, static_cast<int>(half), nullptr);
  BIGNUM* s = BN_bin2bn(bytes + half, static_cast<int>(half), nullptr);
  if (!pair || ECDSA_SIG_set0(pair.get(), r, s) != 1) {
    BN_free(r);
    BN_free(s);
    return "";
  }
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(pair.get(), &der);
  std::string out = size > 0 ? std::string(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size)) : "";
  OPENSSL_free(der);
  return out;
}

bool holds_for(EVP_PKEY* key, const Algorithm& algorithm, const Signature& signature) {
  const bool is_rsa = algorithm.key_type == EVP_PKEY_RSA;
  const std::string bytes = is_rsa ? signature.signature : der_of(signature.signature, algorithm.key_bits);
  const DigestContext context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* options = nullptr;  // the context's own
  if (!context || bytes.empty() ||
      EVP_DigestVerifyInit(context.get(), &options, EVP_get_digestbyname(algorithm.hash), nullptr, key) != 1)
    return false;
  if (is_rsa && (EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) != 1 ||
                 EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) != 1))
    return false;
  const auto* message = reinterpret_cast<const unsigned char*>(signature.message.data());
  return EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), message,
                          signature.message.size()) == 1;
}

}  // namespace

Result<std::vector<Signature>> read_notary_signatures(const ImageSource& source, const SignedImage& image) {
  std::vector<Signature> out;
  std::optional<Error> first_error;
  std::size_t looked_at = 0;
  const auto referrers = source.referrers(image.repository, image.digest);
  if (!referrers.ok() && referrers.error().code != ErrorCode::not_found) return referrers.error();
  for (const ImageReferrer& one : referrers.ok() ? *referrers : std::vector<ImageReferrer>{}) {
    if (one.artifact_type != kArtifact || looked_at++ >= kEnvelopesMax) continue;
    const auto found = TRY(source.manifest(image.repository, one.digest));
    const Value manifest = TRY(json_of(found.bytes, kEnvelopeBytesMax));
    auto signature = signature_in(source, image.repository, manifest);
    if (!signature.ok() && signature.error().code != ErrorCode::bad_request) return std::move(signature).error();
    if (!signature.ok()) {
      if (!first_error) first_error = std::move(signature).error();
    } else if (signature->document["targetArtifact"]["digest"].as_string() == image.digest) {
      out.push_back(std::move(signature).value());
    }
  }
  if (out.empty() && first_error) return *first_error;
  return out;
}

Result<std::vector<Signature>> read_notary_attestations(const ImageSource& source, const SignedImage& image,
                                                        const std::string& artifact_type) {
  std::vector<Signature> out;
  std::size_t looked_at = 0;
  const auto referrers = source.referrers(image.repository, image.digest);
  if (!referrers.ok() && referrers.error().code != ErrorCode::not_found) return referrers.error();
  for (const ImageReferrer& one : referrers.ok() ? *referrers : std::vector<ImageReferrer>{}) {
    if (one.artifact_type != artifact_type || looked_at++ >= kReferrersLookedAtMax) continue;
    const auto found = TRY(source.manifest(image.repository, one.digest));
    const Value manifest = TRY(json_of(found.bytes, kEnvelopeBytesMax));
    if (manifest["layers"].size() != 1) return cannot_read("an artifact of type " + artifact_type + " needs one layer");
    auto signatures = TRY(read_notary_signatures(source, {image.repository, one.digest}));
    if (signatures.empty()) continue;
    const std::string bytes =
        TRY(source.blob(image.repository, manifest["layers"][0]["digest"].str(), kPredicateBytesMax));
    const Value predicate = TRY(json_of(bytes, kPredicateBytesMax));
    for (Signature& signature : signatures) {
      signature.document = Value{{"predicateType", artifact_type}, {"predicate", predicate}};
      out.push_back(std::move(signature));
    }
  }
  return out;
}

Result<void> verify_notary_signature(const std::vector<Certificate>& trusted, const Signature& signature, Time now) {
  if (!signature.notary || signature.certificates.empty()) return not_good("it is no Notary signature");
  const Certificate& leaf = signature.certificates.front();
  const Key key(X509_get_pubkey(leaf.get()));
  if (!key) return not_good("the certificate's key can't be read");
  const auto algorithm = std::find_if(kAlgorithms.begin(), kAlgorithms.end(),
                                      [&](const Algorithm& one) { return one.name == signature.notary->algorithm; });
  if (algorithm == kAlgorithms.end() || EVP_PKEY_get_base_id(key.get()) != algorithm->key_type ||
      EVP_PKEY_get_bits(key.get()) != algorithm->key_bits)
    return not_good("algorithm \"" + signature.notary->algorithm + "\" is not one of the certificate's key");
  if (!holds_for(key.get(), *algorithm, signature)) return not_good("invalid signature");
  if (signature.notary->expiry && now >= *signature.notary->expiry)
    return not_good("the signature has expired at " + format_time(*signature.notary->expiry));
  if ((X509_get_key_usage(leaf.get()) & KU_DIGITAL_SIGNATURE) == 0)
    return not_good("the certificate's key is not for signatures");
  const std::vector<Certificate> between(signature.certificates.begin() + 1, signature.certificates.end());
  return verify_chain(leaf, between, trusted, now);
}

}  // namespace caisson::policy
