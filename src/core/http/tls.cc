// SPDX-License-Identifier: Apache-2.0
#include "core/http/tls.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "core/http/openssl.h"

namespace caisson::http {
namespace {

constexpr int kCoordinateBytes = 32;  // of P-256

std::string bio_text(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

BioPtr new_bio() {
  return BioPtr(BIO_new(BIO_s_mem()));
}

Result<KeyPtr> new_key() {
  KeyPtr key(EVP_EC_gen("P-256"));
  if (!key) return openssl_error("make P-256 key");
  return key;
}

Result<std::string> private_key_text(EVP_PKEY* key) {
  const BioPtr bio = new_bio();
  if (PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return openssl_error("write private key");
  return bio_text(bio.get());
}

Result<std::string> certificate_text(X509* certificate) {
  const BioPtr bio = new_bio();
  if (PEM_write_bio_X509(bio.get(), certificate) != 1) return openssl_error("write certificate");
  return bio_text(bio.get());
}

Result<void> add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Owned<X509_EXTENSION, X509_EXTENSION_free> extension(
      X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  if (!extension || X509_add_ext(certificate, extension.get(), -1) != 1)
    return openssl_error("certificate extension " + std::string(OBJ_nid2sn(nid)));
  return {};
}

// Built by hand, not through OpenSSL's configuration text, so that a name with a comma stays a name.
Result<void> add_alternative_names(X509* certificate, const CertificateRequest& request) {
  if (request.dns_names.empty() && request.ip_addresses.empty()) return {};
  const Owned<GENERAL_NAMES, GENERAL_NAMES_free> names(GENERAL_NAMES_new());
  const auto add = [&](int type, std::string_view bytes) {
    ASN1_STRING* text = type == GEN_DNS ? ASN1_IA5STRING_new() : ASN1_OCTET_STRING_new();
    ASN1_STRING_set(text, bytes.data(), static_cast<int>(bytes.size()));
    GENERAL_NAME* name = GENERAL_NAME_new();
    GENERAL_NAME_set0_value(name, type, text);
    sk_GENERAL_NAME_push(names.get(), name);
  };
  for (const std::string& name : request.dns_names) add(GEN_DNS, name);
  for (const std::string& address : request.ip_addresses) {
    unsigned char bytes[16];
    const int family = address.find(':') == std::string::npos ? AF_INET : AF_INET6;
    if (inet_pton(family, address.c_str(), bytes) != 1)
      return Error{ErrorCode::bad_request, "'" + address + "' is not an IP address"};
    add(GEN_IPADD, {reinterpret_cast<const char*>(bytes), family == AF_INET ? 4u : 16u});
  }
  if (X509_add1_ext_i2d(certificate, NID_subject_alt_name, names.get(), 0, X509V3_ADD_DEFAULT) != 1)
    return openssl_error("certificate extension subjectAltName");
  return {};
}

Result<void> set_subject(X509* certificate, const CertificateRequest& request) {
  X509_NAME* subject = X509_get_subject_name(certificate);
  const auto add = [&](const char* field, const std::string& text) {
    return X509_NAME_add_entry_by_txt(subject, field, MBSTRING_UTF8,
                                      reinterpret_cast<const unsigned char*>(text.data()),
                                      static_cast<int>(text.size()), -1, 0) == 1;
  };
  for (const std::string& organization : request.organizations) {
    if (!add("O", organization)) return openssl_error("certificate subject O=" + organization, ErrorCode::bad_request);
  }
  if (!add("CN", request.common_name))
    return openssl_error("certificate subject CN=" + request.common_name, ErrorCode::bad_request);
  return {};
}

time_t seconds_of(Time time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

// Version, serial number, validity, subject and key; valid from five minutes ago, for clocks that disagree a little.
Result<CertificatePtr> new_certificate(const CertificateRequest& request, EVP_PKEY* key, Time now) {
  CertificatePtr certificate(X509_new());
  X509_set_version(certificate.get(), X509_VERSION_3);
  unsigned char serial[16];
  if (RAND_bytes(serial, sizeof serial) != 1) return openssl_error("random serial number");
  serial[0] &= 0x7f;
  const Owned<BIGNUM, BN_free> number(BN_bin2bn(serial, sizeof serial, nullptr));
  BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate.get()));
  ASN1_TIME_set(X509_getm_notBefore(certificate.get()), seconds_of(now) - 300);
  ASN1_TIME_set(X509_getm_notAfter(certificate.get()), seconds_of(now + request.valid_for));
  TRY(set_subject(certificate.get(), request));
  X509_set_pubkey(certificate.get(), key);
  return certificate;
}

Result<KeyPair> finish(CertificatePtr certificate, const KeyPtr& key, EVP_PKEY* signer) {
  if (X509_sign(certificate.get(), signer, EVP_sha256()) == 0) return openssl_error("sign certificate");
  KeyPair pair;
  pair.certificate_pem = TRY(certificate_text(certificate.get()));
  std::string text = TRY(private_key_text(key.get()));
  pair.key_pem = SecretBytes(std::move(text));
  return pair;
}

Result<KeyPtr> read_public_key(std::string_view pem) {
  if (pem.find("BEGIN CERTIFICATE") != std::string_view::npos) {
    auto chain = TRY(read_certificates(pem));
    KeyPtr key(X509_get_pubkey(chain.front().get()));
    if (!key) return openssl_error("read the certificate's public key", ErrorCode::bad_request);
    return key;
  }
  const BioPtr bio = memory_bio(pem);
  KeyPtr key(PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr));
  if (!key) return openssl_error("read public key", ErrorCode::bad_request);
  return key;
}

using DigestPtr = Owned<EVP_MD_CTX, EVP_MD_CTX_free>;
using EcdsaPtr = Owned<ECDSA_SIG, ECDSA_SIG_free>;

}  // namespace

Result<KeyPair> make_ca(const std::string& common_name, Time now, Duration valid_for) {
  const KeyPtr key = TRY(new_key());
  CertificateRequest request;
  request.common_name = common_name;
  request.valid_for = valid_for;
  CertificatePtr certificate = TRY(new_certificate(request, key.get(), now));
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(certificate.get()));
  X509* self = certificate.get();
  TRY(add_extension(self, self, NID_basic_constraints, "critical,CA:TRUE"));
  TRY(add_extension(self, self, NID_key_usage, "critical,keyCertSign,cRLSign,digitalSignature"));
  TRY(add_extension(self, self, NID_subject_key_identifier, "hash"));
  return finish(std::move(certificate), key, key.get());
}

