// SPDX-License-Identifier: Apache-2.0
#include "artifact/registry/answers.h"

#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::registry {

http::Headers base_headers() {
  return {{"Docker-Distribution-Api-Version", "registry/2.0"}, {"X-Content-Type-Options", "nosniff"}};
}

http::Response json_answer(int status, std::string body) {
  http::Response answer{status, base_headers(), std::move(body)};
  answer.headers.set("Content-Type", "application/json");
  return answer;
}

http::Response error_answer(int status, std::string_view code, std::string_view message) {
  Value error = Value::map();
  error.set("code", code).set("message", message);
  Value body = Value::map();
  body.set("errors", Value(std::vector<Value>{error}));
  return json_answer(status, json::write(body));
}

http::Response error_answer(const Error& error, std::string_view unknown) {
  switch (error.code) {
    case ErrorCode::not_found:
      return error_answer(404, unknown, error.message);
    case ErrorCode::unauthorized:
      return error_answer(401, "UNAUTHORIZED", error.message);
    case ErrorCode::forbidden:
      return error_answer(403, "DENIED", error.message);
    case ErrorCode::bad_request:
      return error_answer(400, "DIGEST_INVALID", error.message);
    case ErrorCode::invalid:
      return error_answer(400, "MANIFEST_INVALID", error.message);
    case ErrorCode::too_large:
      return error_answer(413, "SIZE_INVALID", error.message);
    case ErrorCode::too_many_requests:
      return error_answer(429, "TOOMANYREQUESTS", error.message);
    case ErrorCode::timeout:
      return error_answer(408, "BLOB_UPLOAD_INVALID", error.message);
    case ErrorCode::unavailable:
      return error_answer(503, "UNAVAILABLE", error.message);
    default:
      return error_answer(500, "UNKNOWN", error.message);
  }
}

http::Response upstream_answer(const Error& error, std::string_view unknown) {
  if (error.code == ErrorCode::unauthorized) return error_answer(403, "DENIED", error.message);
  if (error.code == ErrorCode::timeout) return error_answer(503, "UNAVAILABLE", error.message);
  return error_answer(error, unknown);
}

ByteRange parse_range(std::string_view header, std::uint64_t size) {
  const ByteRange whole{0, size, ByteRange::Kind::whole};
  if (!header.starts_with("bytes=") || header.find(',') != std::string_view::npos) return whole;
  const std::string_view spec = trim(header.substr(6));
  const std::size_t dash = spec.find('-');
  if (dash == std::string_view::npos) return whole;
  const std::optional<std::int64_t> first = parse_int(spec.substr(0, dash)), last = parse_int(spec.substr(dash + 1));
  const ByteRange none{0, 0, ByteRange::Kind::unsatisfiable};
  if (dash == 0) {  // the last so many bytes
    if (!last || *last < 0) return whole;
    if (*last == 0 || size == 0) return none;
    const std::uint64_t length = std::min<std::uint64_t>(static_cast<std::uint64_t>(*last), size);
    return {size - length, length, ByteRange::Kind::part};
  }
  if (!first || *first < 0 || (dash + 1 < spec.size() && (!last || *last < *first))) return whole;
  const std::uint64_t from = static_cast<std::uint64_t>(*first);
  if (from >= size) return none;
  const std::uint64_t to = last ? std::min<std::uint64_t>(static_cast<std::uint64_t>(*last), size - 1) : size - 1;
  return {from, to - from + 1, ByteRange::Kind::part};
}

}  // namespace caisson::registry
