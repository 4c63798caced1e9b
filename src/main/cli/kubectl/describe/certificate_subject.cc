// SPDX-License-Identifier: Apache-2.0
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>

#include "core/base/owner.h"
#include "core/base/text.h"
#include "main/cli/kubectl/describe/describe.h"

namespace caisson::cli::kubectl {
namespace {

using Bio = Owned<BIO, BIO_free_all>;
using Request = Owned<X509_REQ, X509_REQ_free>;

std::string text_of(const ASN1_STRING* value) {
  unsigned char* bytes = nullptr;
  const int size = ASN1_STRING_to_UTF8(&bytes, value);
  if (size < 0) return "";
  const std::string out(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
  OPENSSL_free(bytes);
  return out;
}

std::vector<std::string> entries(const X509_NAME* name, int nid) {
  std::vector<std::string> out;
  for (int at = -1; (at = X509_NAME_get_index_by_NID(name, nid, at)) >= 0;)
    out.push_back(text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at))));
  return out;
}

std::string address_text(const ASN1_OCTET_STRING* address) {
  const unsigned char* bytes = ASN1_STRING_get0_data(address);
  std::vector<std::string> parts;
  if (ASN1_STRING_length(address) == 4) {
    for (int i = 0; i < 4; ++i) parts.push_back(std::to_string(bytes[i]));
    return join(parts, ".");
  }
  for (int i = 0; i + 1 < ASN1_STRING_length(address); i += 2) {
    char group[8];
    std::snprintf(group, sizeof group, "%x", bytes[i] << 8 | bytes[i + 1]);
    parts.emplace_back(group);
  }
  return join(parts, ":");
}

struct Names {
  std::vector<std::string> dns, mail, uris, addresses;
};
Names alternative_names(X509_REQ* request) {
  Names out;
  STACK_OF(X509_EXTENSION)* extensions = X509_REQ_get_extensions(request);
  auto* names = static_cast<GENERAL_NAMES*>(X509V3_get_d2i(extensions, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type == GEN_DNS) out.dns.push_back(text_of(name->d.dNSName));
    if (name->type == GEN_EMAIL) out.mail.push_back(text_of(name->d.rfc822Name));
    if (name->type == GEN_URI) out.uris.push_back(text_of(name->d.uniformResourceIdentifier));
    if (name->type == GEN_IPADD) out.addresses.push_back(address_text(name->d.iPAddress));
  }
  GENERAL_NAMES_free(names);
  sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
  return out;
}

void put_list(Page& page, std::string_view title, const std::vector<std::string>& values) {
  if (!values.empty()) page.put(0, "\t" + std::string(title) + ":\t" + join(values, "\n\t\t") + "\n");
}

}  // namespace

void put_subject(Page& page, const std::string& pem) {
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const Request request(PEM_read_bio_X509_REQ(bio.get(), nullptr, nullptr, nullptr));
  if (!request) return page.put(0, "Error parsing CSR: it is no PEM certificate request\n");
  const X509_NAME* subject = X509_REQ_get_subject_name(request.get());
  page.put(0, "Subject:\n");
  page.put(0, "\tCommon Name:\t" + join(entries(subject, NID_commonName), ", ") + "\n");
  page.put(0, "\tSerial Number:\t" + join(entries(subject, NID_serialNumber), ", ") + "\n");
  put_list(page, "Organization", entries(subject, NID_organizationName));
  put_list(page, "Organizational Unit", entries(subject, NID_organizationalUnitName));
  put_list(page, "Country", entries(subject, NID_countryName));
  put_list(page, "Locality", entries(subject, NID_localityName));
  put_list(page, "Province", entries(subject, NID_stateOrProvinceName));
  const Names names = alternative_names(request.get());
  if (names.dns.empty() && names.mail.empty() && names.uris.empty() && names.addresses.empty()) return;
  page.put(0, "Subject Alternative Names:\n");
  put_list(page, "DNS Names", names.dns);
  put_list(page, "Email Addresses", names.mail);
  put_list(page, "URIs", names.uris);
  put_list(page, "IP Addresses", names.addresses);
}

}  // namespace caisson::cli::kubectl
