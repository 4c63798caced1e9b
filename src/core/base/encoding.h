// SPDX-License-Identifier: Apache-2.0
// Text encodings of bytes. Pure functions; any thread.
#pragma once
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace caisson {

std::string hex(std::string_view bytes);  // lower case
Result<std::string> unhex(std::string_view text);
std::string base64(std::string_view bytes);           // RFC 4648 §4, padded
Result<std::string> unbase64(std::string_view text);  // accepts missing padding and white space
std::string base64url(std::string_view bytes);        // RFC 4648 §5, not padded
Result<std::string> unbase64url(std::string_view text);
std::string percent_encode(std::string_view text);          // RFC 3986: everything but unreserved characters
Result<std::string> percent_decode(std::string_view text);  // '+' stays '+'

}  // namespace caisson
