// SPDX-License-Identifier: Apache-2.0
#include "core/expr/jmespath/x509.h"
#include "core/base/owner.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "core/base/encoding.h"

namespace caisson::jmespath {
namespace {

using Bio = Owned<BIO, BIO_free>;
using Certificate = Owned<X509, X509_free>;
using CertificateRequest = Owned<X509_REQ, X509_REQ_free>;
using BigNumber = Owned<BIGNUM, BN_free>;
using Key = Owned<EVP_PKEY, EVP_PKEY_free>;
void free_names(GENERAL_NAMES* names) {
  GENERAL_NAMES_free(names);
}
using Names = Owned<GENERAL_NAMES, free_names>;

Error bad(std::string_view why) {
  ERR_clear_error();
  return {ErrorCode::bad_request, std::string(why)};
}

std::string decimal(const BIGNUM* number) {
  char* text = BN_bn2dec(number);
  std::string out = text == nullptr ? "" : text;
  OPENSSL_free(text);
  return out;
}

Result<Value> public_key(EVP_PKEY* key) {
  if (key == nullptr || EVP_PKEY_base_id(key) != EVP_PKEY_RSA) return bad("certificate should use rsa algorithm");
  BIGNUM *n = nullptr, *e = nullptr;
  EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n);
  EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e);
  const BigNumber modulus(n), exponent(e);
  if (!modulus || !exponent) return bad("failed to parse subject public key info");
  return Value{{"N", decimal(modulus.get())}, {"E", static_cast<std::int64_t>(BN_get_word(exponent.get()))}};
}

std::string text_of(const ASN1_STRING* text) {
  unsigned char* bytes = nullptr;
  const int length = ASN1_STRING_to_UTF8(&bytes, text);
  std::string out = length > 0 ? std::string(reinterpret_cast<char*>(bytes), static_cast<std::size_t>(length)) : "";
  OPENSSL_free(bytes);
  return out;
}

// pkix.Name: lists are null when the name has none.
Value name_of(const X509_NAME* name) {
  struct Member {
    const char* key;
    int nid;
    bool list;
  };
  static constexpr Member kMembers[] = {{"Country", NID_countryName, true},
                                        {"Organization", NID_organizationName, true},
                                        {"OrganizationalUnit", NID_organizationalUnitName, true},
                                        {"Locality", NID_localityName, true},
                                        {"Province", NID_stateOrProvinceName, true},
                                        {"StreetAddress", NID_streetAddress, true},
                                        {"PostalCode", NID_postalCode, true},
                                        {"SerialNumber", NID_serialNumber, false},
                                        {"CommonName", NID_commonName, false}};
  Value out = Value::map();
  for (const Member& member : kMembers) {
    Value values;
    std::string last;
    for (int at = -1; (at = X509_NAME_get_index_by_NID(const_cast<X509_NAME*>(name), member.nid, at)) >= 0;) {
      last = text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
      if (member.list) values.push_back(last);
    }
    out.set(member.key, member.list ? values : Value(last));
  }
  return out;
}

std::string time_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return "";
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

std::string bytes_of(const ASN1_OCTET_STRING* string) {
  if (string == nullptr) return "";
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
          static_cast<std::size_t>(ASN1_STRING_length(string))};
}

std::string address_text(const ASN1_OCTET_STRING* address) {
  const auto* bytes = ASN1_STRING_get0_data(address);
  std::string out;
  for (int i = 0; i < ASN1_STRING_length(address); ++i) out += (i == 0 ? "" : ".") + std::to_string(bytes[i]);
  return out;
}

void add_names(const GENERAL_NAMES* names, Value& out) {
  Value dns, mail, addresses;
  for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type == GEN_DNS) dns.push_back(text_of(name->d.dNSName));
    if (name->type == GEN_EMAIL) mail.push_back(text_of(name->d.rfc822Name));
    if (name->type == GEN_IPADD && ASN1_STRING_length(name->d.iPAddress) == 4)
      addresses.push_back(address_text(name->d.iPAddress));
  }
  out.set("DNSNames", dns).set("EmailAddresses", mail).set("IPAddresses", addresses);
}

