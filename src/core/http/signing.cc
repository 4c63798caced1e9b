// SPDX-License-Identifier: Apache-2.0
#include "core/http/signing.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <algorithm>

#include "core/http/openssl.h"

namespace caisson::http {
namespace {

constexpr Duration kBackdated = std::chrono::minutes(5);
constexpr int kSerialBytes = 16;

using RequestPtr = Owned<X509_REQ, X509_REQ_free>;
using NamesPtr = Owned<GENERAL_NAMES, GENERAL_NAMES_free>;
using ExtensionPtr = Owned<X509_EXTENSION, X509_EXTENSION_free>;
struct FreeExtensions {
  void operator()(STACK_OF(X509_EXTENSION) * list) const { sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free); }
};
using ExtensionsPtr = std::unique_ptr<STACK_OF(X509_EXTENSION), FreeExtensions>;

struct Usage {
  std::string_view kubernetes, openssl;
};
constexpr Usage kKeyUsages[] = {{"signing", "digitalSignature"},
                                {"digital signature", "digitalSignature"},
                                {"content commitment", "nonRepudiation"},
                                {"key encipherment", "keyEncipherment"},
                                {"key agreement", "keyAgreement"},
                                {"data encipherment", "dataEncipherment"},
                                {"cert sign", "keyCertSign"},
                                {"crl sign", "cRLSign"},
                                {"encipher only", "encipherOnly"},
                                {"decipher only", "decipherOnly"}};
constexpr Usage kExtendedUsages[] = {{"any", "anyExtendedKeyUsage"},
                                     {"server auth", "serverAuth"},
                                     {"client auth", "clientAuth"},
                                     {"code signing", "codeSigning"},
                                     {"email protection", "emailProtection"},
                                     {"s/mime", "emailProtection"},
                                     {"ipsec end system", "ipsecEndSystem"},
                                     {"ipsec tunnel", "ipsecTunnel"},
                                     {"ipsec user", "ipsecUser"},
                                     {"timestamping", "timeStamping"},
                                     {"ocsp signing", "OCSPSigning"},
                                     {"microsoft sgc", "msSGC"},
                                     {"netscape sgc", "nsSGC"}};

Result<RequestPtr> read_request(std::string_view pem) {
  const BioPtr bio = memory_bio(pem);
  RequestPtr request(PEM_read_bio_X509_REQ(bio.get(), nullptr, nullptr, nullptr));
  if (!request) return openssl_error("read the certificate signing request", ErrorCode::bad_request);
  EVP_PKEY* key = X509_REQ_get0_pubkey(request.get());
  if (key == nullptr || X509_REQ_verify(request.get(), key) != 1)
    return openssl_error("check the signature of the certificate signing request", ErrorCode::bad_request);
  return request;
}

NamesPtr alternative_names(X509_REQ* request) {
  const ExtensionsPtr extensions(X509_REQ_get_extensions(request));
  return NamesPtr(
      static_cast<GENERAL_NAMES*>(X509V3_get_d2i(extensions.get(), NID_subject_alt_name, nullptr, nullptr)));
}

std::string text_of(const ASN1_STRING* string) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
          static_cast<std::size_t>(ASN1_STRING_length(string))};
}

std::vector<std::string> entries_of(X509_NAME* subject, int nid) {
  std::vector<std::string> out;
  for (int at = -1; (at = X509_NAME_get_index_by_NID(subject, nid, at)) >= 0;) {
    unsigned char* utf8 = nullptr;
    const int size = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    if (size >= 0) out.emplace_back(reinterpret_cast<const char*>(utf8), static_cast<std::size_t>(size));
    OPENSSL_free(utf8);
  }
  return out;
}

void take_name(const GENERAL_NAME* name, SigningRequest& out) {
  if (name->type == GEN_DNS) out.dns_names.push_back(text_of(name->d.dNSName));
  if (name->type == GEN_EMAIL) out.emails.push_back(text_of(name->d.rfc822Name));
  if (name->type == GEN_URI) out.uris.push_back(text_of(name->d.uniformResourceIdentifier));
  if (name->type != GEN_IPADD) return;
  const int size = ASN1_STRING_length(name->d.iPAddress);
  char text[INET6_ADDRSTRLEN];
  if (size != 4 && size != 16) return;
  inet_ntop(size == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(name->d.iPAddress), text, sizeof text);
  out.ip_addresses.emplace_back(text);
}

