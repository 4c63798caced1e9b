// SPDX-License-Identifier: Apache-2.0
#include <openssl/bio.h>
#include <openssl/dsa.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "core/base/check.h"
#include "core/base/owner.h"
#include "core/base/random.h"
#include "core/expr/go_template/sprig/certificates.h"
#include "core/expr/go_template/sprig/convert.h"

namespace caisson::go_template::sprig {
namespace {

using Certificate = Owned<X509, X509_free>;
using Parameters = Owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;

struct Memory {
  BIO* const bio;
  explicit Memory(std::string_view text) : bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))) {}
  Memory() : bio(BIO_new(BIO_s_mem())) {}
  ~Memory() { BIO_free(bio); }
  std::string str() const {
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    return std::string(data, static_cast<std::size_t>(size));
  }
};

std::string last_error() {
  char text[256];
  ERR_error_string_n(ERR_get_error(), text, sizeof text);
  ERR_clear_error();
  return text;
}

// The type of the first PEM block: "RSA PRIVATE KEY".
std::string pem_type(std::string_view pem) {
  constexpr std::string_view kBegin = "-----BEGIN ";
  const std::size_t begin = pem.find(kBegin);
  if (begin == std::string_view::npos) return "";
  const std::size_t end = pem.find("-----", begin + kBegin.size());
  return end == std::string_view::npos ? ""
                                       : std::string(pem.substr(begin + kBegin.size(), end - begin - kBegin.size()));
}

Result<Certificate> read_certificate(std::string_view pem, std::string_view what) {
  const Memory memory(pem);
  Certificate certificate(PEM_read_bio_X509(memory.bio, nullptr, nullptr, nullptr));
  if (certificate) return certificate;
  const std::string problem = last_error();
  if (pem_type(pem).empty()) return invalid("unable to decode certificate");
  return invalid("error parsing certificate: " + std::string(what) + ": " + problem);
}

Result<void> add_extension(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_nconf_nid(nullptr, &context, kind, value.c_str());
  if (!extension) return invalid("error creating certificate: " + last_error());
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
  return {};
}

// Names may hold any character, so they do not go through the text form that libcrypto parses.
Result<void> add_alternative_names(X509* certificate, const CertificateRequest& request) {
  if (request.names.empty() && request.addresses.empty()) return {};
  GENERAL_NAMES* names = GENERAL_NAMES_new();
  const auto add = [&](int type, ASN1_STRING* value) {
    GENERAL_NAME* name = GENERAL_NAME_new();
    GENERAL_NAME_set0_value(name, type, value);
    sk_GENERAL_NAME_push(names, name);
  };
  for (const std::string& text : request.names) {
    ASN1_IA5STRING* value = ASN1_IA5STRING_new();
    ASN1_STRING_set(value, text.data(), static_cast<int>(text.size()));
    add(GEN_DNS, value);
  }
  for (const std::string& text : request.addresses) add(GEN_IPADD, a2i_IPADDRESS(text.c_str()));
  const int added = X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, 0);
  GENERAL_NAMES_free(names);
  if (added != 1) return invalid("error creating certificate: " + last_error());
  return {};
}

void set_serial(X509* certificate) {
  std::string bytes = random_bytes(16);
  BIGNUM* number =
      BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()), nullptr);
  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
  BN_free(number);
}

Result<CertificatePair> issue(const CertificateRequest& request, const PrivateKey& key, X509* issuer,
                              const PrivateKey& issuer_key) {
  constexpr std::int64_t kDay = 86'400;
  Certificate certificate(X509_new());
  X509* const x = certificate.get();
  X509_set_version(x, X509_VERSION_3);
  set_serial(x);
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(request.now.time_since_epoch()).count();
  ASN1_TIME_set(X509_getm_notBefore(x), now);
  ASN1_TIME_set(X509_getm_notAfter(x), now + request.days_valid * kDay);
  X509_NAME* name = X509_get_subject_name(x);
  X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(request.common_name.data()),
                             static_cast<int>(request.common_name.size()), -1, 0);
  X509_set_issuer_name(x, issuer ? X509_get_subject_name(issuer) : name);
  if (X509_set_pubkey(x, key.get()) != 1) return invalid("error creating certificate: " + last_error());
  const std::string usage = "critical,digitalSignature,keyEncipherment";
  TRY(add_extension(x, issuer, NID_key_usage, request.is_authority ? usage + ",keyCertSign" : usage));
  TRY(add_extension(x, issuer, NID_ext_key_usage, "serverAuth,clientAuth"));
  TRY(add_extension(x, issuer, NID_basic_constraints, request.is_authority ? "critical,CA:TRUE" : "critical,CA:FALSE"));
  if (request.is_authority) TRY(add_extension(x, x, NID_subject_key_identifier, "hash"));
  const bool issuer_has_id = issuer && X509_get_ext_by_NID(issuer, NID_subject_key_identifier, -1) >= 0;
  if (issuer_has_id) TRY(add_extension(x, issuer, NID_authority_key_identifier, "keyid"));
  TRY(add_alternative_names(x, request));
  const bool is_ed25519 = EVP_PKEY_is_a(issuer_key.get(), "ED25519") == 1;
  if (X509_sign(x, issuer_key.get(), is_ed25519 ? nullptr : EVP_sha256()) <= 0) {
    return invalid("error creating certificate: " + last_error());
  }
  const Memory memory;
  CHECK(PEM_write_bio_X509(memory.bio, x) == 1);
  return CertificatePair{memory.str(), key.pem()};
}

