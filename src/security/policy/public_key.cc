// SPDX-License-Identifier: Apache-2.0
#include "security/policy/public_key.h"
#include "core/base/owner.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "core/base/hash.h"

namespace caisson::policy {
namespace {

constexpr std::size_t kPemBytesMax = 1u << 20;

using Bio = Owned<BIO, BIO_free>;

Error bad(std::string why) {
  ERR_clear_error();
  return {ErrorCode::bad_request, std::move(why)};
}

PublicKey owned(EVP_PKEY* key) {
  return PublicKey(std::shared_ptr<evp_pkey_st>(key, EVP_PKEY_free));
}

const EVP_MD* digest_of(std::string_view hash) {
  if (hash.empty() || hash == "sha256") return EVP_sha256();
  if (hash == "sha224") return EVP_sha224();
  if (hash == "sha384") return EVP_sha384();
  if (hash == "sha512") return EVP_sha512();
  return nullptr;
}

const unsigned char* raw(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

}  // namespace

Result<PublicKey> PublicKey::parse(std::string_view pem) {
  if (pem.size() > kPemBytesMax) return bad("the key is too large");
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (!bio) return bad("out of memory");
  if (pem.find("-----BEGIN CERTIFICATE-----") != std::string_view::npos) {
    const Owned<X509, X509_free> certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    EVP_PKEY* key = certificate ? X509_get_pubkey(certificate.get()) : nullptr;
    if (key == nullptr) return bad("the certificate can't be read");
    return owned(key);
  }
  EVP_PKEY* key = PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr);
  if (key == nullptr) return bad("there is no public key in PEM");
  return owned(key);
}

Result<std::vector<PublicKey>> PublicKey::parse_all(std::string_view pem) {
  constexpr std::string_view kEnd = "-----END PUBLIC KEY-----";
  std::vector<PublicKey> out;
  for (std::size_t end; (end = pem.find(kEnd)) != std::string_view::npos; pem.remove_prefix(end + kEnd.size()))
    out.push_back(TRY(parse(pem.substr(0, end + kEnd.size()))));
  if (out.empty()) return bad("there is no public key in PEM");
  return out;
}

bool PublicKey::verifies(std::string_view message, std::string_view signature, std::string_view hash) const {
  const int kind = EVP_PKEY_get_base_id(key_.get());
  const bool has_own_hash = kind == EVP_PKEY_ED25519 || kind == EVP_PKEY_ED448;
  const EVP_MD* digest = has_own_hash ? nullptr : digest_of(hash);
  if (digest == nullptr && !has_own_hash) return false;
  const Owned<EVP_MD_CTX, EVP_MD_CTX_free> context(EVP_MD_CTX_new());
  const bool ok = context && EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, key_.get()) == 1 &&
                  EVP_DigestVerify(context.get(), raw(signature), signature.size(), raw(message), message.size()) == 1;
  ERR_clear_error();
  return ok;
}

std::string PublicKey::fingerprint() const {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key_.get(), &der);
  if (size <= 0) return "";
  const std::string out = sha256_hex({reinterpret_cast<const char*>(der), static_cast<std::size_t>(size)});
  OPENSSL_free(der);
  return out;
}

}  // namespace caisson::policy