Result<KeyPair> make_certificate(const KeyPair& ca, const CertificateRequest& request, Time now) {
  auto issuers = TRY(read_certificates(ca.certificate_pem));
  const KeyPtr issuer_key = TRY(read_private_key(ca.key_pem.reveal()));
  const KeyPtr key = TRY(new_key());
  CertificatePtr certificate = TRY(new_certificate(request, key.get(), now));
  X509* issuer = issuers.front().get();
  X509* self = certificate.get();
  X509_set_issuer_name(self, X509_get_subject_name(issuer));
  TRY(add_extension(self, issuer, NID_basic_constraints, "critical,CA:FALSE"));
  TRY(add_extension(self, issuer, NID_key_usage, "critical,digitalSignature"));
  std::string usage = request.server ? "serverAuth" : "";
  if (request.client) usage += usage.empty() ? "clientAuth" : ",clientAuth";
  if (!usage.empty()) TRY(add_extension(self, issuer, NID_ext_key_usage, usage));
  TRY(add_extension(self, issuer, NID_authority_key_identifier, "keyid"));
  TRY(add_alternative_names(self, request));
  return finish(std::move(certificate), key, issuer_key.get());
}

Result<Time> certificate_end(std::string_view certificate_pem) {
  auto chain = TRY(read_certificates(certificate_pem));
  std::tm parts{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(chain.front().get()), &parts) != 1)
    return openssl_error("read the certificate's end", ErrorCode::bad_request);
  return Time(std::chrono::seconds(timegm(&parts)));
}

