// SPDX-License-Identifier: Apache-2.0
// JSON Web Keys (RFC 7517, 7518 §6) and what they sign (RFC 7515): RS, PS and ES with SHA-256, -384 and -512. Keys
// never change once made; any thread.
#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::apiserver {

class JsonWebKey {
 public:
  // A public key of type RSA (2,048 bits or more) or EC (P-256, P-384, P-521). Errors: invalid.
  static Result<JsonWebKey> parse(const Value& jwk);

  const std::string& id() const { return id_; }
  // Whether `signature` is this key's over `message` by `algorithm` ("RS256"). False, too, for an algorithm of another
  // type of key: what a token says of itself is not to be trusted.
  bool verify(std::string_view algorithm, std::string_view message, std::string_view signature) const;

 private:
  std::string id_, type_, algorithm_;  // algorithm_: empty: any of the type
  std::shared_ptr<void> key_;          // an EVP_PKEY
  std::size_t coordinate_bytes_ = 0;   // of an EC key
};

// The three parts of a token in compact form, decoded. Errors: bad_request.
struct SignedToken {
  Value header, claims;
  std::string signed_text, signature;
  static Result<SignedToken> parse(std::string_view token);
};

}  // namespace caisson::apiserver
