// SPDX-License-Identifier: Apache-2.0
#include "security/policy/signing_certificate.h"
#include "core/base/owner.h"

#include <openssl/ct.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <chrono>

#include "core/base/encoding.h"

namespace caisson::policy {
namespace {

constexpr std::size_t kPemBytesMax = 1u << 20;
constexpr std::size_t kCertificatesMax = 100;
constexpr std::string_view kFulcio = "1.3.6.1.4.1.57264.1.";

void free_names(GENERAL_NAMES* names) {
  GENERAL_NAMES_free(names);
}
void free_stack(STACK_OF(X509) * stack) {
  sk_X509_free(stack);
}
void free_timestamps(STACK_OF(SCT) * list) {
  SCT_LIST_free(list);
}
using Bio = Owned<BIO, BIO_free>;
using Names = Owned<GENERAL_NAMES, free_names>;
using Store = Owned<X509_STORE, X509_STORE_free>;
using StoreContext = Owned<X509_STORE_CTX, X509_STORE_CTX_free>;
using Stack = Owned<STACK_OF(X509), free_stack>;

Certificate owned(X509* certificate) {
  return Certificate(std::shared_ptr<x509_st>(certificate, X509_free));
}
Error refused(std::string why) {
  ERR_clear_error();
  return {ErrorCode::unauthorized, std::move(why)};
}
std::time_t seconds_of(Time at) {
  return std::chrono::duration_cast<std::chrono::seconds>(at.time_since_epoch()).count();
}
std::string text_of(const ASN1_STRING* text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<std::size_t>(ASN1_STRING_length(text))};
}

// The first extensions hold bare text, the later ones a DER UTF8String.
std::string extension_text(const ASN1_OCTET_STRING* value) {
  const std::string bytes = text_of(value);
  const auto* at = reinterpret_cast<const unsigned char*>(bytes.data());
  if (bytes.empty() || bytes[0] != V_ASN1_UTF8STRING) return bytes;
  ASN1_UTF8STRING* text = d2i_ASN1_UTF8STRING(nullptr, &at, static_cast<long>(bytes.size()));
  if (text == nullptr) {
    ERR_clear_error();
    return bytes;
  }
  std::string out = text_of(text);
  ASN1_UTF8STRING_free(text);
  return out;
}

constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kNames = {{{"2", "githubWorkflowTrigger"},
                                                                                  {"3", "githubWorkflowSha"},
                                                                                  {"4", "githubWorkflowName"},
                                                                                  {"5", "githubWorkflowRepository"},
                                                                                  {"6", "githubWorkflowRef"}}};

// A configuration file in memory: the only public way by which OpenSSL takes a log's key into a store.
Result<Owned<CTLOG_STORE, CTLOG_STORE_free>> log_store(std::string_view pem) {
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  EVP_PKEY* parsed = bio ? PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr) : nullptr;
  if (parsed == nullptr) return refused("the key of the certificate log can't be read");
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(parsed, &der);
  EVP_PKEY_free(parsed);
  if (size <= 0) return refused("the key of the certificate log can't be read");
  const std::string text = "enabled_logs = given\n[given]\ndescription = given\nkey = " +
                           base64({reinterpret_cast<const char*>(der), static_cast<std::size_t>(size)}) + "\n";
  OPENSSL_free(der);
  const int fd = ::memfd_create("ctlog", MFD_CLOEXEC);
  if (fd < 0 || ::write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    if (fd >= 0) ::close(fd);
    return Error{ErrorCode::internal, "no memory file for the key of the certificate log"};
  }
  Owned<CTLOG_STORE, CTLOG_STORE_free> store(CTLOG_STORE_new());
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  const bool loaded = store && CTLOG_STORE_load_file(store.get(), path.c_str()) == 1;
  ::close(fd);
  if (!loaded) return refused("the key of the certificate log can't be read");
  return store;
}

}  // namespace

Result<std::vector<Certificate>> Certificate::parse_all(std::string_view pem) {
  if (pem.size() > kPemBytesMax) return Error{ErrorCode::bad_request, "the certificates are too large"};
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  std::vector<Certificate> out;
  while (bio && out.size() < kCertificatesMax) {
    X509* next = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr);
    if (next == nullptr) break;
    out.push_back(owned(next));
  }
  ERR_clear_error();
  if (out.empty()) return Error{ErrorCode::bad_request, "there is no certificate in PEM"};
  return out;
}

Result<Certificate> Certificate::parse_der(std::string_view der) {
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  X509* certificate = d2i_X509(nullptr, &at, static_cast<long>(der.size()));
  ERR_clear_error();
  if (certificate == nullptr) return Error{ErrorCode::bad_request, "the certificate can't be read"};
  return owned(certificate);
}

Result<PublicKey> Certificate::key() const {
  EVP_PKEY* key = X509_get_pubkey(certificate_.get());
  ERR_clear_error();
  if (key == nullptr) return Error{ErrorCode::bad_request, "the certificate's key can't be read"};
  return PublicKey(std::shared_ptr<evp_pkey_st>(key, EVP_PKEY_free));
}

