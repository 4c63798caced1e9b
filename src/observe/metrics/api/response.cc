// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/api/response.h"

#include "core/document/json.h"

namespace caisson::metrics {
namespace {

struct Kind {
  int status;
  std::string_view type;
};

Kind kind_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::not_found:
      return {404, "not_found"};
    case ErrorCode::timeout:
      return {503, "timeout"};
    case ErrorCode::unavailable:
      return {503, "unavailable"};
    case ErrorCode::too_large:
    case ErrorCode::invalid:
      return {422, "execution"};
    case ErrorCode::internal:
      return {500, "internal"};
    default:
      return {400, "bad_data"};
  }
}

}  // namespace

http::Response data_response(const Value& data) {
  http::Response response;
  response.headers.set("Content-Type", "application/json");
  response.body = "{\"status\":\"success\",\"data\":" + json::write(data) + "}";
  return response;
}

http::Response error_response(const Error& error) {
  const Kind kind = kind_of(error.code);
  http::Response response;
  response.status = kind.status;
  response.headers.set("Content-Type", "application/json");
  response.body = json::write(Value{{"status", "error"}, {"errorType", kind.type}, {"error", error.message}});
  return response;
}

}  // namespace caisson::metrics
