// SPDX-License-Identifier: Apache-2.0
// Sealer: values of confidential resources (Secrets) as they lie on disk: AES-256-GCM (NIST SP 800-38D), bound to the
// row they stand in. The key file has one key a line, "ID BASE64"; the first seals, all open. A new first line rotates:
// rows of other keys, and rows from before there were keys, are sealed anew when the store opens; then old lines may
// go. Invariant: a nonce is 96 random bits; a key is to seal fewer than 2^32 values. Threads: any.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/secret.h"

namespace caisson::store {

class Sealer {
 public:
  // Makes the file, with one new key and mode 0600, when it is absent. Errors: internal for a line that is no key.
  static Result<Sealer> open(const std::string& path);

  // `place` is what the text is bound to: opened for another place it fails.
  Result<std::string> seal(std::string_view place, std::string_view bytes) const;
  // Errors: internal when its key is not in the file, or the text was changed or moved.
  Result<std::string> unseal(std::string_view place, std::string_view text) const;

  static bool is_sealed(std::string_view text);
  bool is_current(std::string_view text) const;  // sealed by the first key

 private:
  struct Key {
    std::string id;
    SecretBytes bytes;
  };
  const Key* find(std::string_view id) const;
  std::vector<Key> keys_;
};

}  // namespace caisson::store