// "digitalSignature,keyEncipherment" of those that `table` knows.
std::string usage_text(const std::vector<std::string>& usages, std::span<const Usage> table) {
  std::string out;
  for (const Usage& usage : table) {
    if (std::find(usages.begin(), usages.end(), usage.kubernetes) == usages.end()) continue;
    if (("," + out + ",").find("," + std::string(usage.openssl) + ",") != std::string::npos) continue;
    out += (out.empty() ? "" : ",") + std::string(usage.openssl);
  }
  return out;
}

Result<void> check_usages(const std::vector<std::string>& usages) {
  for (const std::string& usage : usages) {
    const auto same = [&](const Usage& one) { return one.kubernetes == usage; };
    if (std::none_of(std::begin(kKeyUsages), std::end(kKeyUsages), same) &&
        std::none_of(std::begin(kExtendedUsages), std::end(kExtendedUsages), same))
      return Error{ErrorCode::bad_request, "unrecognized usage value: " + usage};
  }
  return {};
}

Result<void> extend(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  if (!extension || X509_add_ext(certificate, extension.get(), -1) != 1)
    return openssl_error("certificate extension " + std::string(OBJ_nid2sn(nid)));
  return {};
}

time_t seconds_of(Time time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

}  // namespace

Result<SigningRequest> read_signing_request(std::string_view pem) {
  const RequestPtr request = TRY(read_request(pem));
  SigningRequest out;
  X509_NAME* subject = X509_REQ_get_subject_name(request.get());
  out.organizations = entries_of(subject, NID_organizationName);
  if (const auto names = entries_of(subject, NID_commonName); !names.empty()) out.common_name = names.back();
  const NamesPtr names = alternative_names(request.get());
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i)
    take_name(sk_GENERAL_NAME_value(names.get(), i), out);
  ERR_clear_error();
  return out;
}

Result<std::string> sign_request(const KeyPair& ca, std::string_view pem, const std::vector<std::string>& usages,
                                 Time now, Duration valid_for) {
  TRY(check_usages(usages));
  const RequestPtr request = TRY(read_request(pem));
  auto issuers = TRY(read_certificates(ca.certificate_pem));
  const KeyPtr key = TRY(read_private_key(ca.key_pem.reveal()));
  const Time ca_end = TRY(certificate_end(ca.certificate_pem));
  X509* issuer = issuers.front().get();
  const CertificatePtr made(X509_new());
  X509* certificate = made.get();
  X509_set_version(certificate, X509_VERSION_3);
  unsigned char serial[kSerialBytes];
  if (RAND_bytes(serial, sizeof serial) != 1) return openssl_error("random serial number");
  serial[0] &= 0x7f;
  const Owned<BIGNUM, BN_free> number(BN_bin2bn(serial, sizeof serial, nullptr));
  BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate));
  ASN1_TIME_set(X509_getm_notBefore(certificate), seconds_of(now - kBackdated));
  ASN1_TIME_set(X509_getm_notAfter(certificate), seconds_of(std::min(now + valid_for, ca_end)));
  X509_set_subject_name(certificate, X509_REQ_get_subject_name(request.get()));
  X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
  X509_set_pubkey(certificate, X509_REQ_get0_pubkey(request.get()));
  TRY(extend(certificate, issuer, NID_basic_constraints, "critical,CA:FALSE"));
  if (const std::string text = usage_text(usages, kKeyUsages); !text.empty())
    TRY(extend(certificate, issuer, NID_key_usage, "critical," + text));
  if (const std::string text = usage_text(usages, kExtendedUsages); !text.empty())
    TRY(extend(certificate, issuer, NID_ext_key_usage, text));
  TRY(extend(certificate, issuer, NID_authority_key_identifier, "keyid"));
  if (const NamesPtr names = alternative_names(request.get()); names)
    if (X509_add1_ext_i2d(certificate, NID_subject_alt_name, names.get(), 0, X509V3_ADD_DEFAULT) != 1)
      return openssl_error("certificate extension subjectAltName");
  if (X509_sign(certificate, key.get(), EVP_sha256()) == 0) return openssl_error("sign certificate");
  const BioPtr bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(bio.get(), certificate) != 1) return openssl_error("write certificate");
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<std::size_t>(size));
}

}  // namespace caisson::http
