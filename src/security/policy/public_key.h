// SPDX-License-Identifier: Apache-2.0
// Public keys that signatures of images are checked with: ECDSA, RSA (PKCS #1 v1.5) and Ed25519, as cosign makes them.
// A key does not change once parsed; any thread.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

struct evp_pkey_st;

namespace caisson::policy {

class PublicKey {
 public:
  // One PEM block, PUBLIC KEY or CERTIFICATE. Errors: bad_request.
  static Result<PublicKey> parse(std::string_view pem);
  // Every PUBLIC KEY of a text. Errors: bad_request for a text without one, and for a key that can't be read.
  static Result<std::vector<PublicKey>> parse_all(std::string_view pem);
  explicit PublicKey(std::shared_ptr<evp_pkey_st> key) : key_(std::move(key)) {}

  // `hash`: "sha224", "sha256", "sha384" or "sha512"; Ed25519 has its own. False also for a hash that is not known.
  bool verifies(std::string_view message, std::string_view signature, std::string_view hash = "sha256") const;
  std::string fingerprint() const;  // sha256 of the SubjectPublicKeyInfo, hex: a transparency log's id, too

 private:
  std::shared_ptr<evp_pkey_st> key_;
};

}  // namespace caisson::policy