Result<std::vector<std::string>> certificate_names(std::string_view certificate_pem) {
  auto chain = TRY(read_certificates(certificate_pem));
  std::vector<std::string> out;
  const Owned<GENERAL_NAMES, GENERAL_NAMES_free> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(chain.front().get(), NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_DNS) {
      out.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                       static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName)));
    } else if (name->type == GEN_IPADD) {
      char text[INET6_ADDRSTRLEN];
      const int size = ASN1_STRING_length(name->d.iPAddress);
      inet_ntop(size == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(name->d.iPAddress), text, sizeof text);
      if (size == 4 || size == 16) out.emplace_back(text);
    }
  }
  return out;
}

Result<std::string> sign_es256(const SecretBytes& key_pem, std::string_view message) {
  const KeyPtr key = TRY(read_private_key(key_pem.reveal()));
  const DigestPtr context(EVP_MD_CTX_new());
  std::size_t size = 0;
  const auto* bytes = reinterpret_cast<const unsigned char*>(message.data());
  if (EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()) != 1 ||
      EVP_DigestSign(context.get(), nullptr, &size, bytes, message.size()) != 1)
    return openssl_error("sign");
  std::vector<unsigned char> der(size);
  if (EVP_DigestSign(context.get(), der.data(), &size, bytes, message.size()) != 1) return openssl_error("sign");
  const unsigned char* at = der.data();
  const EcdsaPtr signature(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(size)));
  unsigned char raw[2 * kCoordinateBytes];
  if (!signature || BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), raw, kCoordinateBytes) != kCoordinateBytes ||
      BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), raw + kCoordinateBytes, kCoordinateBytes) != kCoordinateBytes)
    return openssl_error("sign: not a P-256 signature", ErrorCode::bad_request);
  return std::string(reinterpret_cast<const char*>(raw), sizeof raw);
}

Result<bool> verify_es256(std::string_view certificate_or_public_key_pem, std::string_view message,
                          std::string_view signature) {
  if (signature.size() != 2 * kCoordinateBytes) return false;
  const KeyPtr key = TRY(read_public_key(certificate_or_public_key_pem));
  const auto* raw = reinterpret_cast<const unsigned char*>(signature.data());
  const EcdsaPtr parts(ECDSA_SIG_new());
  ECDSA_SIG_set0(parts.get(), BN_bin2bn(raw, kCoordinateBytes, nullptr),
                 BN_bin2bn(raw + kCoordinateBytes, kCoordinateBytes, nullptr));
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(parts.get(), &der);
  if (size < 0) return openssl_error("verify signature");
  const DigestPtr context(EVP_MD_CTX_new());
  int verdict = -1;
  if (EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()) == 1) {
    verdict = EVP_DigestVerify(context.get(), der, static_cast<std::size_t>(size),
                               reinterpret_cast<const unsigned char*>(message.data()), message.size());
  }
  OPENSSL_free(der);
  if (verdict == 1) return true;
  const Error error = openssl_error("verify signature");  // also clears the queue, which a false signature fills
  if (verdict < 0) return error;
  return false;
}

Result<std::string> make_key_pem() {
  const KeyPtr key = TRY(new_key());
  return private_key_text(key.get());
}

Result<std::string> public_key_pem(const SecretBytes& key_pem) {
  const KeyPtr key = TRY(read_private_key(key_pem.reveal()));
  const BioPtr bio = new_bio();
  if (PEM_write_bio_PUBKEY(bio.get(), key.get()) != 1) return openssl_error("write public key");
  return bio_text(bio.get());
}

}  // namespace caisson::http
