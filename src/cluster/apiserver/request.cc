// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/request.h"

#include "core/base/text.h"

namespace caisson::apiserver {
namespace {

struct CodeEntry {
  int status;
  std::string_view reason;
};

CodeEntry entry_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::bad_request:
      return {400, "BadRequest"};
    case ErrorCode::unauthorized:
      return {401, "Unauthorized"};
    case ErrorCode::forbidden:
      return {403, "Forbidden"};
    case ErrorCode::not_found:
      return {404, "NotFound"};
    case ErrorCode::method_not_allowed:
      return {405, "MethodNotAllowed"};
    case ErrorCode::not_acceptable:
      return {406, "NotAcceptable"};
    case ErrorCode::already_exists:
      return {409, "AlreadyExists"};
    case ErrorCode::conflict:
      return {409, "Conflict"};
    case ErrorCode::gone:
      return {410, "Gone"};
    case ErrorCode::expired:
      return {410, "Expired"};
    case ErrorCode::invalid:
      return {422, "Invalid"};
    case ErrorCode::too_large:
      return {413, "RequestEntityTooLarge"};
    case ErrorCode::unsupported_media_type:
      return {415, "UnsupportedMediaType"};
    case ErrorCode::too_many_requests:
      return {429, "TooManyRequests"};
    case ErrorCode::timeout:
      return {504, "Timeout"};
    case ErrorCode::unavailable:
      return {503, "ServiceUnavailable"};
    case ErrorCode::internal:
      break;
  }
  return {500, "InternalError"};
}

std::string group_resource(const Request& request) {
  return request.group.empty() ? request.plural : request.plural + "." + request.group;
}

Value details_of(const Request& request, std::string_view name) {
  Value details = Value::map();
  if (!name.empty()) details.set("name", name);
  if (!request.group.empty()) details.set("group", request.group);
  details.set("kind", request.plural);
  return details;
}

std::string_view verb_of(std::string_view method, bool named) {
  if (method == "POST") return "create";
  if (method == "GET" || method == "HEAD") return named ? "get" : "list";
  if (method == "PUT") return "update";
  if (method == "PATCH") return "patch";
  if (method == "DELETE") return named ? "delete" : "deletecollection";
  return "";
}

bool is_true(std::string_view text) {
  return text == "true" || text == "1" || text == "True" || text == "TRUE" || text == "t" || text == "T";
}

}  // namespace

int http_status(ErrorCode code) {
  return entry_of(code).status;
}
std::string_view status_reason(ErrorCode code) {
  return entry_of(code).reason;
}

Value failure_status(ErrorCode code, std::string_view message, const Value& details) {
  Value status{{"kind", "Status"},    {"apiVersion", "v1"}, {"metadata", Value::map()},
               {"status", "Failure"}, {"message", message}, {"reason", status_reason(code)}};
  if (!details.is_null()) status.set("details", details);
  status.set("code", http_status(code));
  return status;
}

Value success_status(const Value& details) {
  Value status{{"kind", "Status"}, {"apiVersion", "v1"}, {"metadata", Value::map()}, {"status", "Success"}};
  if (!details.is_null()) status.set("details", details);
  return status;
}

Error Request::fail(ErrorCode code, std::string message, Value details) {
  details_ = std::move(details);
  details_message_ = message;
  without_reason_ = false;
  status_ = Value();
  return Error{code, std::move(message)};
}

Error Request::fail_without_reason(std::string message) {
  Error error = fail(ErrorCode::internal, std::move(message));
  without_reason_ = true;
  return error;
}

Error Request::refused(Value status) {
  Error error = fail(ErrorCode::forbidden, status["message"].str());
  status_ = std::move(status);
  return error;
}

Error Request::not_found() {
  return fail(ErrorCode::not_found, group_resource(*this) + " \"" + name + "\" not found", details_of(*this, name));
}

Error Request::already_exists(std::string_view named) {
  return fail(ErrorCode::already_exists, group_resource(*this) + " \"" + std::string(named) + "\" already exists",
              details_of(*this, named));
}

Error Request::conflict() {
  return conflict("the object has been modified; please apply your changes to the latest version and try again");
}

Error Request::conflict(std::string_view why) {
  return fail(ErrorCode::conflict,
              "Operation cannot be fulfilled on " + group_resource(*this) + " \"" + name + "\": " + std::string(why),
              details_of(*this, name));
}