// x509.PublicKeyAlgorithm and SignatureAlgorithm of Go, which writes them as numbers.
constexpr std::int64_t kGoRsa = 1;
std::int64_t signature_algorithm(int nid) {
  switch (nid) {
    case NID_md5WithRSAEncryption:
      return 2;
    case NID_sha1WithRSAEncryption:
      return 3;
    case NID_sha256WithRSAEncryption:
      return 4;
    case NID_sha384WithRSAEncryption:
      return 5;
    case NID_sha512WithRSAEncryption:
      return 6;
    case NID_ecdsa_with_SHA256:
      return 10;
    default:
      return 0;
  }
}

Result<Value> decode_certificate(BIO* bio) {
  const Certificate certificate(PEM_read_bio_X509(bio, nullptr, nullptr, nullptr));
  if (!certificate) return bad("malformed certificate");
  const X509* x = certificate.get();
  Value key = TRY(public_key(X509_get0_pubkey(x)));
  const BigNumber serial(ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), nullptr));
  Value out{{"Version", X509_get_version(x) + 1},
            {"SerialNumber", Value::number(0.0, decimal(serial.get()))},
            {"PublicKeyAlgorithm", kGoRsa},
            {"PublicKey", std::move(key)},
            {"SignatureAlgorithm", signature_algorithm(X509_get_signature_nid(x))},
            {"Issuer", name_of(X509_get_issuer_name(x))},
            {"Subject", name_of(X509_get_subject_name(x))},
            {"NotBefore", time_of(X509_get0_notBefore(x))},
            {"NotAfter", time_of(X509_get0_notAfter(x))}};
  const std::uint32_t flags = X509_get_extension_flags(certificate.get());
  const std::uint32_t usage = X509_get_key_usage(certificate.get());
  std::int64_t go_usage = 0;  // Go counts the bits from the first one of the ASN.1 string
  static constexpr std::uint32_t kUsages[] = {KU_DIGITAL_SIGNATURE, KU_NON_REPUDIATION, KU_KEY_ENCIPHERMENT,
                                              KU_DATA_ENCIPHERMENT, KU_KEY_AGREEMENT,   KU_KEY_CERT_SIGN,
                                              KU_CRL_SIGN,          KU_ENCIPHER_ONLY,   KU_DECIPHER_ONLY};
  for (std::size_t i = 0; i < std::size(kUsages) && usage != UINT32_MAX; ++i)
    if ((usage & kUsages[i]) != 0) go_usage |= std::int64_t{1} << i;
  out.set("KeyUsage", go_usage)
      .set("IsCA", (flags & EXFLAG_CA) != 0)
      .set("BasicConstraintsValid", (flags & EXFLAG_BCONS) != 0)
      .set("SubjectKeyId", base64(bytes_of(X509_get0_subject_key_id(certificate.get()))))
      .set("AuthorityKeyId", base64(bytes_of(X509_get0_authority_key_id(certificate.get()))));
  const Names names(static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(x, NID_subject_alt_name, nullptr, nullptr)));
  add_names(names.get(), out);
  return out;
}

Result<Value> decode_request(BIO* bio) {
  const CertificateRequest request(PEM_read_bio_X509_REQ(bio, nullptr, nullptr, nullptr));
  if (!request) return bad("malformed certificate request");
  Value key = TRY(public_key(X509_REQ_get0_pubkey(request.get())));
  Value out{{"Version", X509_REQ_get_version(request.get())},
            {"PublicKeyAlgorithm", kGoRsa},
            {"PublicKey", std::move(key)},
            {"SignatureAlgorithm", signature_algorithm(X509_REQ_get_signature_nid(request.get()))},
            {"Subject", name_of(X509_REQ_get_subject_name(request.get()))}};
  STACK_OF(X509_EXTENSION)* extensions = X509_REQ_get_extensions(request.get());
  const Names names(static_cast<GENERAL_NAMES*>(X509V3_get_d2i(extensions, NID_subject_alt_name, nullptr, nullptr)));
  add_names(names.get(), out);
  sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
  return out;
}

}  // namespace

Result<Value> decode_x509(std::string_view pem) {
  const std::size_t begin = pem.find("-----BEGIN ");
  if (begin == std::string_view::npos) return bad("failed to decode PEM block");
  pem.remove_prefix(begin);
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (!bio) return bad("out of memory");
  if (pem.starts_with("-----BEGIN CERTIFICATE-----")) return decode_certificate(bio.get());
  if (pem.starts_with("-----BEGIN CERTIFICATE REQUEST-----")) return decode_request(bio.get());
  return bad("PEM block neither contains a CERTIFICATE or CERTIFICATE REQUEST");
}

}  // namespace caisson::jmespath
