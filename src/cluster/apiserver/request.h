// SPDX-License-Identifier: Apache-2.0
// Request: one call of the API, by HTTP or in process: who asks for what, and what the answer needs beyond its body.
// Follows apiserver's RequestInfo (staging/src/k8s.io/apiserver/pkg/endpoints/request/requestinfo.go). One thread at a
// time.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "cluster/apiserver/user.h"
#include "cluster/kube/object.h"
#include "cluster/schema/schema.h"
#include "cluster/schema/validate.h"
#include "cluster/store/store.h"
#include "core/base/result.h"
#include "core/document/value.h"
#include "core/http/message.h"

namespace caisson::apiserver {

class AccessRules;

enum class FieldValidation { ignore, warn, strict };

struct Request {
  User user;
  const AccessRules* allowed_by = nullptr;  // by these rules, not by RBAC: they see objects and changes, too
  std::string verb;  // RBAC's: "get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"
  std::string path;  // of a non-resource request, what RBAC looks at
  bool is_resource = false;
  std::string group, version, plural, subresource, ns, name;
  std::string subpath;   // after the sub-resource: proxy paths
  schema::KindPtr kind;  // null: no such resource

  std::string
      owner_subresource;  // what managedFields names when it is not `subresource` (a scale writes the main resource)
  std::string field_manager, user_agent;
  bool dry_run = false, force = false;
  bool admitted = false;  // admission saw the body of the sub-resource: it does not see what that writes
  Value delete_options;   // the body of a deletion, as webhooks see it
  bool in_process = false;
  FieldValidation field_validation = FieldValidation::warn;

  std::vector<std::string> warnings;  // become Warning headers
  std::vector<std::pair<std::string, std::string>> audit_annotations;
  std::vector<std::string> duplicate_fields;  // what the body has twice, as Warnings and strict errors name it

  std::string patch_text;  // of a strategic merge patch, as errors of decoding its result show it

  // An error whose Status has `details` beyond what its code and name say. The details belong to the last error made.
  Error fail(ErrorCode code, std::string message, Value details = {});
  Error fail_without_reason(std::string message);  // 500, as errors of Go that are no Status
  Error not_found();                               // pods "x" not found
  Error already_exists(std::string_view name);
  Error conflict();                      // the object has been modified …
  Error conflict(std::string_view why);  // Operation cannot be fulfilled on …: why
  Error forbidden(std::string_view why);
  Error refused(Value status);  // answered with this Status as it is
  Error bad_request(std::string message) { return fail(ErrorCode::bad_request, std::move(message)); }
  Error invalid(const std::vector<schema::FieldError>& errors, std::string_view name);

  store::Key key() const { return {storage_resource(), ns, name}; }
  std::string storage_resource() const;  // where the kind's objects are kept: "deployments.apps"
  bool status_only() const { return subresource == "status"; }

  // metav1.Status of `error`, which one of this request's functions gave.
  Value status_of(const Error& error) const;

 private:
  Value details_;
  std::string details_message_;  // of the error that details_ belongs to
  bool without_reason_ = false;
  Value status_;  // the whole Status of the last error, when it is not made from its parts
};

std::string storage_resource(const schema::KindSchema& kind);

// Fills verb, names and `path` from the method and the decoded path and query. Does not look at the schema.
void parse_request_info(std::string_view method, std::string_view path, const http::Query& query, Request& request);

int http_status(ErrorCode code);
std::string_view status_reason(ErrorCode code);
// metav1.Status of a failure without details.
Value failure_status(ErrorCode code, std::string_view message, const Value& details = {});
Value success_status(const Value& details);

}  // namespace caisson::apiserver