EVP_PKEY* generate_dsa() {
  const Parameters parameters(EVP_PKEY_CTX_new_from_name(nullptr, "DSA", nullptr));
  EVP_PKEY* form = nullptr;
  if (EVP_PKEY_paramgen_init(parameters.get()) <= 0 ||
      EVP_PKEY_CTX_set_dsa_paramgen_bits(parameters.get(), 2'048) <= 0 ||
      EVP_PKEY_CTX_set_dsa_paramgen_q_bits(parameters.get(), 256) <= 0 ||
      EVP_PKEY_paramgen(parameters.get(), &form) <= 0) {
    return nullptr;
  }
  const Parameters keys(EVP_PKEY_CTX_new(form, nullptr));
  EVP_PKEY* key = nullptr;
  if (EVP_PKEY_keygen_init(keys.get()) > 0) EVP_PKEY_keygen(keys.get(), &key);
  EVP_PKEY_free(form);
  return key;
}

}  // namespace

PrivateKey::PrivateKey(evp_pkey_st* key) : key_(key, EVP_PKEY_free) {}

Result<PrivateKey> PrivateKey::generate(std::string_view type, unsigned rsa_bits) {
  EVP_PKEY* key = nullptr;
  if (type.empty() || type == "rsa") key = EVP_RSA_gen(rsa_bits);
  if (type == "ecdsa") key = EVP_EC_gen("P-256");
  if (type == "ed25519") key = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
  if (type == "dsa") key = generate_dsa();
  if (!key) return invalid(last_error());
  return PrivateKey(key);
}

Result<PrivateKey> PrivateKey::parse(std::string_view pem) {
  const std::string type = pem_type(pem);
  constexpr std::string_view kSuffix = "PRIVATE KEY";
  if (type.empty()) return invalid("no PEM data in input");
  if (!type.ends_with(kSuffix)) return invalid("no private key data in PEM block of type " + type);
  const bool known =
      type == kSuffix || type == "RSA PRIVATE KEY" || type == "EC PRIVATE KEY" || type == "DSA PRIVATE KEY";
  if (!known) return invalid("invalid private key type " + type.substr(0, type.size() - kSuffix.size() - 1));
  const Memory memory(pem);
  EVP_PKEY* key = PEM_read_bio_PrivateKey(memory.bio, nullptr, nullptr, nullptr);
  if (key) return PrivateKey(key);
  const std::string problem = last_error();
  if (type == kSuffix) return invalid("decoding PEM as PKCS#8: " + problem);
  return invalid("parsing " + type.substr(0, type.find(' ')) + " private key from PEM: " + problem);
}

std::string PrivateKey::pem() const {
  const Memory memory;
  if (EVP_PKEY_is_a(key_.get(), "ED25519") == 1) {
    CHECK(PEM_write_bio_PKCS8PrivateKey(memory.bio, key_.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1);
  } else {
    CHECK(PEM_write_bio_PrivateKey_traditional(memory.bio, key_.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1);
  }
  return memory.str();
}

Result<CertificatePair> self_signed(const CertificateRequest& request, const PrivateKey& key) {
  return issue(request, key, nullptr, key);
}

Result<CertificatePair> signed_by(const CertificateRequest& request, const PrivateKey& key,
                                  const CertificatePair& authority) {
  const Certificate issuer = TRY(read_certificate(authority.certificate, "decodedSignerCert.Bytes"));
  const PrivateKey issuer_key = TRY(PrivateKey::parse(authority.key).in("error parsing private key"));
  return issue(request, key, issuer.get(), issuer_key);
}

Result<void> check_certificate(std::string_view pem) {
  TRY(read_certificate(pem, "decodedCert.Bytes"));
  return {};
}

}  // namespace caisson::go_template::sprig
