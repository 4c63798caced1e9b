// SPDX-License-Identifier: Apache-2.0
// bcrypt password hashes ("$2a$10$…"), as golang.org/x/crypto/bcrypt makes them. Any thread.
#pragma once
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace caisson::go_template::sprig {

inline constexpr int kBcryptCost = 10;

// `salt` has 16 bytes. Errors: invalid, for a password of more than 72 bytes.
Result<std::string> bcrypt_hash(std::string_view password, std::string_view salt, int cost = kBcryptCost);

}  // namespace caisson::go_template::sprig
