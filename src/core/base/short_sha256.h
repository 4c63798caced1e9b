// SPDX-License-Identifier: Apache-2.0
// SHA-256 (FIPS 180-4) without OpenSSL: of a short text, for a command that needs nothing else of OpenSSL and would
// spend most of its time on loading it. A fifth of OpenSSL's speed. Not for secrets: its time does not depend on the
// bytes, but what it leaves in memory is not cleaned. Pure; any thread. Use sha256() of hash.h, which chooses.
#pragma once
#include <string>
#include <string_view>

namespace caisson {

std::string short_sha256(std::string_view bytes);  // raw

}  // namespace caisson