Error Request::forbidden(std::string_view why) {
  const std::string what = name.empty() ? group_resource(*this) : group_resource(*this) + " \"" + name + "\"";
  return fail(ErrorCode::forbidden, what + " is forbidden: " + std::string(why), details_of(*this, name));
}

Error Request::invalid(const std::vector<schema::FieldError>& errors, std::string_view named) {
  Value details = Value::map();
  if (!named.empty()) details.set("name", named);
  // Events of both groups are validated as core's.
  const bool event = kind->resource.plural == "events" && !kind->custom;
  if (!kind->resource.group.empty() && !event) details.set("group", kind->resource.group);
  details.set("kind", kind->resource.kind);
  details.set("causes", schema::causes(errors));
  if (event) {
    std::string message = schema::invalid_message(*kind, named, errors);
    message.erase(0, message.find(" \""));
    return fail(ErrorCode::invalid, "Event" + message, std::move(details));
  }
  return fail(ErrorCode::invalid, schema::invalid_message(*kind, named, errors), std::move(details));
}

std::string Request::storage_resource() const {
  return apiserver::storage_resource(*kind);
}

Value Request::status_of(const Error& error) const {
  if (!details_message_.empty() && error.message == details_message_) {
    if (!status_.is_null()) return status_;
    Value status = failure_status(error.code, error.message, details_);
    if (without_reason_) status.erase("reason");
    return status;
  }
  // Errors made below this room (admission plug-ins, the schema) have their names from the request.
  const bool named = error.code == ErrorCode::not_found || error.code == ErrorCode::already_exists ||
                     error.code == ErrorCode::conflict || error.code == ErrorCode::forbidden ||
                     error.code == ErrorCode::invalid;
  return failure_status(error.code, error.message, named && is_resource ? details_of(*this, name) : Value());
}

std::string storage_resource(const schema::KindSchema& kind) {
  // Events of events.k8s.io and of core are one: kept under the core name.
  if (kind.resource.plural == "events" && kind.resource.group == "events.k8s.io") return "events";
  return kind.resource.group_resource();
}

void parse_request_info(std::string_view method, std::string_view path, const http::Query& query, Request& request) {
  request.path = std::string(path);
  request.verb = to_lower(method);
  std::vector<std::string_view> parts = split(path.starts_with('/') ? path.substr(1) : path, '/');
  if (parts.size() > 1 && parts.back().empty()) parts.pop_back();
  std::size_t at = 0;
  if (parts.size() >= 3 && parts[0] == "api") {
    request.version = std::string(parts[1]);
    at = 2;
  } else if (parts.size() >= 4 && parts[0] == "apis") {
    request.group = std::string(parts[1]);
    request.version = std::string(parts[2]);
    at = 3;
  } else {
    return;
  }
  request.is_resource = true;
  const bool watch_path = parts[at] == "watch" && parts.size() > at + 1;  // /api/v1/watch/…: deprecated, still served
  if (watch_path) ++at;
  // "namespaces/x" is the Namespace x itself unless a resource follows that isn't one of its sub-resources.
  if (parts[at] == "namespaces" && parts.size() > at + 1) {
    request.ns = std::string(parts[at + 1]);
    const bool of_namespace =
        request.group.empty() && (parts.size() == at + 2 || parts[at + 2] == "status" || parts[at + 2] == "finalize");
    if (parts.size() > at + 2 && !of_namespace) at += 2;
  }
  request.plural = std::string(parts[at]);
  if (parts.size() > at + 1) request.name = std::string(parts[at + 1]);
  if (parts.size() > at + 2) request.subresource = std::string(parts[at + 2]);
  for (std::size_t i = at + 3; i < parts.size(); ++i) request.subpath.append("/").append(parts[i]);
  request.verb = std::string(verb_of(method, !request.name.empty()));
  if ((request.verb == "list" && is_true(http::query_get(query, "watch"))) || (watch_path && request.verb != "create"))
    request.verb = "watch";
  if (request.verb == "list" || request.verb == "watch" || request.verb == "deletecollection") {
    // A list of one name is authorized as that name.
    constexpr std::string_view kByName = "metadata.name=";
    const std::string_view selector = http::query_get(query, "fieldSelector");
    if (request.name.empty() && selector.starts_with(kByName) && selector.find(',') == std::string_view::npos)
      request.name = std::string(selector.substr(kByName.size()));
  }
}

}  // namespace caisson::apiserver
