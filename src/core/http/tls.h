// SPDX-License-Identifier: Apache-2.0
// Keys and certificates: ECDSA P-256, X.509 v3 (RFC 5280). The platform's own CA is made with these. Pure functions;
// any thread.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/base/secret.h"

namespace caisson::http {

struct KeyPair {
  std::string certificate_pem;
  SecretBytes key_pem;
};

struct CertificateRequest {
  std::string common_name;
  std::vector<std::string> organizations;
  std::vector<std::string> dns_names;
  std::vector<std::string> ip_addresses;
  bool client = false, server = false;
  Duration valid_for = std::chrono::hours(24 * 365);
};

Result<KeyPair> make_ca(const std::string& common_name, Time now, Duration valid_for = std::chrono::hours(24 * 3650));
Result<KeyPair> make_certificate(const KeyPair& ca, const CertificateRequest& request, Time now);
Result<Time> certificate_end(std::string_view certificate_pem);
Result<std::vector<std::string>> certificate_names(std::string_view certificate_pem);  // DNS names and addresses

// ES256 (RFC 7518 §3.4) over a P-256 key: for ServiceAccount tokens.
Result<std::string> sign_es256(const SecretBytes& key_pem, std::string_view message);  // raw r||s
Result<bool> verify_es256(std::string_view certificate_or_public_key_pem, std::string_view message,
                          std::string_view signature);
Result<std::string> make_key_pem();  // a new P-256 key, PKCS#8
Result<std::string> public_key_pem(const SecretBytes& key_pem);

}  // namespace caisson::http