std::vector<std::string> Certificate::subjects() const {
  std::vector<std::string> out;
  const Names names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate_.get(), NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_EMAIL) out.push_back(text_of(name->d.rfc822Name));
    if (name->type == GEN_URI) out.push_back(text_of(name->d.uniformResourceIdentifier));
    if (name->type == GEN_DNS) out.push_back(text_of(name->d.dNSName));
  }
  ERR_clear_error();
  return out;
}

std::map<std::string, std::string> Certificate::extensions() const {
  std::map<std::string, std::string> out;
  for (int i = 0; i < X509_get_ext_count(certificate_.get()); ++i) {
    X509_EXTENSION* extension = X509_get_ext(certificate_.get(), i);
    char oid[128];
    const int size = OBJ_obj2txt(oid, sizeof oid, X509_EXTENSION_get_object(extension), 1);
    if (size <= 0 || static_cast<std::size_t>(size) >= sizeof oid) continue;
    const std::string_view name(oid, static_cast<std::size_t>(size));
    if (!name.starts_with(kFulcio)) continue;
    const std::string text = extension_text(X509_EXTENSION_get_data(extension));
    out[std::string(name)] = text;
    for (const auto& [number, known] : kNames)
      if (name.substr(kFulcio.size()) == number) out[std::string(known)] = text;
  }
  return out;
}

std::string Certificate::issuer() const {
  const auto all = extensions();
  for (const char* number : {"8", "1"}) {  // the later form first
    const auto found = all.find(std::string(kFulcio) + number);
    if (found != all.end()) return found->second;
  }
  return "";
}

bool Certificate::is_valid_at(Time at) const {
  std::time_t seconds = seconds_of(at);
  return X509_cmp_time(X509_get0_notBefore(certificate_.get()), &seconds) < 0 &&
         X509_cmp_time(X509_get0_notAfter(certificate_.get()), &seconds) > 0;
}

bool Certificate::is_self_signed() const {
  return X509_self_signed(certificate_.get(), 0) == 1;
}

Result<void> verify_chain(const Certificate& leaf, const std::vector<Certificate>& intermediates,
                          const std::vector<Certificate>& roots, Time at) {
  const Store store(X509_STORE_new());
  const StoreContext context(X509_STORE_CTX_new());
  const Stack stack(sk_X509_new_null());
  if (!store || !context || !stack) return refused("out of memory");
  for (const Certificate& root : roots) X509_STORE_add_cert(store.get(), root.get());
  for (const Certificate& one : intermediates) sk_X509_push(stack.get(), one.get());
  if (X509_STORE_CTX_init(context.get(), store.get(), leaf.get(), stack.get()) != 1)
    return refused("the chain can't be checked");
  X509_VERIFY_PARAM* parameters = X509_STORE_CTX_get0_param(context.get());
  // A given root need not be self-signed.
  X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_PARTIAL_CHAIN);
  X509_VERIFY_PARAM_set_time(parameters, seconds_of(at));
  X509_VERIFY_PARAM_set_depth(parameters, 10);
  if (X509_verify_cert(context.get()) != 1)
    return refused(std::string("the certificate is not trusted: ") +
                   X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get())));
  ERR_clear_error();
  if ((X509_get_extended_key_usage(leaf.get()) & XKU_CODE_SIGN) == 0)
    return refused("the certificate is not for signing code");
  return {};
}

Result<void> verify_embedded_timestamp(const Certificate& leaf, const Certificate& issuer, std::string_view log_key_pem,
                                       Time at) {
  const auto store = TRY(log_store(log_key_pem));
  const Owned<STACK_OF(SCT), free_timestamps> list(
      static_cast<STACK_OF(SCT)*>(X509_get_ext_d2i(leaf.get(), NID_ct_precert_scts, nullptr, nullptr)));
  if (!list || sk_SCT_num(list.get()) == 0) return refused("the certificate holds no timestamp of a certificate log");
  const Owned<CT_POLICY_EVAL_CTX, CT_POLICY_EVAL_CTX_free> context(CT_POLICY_EVAL_CTX_new());
  if (!context) return refused("out of memory");
  CT_POLICY_EVAL_CTX_set1_cert(context.get(), leaf.get());
  CT_POLICY_EVAL_CTX_set1_issuer(context.get(), issuer.get());
  CT_POLICY_EVAL_CTX_set_shared_CTLOG_STORE(context.get(), store.get());
  CT_POLICY_EVAL_CTX_set_time(
      context.get(),
      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count()));
  for (int i = 0; i < sk_SCT_num(list.get()); ++i) {
    SCT* timestamp = sk_SCT_value(list.get(), i);
    SCT_set_source(timestamp, SCT_SOURCE_X509V3_EXTENSION);
    if (SCT_validate(timestamp, context.get()) == 1 &&
        SCT_get_validation_status(timestamp) == SCT_VALIDATION_STATUS_VALID)
      return {};
  }
  return refused("no timestamp of the given certificate log is valid");
}

}  // namespace caisson::policy
