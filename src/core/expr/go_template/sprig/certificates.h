// SPDX-License-Identifier: Apache-2.0
// Private keys and X.509 certificates through libcrypto, as PEM. Any thread.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"

struct evp_pkey_st;

namespace caisson::go_template::sprig {

struct CertificatePair {
  std::string certificate, key;  // PEM
  bool operator==(const CertificatePair&) const = default;
};

class PrivateKey {
 public:
  // "rsa" (or ""), "dsa", "ecdsa" (P-256), "ed25519". Takes up to seconds for RSA and DSA.
  static Result<PrivateKey> generate(std::string_view type, unsigned rsa_bits);
  // Errors: invalid "no PEM data in input", "no private key data in PEM block of type CERTIFICATE", …
  static Result<PrivateKey> parse(std::string_view pem);

  std::string pem() const;  // "RSA PRIVATE KEY", "DSA PRIVATE KEY", "EC PRIVATE KEY"; PKCS #8 for ed25519
  evp_pkey_st* get() const { return key_.get(); }

 private:
  explicit PrivateKey(evp_pkey_st* key);
  std::shared_ptr<evp_pkey_st> key_;
};

struct CertificateRequest {
  std::string common_name;
  std::vector<std::string> addresses, names;  // alternative names; addresses are well-formed
  Time now;
  std::int64_t days_valid = 0;
  bool is_authority = false;
};

Result<CertificatePair> self_signed(const CertificateRequest& request, const PrivateKey& key);
Result<CertificatePair> signed_by(const CertificateRequest& request, const PrivateKey& key,
                                  const CertificatePair& authority);
Result<void> check_certificate(std::string_view pem);

}  // namespace caisson::go_template::sprig
