// SPDX-License-Identifier: Apache-2.0
#include "cluster/kube/status.h"

#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::kube {
namespace {

struct Row {
  ErrorCode code;
  std::string_view reason;
  int http;
};
// The first row of a code is what we say; the others are what we understand.
constexpr Row kRows[] = {
    {ErrorCode::bad_request, "BadRequest", 400},
    {ErrorCode::unauthorized, "Unauthorized", 401},
    {ErrorCode::forbidden, "Forbidden", 403},
    {ErrorCode::not_found, "NotFound", 404},
    {ErrorCode::method_not_allowed, "MethodNotAllowed", 405},
    {ErrorCode::not_acceptable, "NotAcceptable", 406},
    {ErrorCode::conflict, "Conflict", 409},
    {ErrorCode::already_exists, "AlreadyExists", 409},
    {ErrorCode::expired, "Expired", 410},
    {ErrorCode::gone, "Gone", 410},
    {ErrorCode::too_large, "RequestEntityTooLarge", 413},
    {ErrorCode::unsupported_media_type, "UnsupportedMediaType", 415},
    {ErrorCode::invalid, "Invalid", 422},
    {ErrorCode::too_many_requests, "TooManyRequests", 429},
    {ErrorCode::internal, "InternalError", 500},
    {ErrorCode::unavailable, "ServiceUnavailable", 503},
    {ErrorCode::timeout, "Timeout", 504},
    {ErrorCode::timeout, "ServerTimeout", 504},
    {ErrorCode::unavailable, "StoreReadError", 500},
};

}  // namespace

std::string_view status_reason(ErrorCode code) {
  for (const Row& row : kRows) {
    if (row.code == code) return row.reason;
  }
  return "InternalError";
}

int http_status(ErrorCode code) {
  for (const Row& row : kRows) {
    if (row.code == code) return row.http;
  }
  return 500;
}

Error error_from_response(int http_status, std::string_view body) {
  Value status;
  if (auto parsed = json::parse(body); parsed.ok()) status = std::move(parsed).value();
  std::string message = status["message"].str();
  if (message.empty()) {
    message = "the server answered " + std::to_string(http_status);
    if (const auto text = trim(body.substr(0, 500)); !text.empty() && !status.is_map())
      message += ": " + std::string(text);
  }
  for (const Row& row : kRows) {
    if (row.reason == status["reason"].as_string()) return {row.code, message};
  }
  for (const Row& row : kRows) {
    if (row.http == http_status) return {row.code, message};
  }
  return {http_status < 500 ? ErrorCode::bad_request : ErrorCode::internal, message};
}

}  // namespace caisson::kube
