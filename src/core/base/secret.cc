// SPDX-License-Identifier: Apache-2.0
#include "core/base/secret.h"

#include <openssl/crypto.h>

namespace caisson {

SecretBytes::~SecretBytes() {
  if (!bytes_.empty()) OPENSSL_cleanse(bytes_.data(), bytes_.size());
}

}  // namespace caisson
