// SPDX-License-Identifier: Apache-2.0
// Answers of the registry: error bodies by distribution-spec 1.1 "Error Codes", and the headers that every answer has.
// Of this room only.
#pragma once
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/http/message.h"
#include "core/http/server.h"

namespace caisson::registry {

http::Headers base_headers();
http::Response error_answer(int status, std::string_view code, std::string_view message);
// For errors of the stores: 404, 400, 413, 503 …; `unknown` is the code for what is not found.
http::Response error_answer(const Error& error, std::string_view unknown);
// The same for what another registry answered: its refusal of our login is no challenge to the caller.
http::Response upstream_answer(const Error& error, std::string_view unknown);
http::Response json_answer(int status, std::string body);

// "bytes=0-4", "bytes=5-", "bytes=-3" of `size` bytes. Absent: the whole.
struct ByteRange {
  std::uint64_t first = 0, length = 0;
  enum class Kind { whole, part, unsatisfiable } kind = Kind::whole;
};
ByteRange parse_range(std::string_view header, std::uint64_t size);

}  // namespace caisson::registry
