// SPDX-License-Identifier: Apache-2.0
#include "core/http/openssl.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstring>

namespace caisson::http {

Error openssl_error(std::string_view what, ErrorCode code) {
  const unsigned long number = ERR_peek_last_error();
  ERR_clear_error();
  std::string message(what);
  if (number != 0) {
    char text[256];
    ERR_error_string_n(number, text, sizeof text);
    const char* reason = ERR_reason_error_string(number);
    message += ": " + std::string(reason != nullptr ? reason : text);
  }
  return Error{code, std::move(message)};
}

BioPtr memory_bio(std::string_view bytes) {
  return BioPtr(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
}

Result<KeyPtr> read_private_key(std::string_view pem) {
  const BioPtr bio = memory_bio(pem);
  KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  if (!key) return openssl_error("read private key", ErrorCode::bad_request);
  return key;
}

Result<std::vector<CertificatePtr>> read_certificates(std::string_view pem) {
  const BioPtr bio = memory_bio(pem);
  std::vector<CertificatePtr> out;
  while (X509* certificate = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) out.emplace_back(certificate);
  if (out.empty()) return openssl_error("read certificate", ErrorCode::bad_request);
  ERR_clear_error();  // the end of the text leaves "no start line"
  return out;
}

std::vector<std::string> subject_entries(X509* certificate, int nid) {
  std::vector<std::string> out;
  const X509_NAME* subject = X509_get_subject_name(certificate);
  for (int at = X509_NAME_get_index_by_NID(subject, nid, -1); at >= 0;
       at = X509_NAME_get_index_by_NID(subject, nid, at)) {
    unsigned char* text = nullptr;
    const int size = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    if (size >= 0) out.emplace_back(reinterpret_cast<const char*>(text), static_cast<std::size_t>(size));
    OPENSSL_free(text);
  }
  return out;
}

namespace {

// HTTP/1.1 is all we speak: a client that offers protocols without it must hear so (RFC 7301 §3.2).
int select_alpn(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in, unsigned in_size,
                void*) {
  static constexpr unsigned char kHttp11[] = "http/1.1";
  for (unsigned at = 0; at + 1 + in[at] <= in_size; at += 1 + in[at]) {
    if (in[at] == 8 && std::memcmp(in + at + 1, kHttp11, 8) == 0) {
      *out = in + at + 1;
      *out_size = 8;
      return SSL_TLSEXT_ERR_OK;
    }
    if (at + 1 + in[at] == in_size) break;
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

Result<void> use_certificate(SSL_CTX* context, std::string_view certificate_pem, std::string_view key_pem) {
  auto chain = TRY(read_certificates(certificate_pem));
  const KeyPtr key = TRY(read_private_key(key_pem));
  if (SSL_CTX_use_certificate(context, chain.front().get()) != 1) return openssl_error("use certificate");
  for (std::size_t i = 1; i < chain.size(); ++i) {
    if (SSL_CTX_add1_chain_cert(context, chain[i].get()) != 1) return openssl_error("use certificate chain");
  }
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1)
    return openssl_error("use private key", ErrorCode::bad_request).in("the key does not belong to the certificate");
  return {};
}

Result<void> trust(SSL_CTX* context, std::string_view ca_pem, bool announce) {
  auto roots = TRY(read_certificates(ca_pem));
  for (const CertificatePtr& root : roots) {
    if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), root.get()) != 1)
      return openssl_error("trust certificate");
    if (announce) SSL_CTX_add_client_CA(context, root.get());
  }
  return {};
}

Result<SslContextPtr> make_context(const SSL_METHOD* method) {
  SslContextPtr context(SSL_CTX_new(method));
  if (!context) return openssl_error("make TLS context");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(context.get(),
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  return context;
}

}  // namespace

Result<SslContextPtr> server_context(const TlsOptions& options) {
  SslContextPtr context = TRY(make_context(TLS_server_method()));
  SSL_CTX_set_read_ahead(context.get(), 1);  // a record by one read, not one for its head and one for the rest
  TRY(use_certificate(context.get(), options.certificate_pem, options.key_pem).in("TLS listener"));
  SSL_CTX_set_alpn_select_cb(context.get(), select_alpn, nullptr);
  static constexpr unsigned char kSessionContext[] = "caisson";
  SSL_CTX_set_session_id_context(context.get(), kSessionContext, sizeof kSessionContext - 1);
  if (!options.client_ca_pem.empty()) {
    TRY(trust(context.get(), options.client_ca_pem, true).in("client certificate authority"));
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER,
                       nullptr);  // asked for, not required; a false one fails the handshake
  }
  return context;
}

Result<SslContextPtr> client_context(const ClientTls& options) {
  SslContextPtr context = TRY(make_context(TLS_client_method()));
  if (!options.certificate_pem.empty()) TRY(use_certificate(context.get(), options.certificate_pem, options.key_pem));
  if (!options.verify) return context;
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  if (!options.ca_pem.empty()) {
    TRY(trust(context.get(), options.ca_pem, false).in("certificate authority"));
  } else if (SSL_CTX_set_default_verify_paths(context.get()) != 1) {
    return openssl_error("load the system's certificate authorities");
  }
  return context;
}

}  // namespace caisson::http
