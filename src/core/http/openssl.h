// SPDX-License-Identifier: Apache-2.0
// The few things of OpenSSL that both ends and the certificate maker share: owners, PEM in and out, error text.
// Internal to the room.
#pragma once
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <string>
#include <string_view>
#include <vector>

#include "core/base/owner.h"
#include "core/base/result.h"
#include "core/http/server.h"

namespace caisson::http {

using KeyPtr = Owned<EVP_PKEY, EVP_PKEY_free>;
using CertificatePtr = Owned<X509, X509_free>;
using BioPtr = Owned<BIO, BIO_free_all>;
using SslContextPtr = Owned<SSL_CTX, SSL_CTX_free>;
using SslPtr = Owned<SSL, SSL_free>;

// `what` and the newest entry of OpenSSL's queue, which is cleared.
Error openssl_error(std::string_view what, ErrorCode code = ErrorCode::internal);

BioPtr memory_bio(std::string_view bytes);
Result<KeyPtr> read_private_key(std::string_view pem);
Result<std::vector<CertificatePtr>> read_certificates(std::string_view pem);  // at least one
// Entries of a subject by NID, in order.
std::vector<std::string> subject_entries(X509* certificate, int nid);

Result<SslContextPtr> server_context(const TlsOptions& options);
struct ClientTls {
  std::string ca_pem, certificate_pem, key_pem;
  bool verify = true;
};
Result<SslContextPtr> client_context(const ClientTls& options);

}  // namespace caisson::http
