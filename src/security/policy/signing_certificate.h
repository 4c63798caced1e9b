// SPDX-License-Identifier: Apache-2.0
// Certificates of signers, as Fulcio gives them for keyless signing (sigstore/fulcio, docs/oid-info.md) and as teams
// issue them: who signed, by whose word, and whether a chain of trust leads to a given root. Any thread.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "security/policy/public_key.h"

struct x509_st;

namespace caisson::policy {

class Certificate {
 public:
  // Every CERTIFICATE of a text, in order. Errors: bad_request for a text without one.
  static Result<std::vector<Certificate>> parse_all(std::string_view pem);
  static Result<Certificate> parse_der(std::string_view der);
  explicit Certificate(std::shared_ptr<x509_st> certificate) : certificate_(std::move(certificate)) {}

  Result<PublicKey> key() const;
  std::vector<std::string> subjects() const;  // subject alternative names: mail, URI, DNS
  // Fulcio's extensions by object identifier ("1.3.6.1.4.1.57264.1.5"), and by the names that cosign has for the first
  // ones ("githubWorkflowRepository").
  std::map<std::string, std::string> extensions() const;
  std::string issuer() const;  // who vouched for the identity (OIDC), of the extensions
  bool is_valid_at(Time at) const;
  bool is_self_signed() const;
  x509_st* get() const { return certificate_.get(); }

 private:
  std::shared_ptr<x509_st> certificate_;
};

// Whether `leaf` may sign code and chains to one of `roots` at a time. Errors: unauthorized, which says why not.
Result<void> verify_chain(const Certificate& leaf, const std::vector<Certificate>& intermediates,
                          const std::vector<Certificate>& roots, Time at);
// Whether the certificate holds a timestamp of the log that `log_key` belongs to (RFC 6962, embedded). `issuer`: who
// issued the certificate. Errors: unauthorized.
Result<void> verify_embedded_timestamp(const Certificate& leaf, const Certificate& issuer, std::string_view log_key_pem,
                                       Time at);

}  // namespace caisson::policy
