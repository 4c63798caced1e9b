// SPDX-License-Identifier: Apache-2.0
// `authorizer` in expressions:
// authorizer.group('apps').resource('deployments').namespace('x').check('create').allowed()
// (k8s.io/apiserver/pkg/cel/library/authz.go, 1.33). Who decides is the caller's.
#pragma once
#include <memory>
#include <string>

#include "core/expr/cel/value.h"

namespace caisson::cel {

struct AuthorizerRequest {
  bool is_resource = false;
  std::string path;  // of a request that is for no resource
  std::string group, resource, subresource, namespace_, name;
  std::string field_selector, label_selector;  // as written; empty: none
  std::string verb;
  std::string service_account;  // "namespace:name" when asked for another than the request's user
};

struct AuthorizerDecision {
  bool allowed = false;
  std::string reason;
  std::string error;  // why it could not be decided
};

// Threads: check may be called from any thread.
class Authorizer {
 public:
  virtual ~Authorizer() = default;
  virtual AuthorizerDecision check(const AuthorizerRequest& request) const = 0;
};

// The variable `authorizer`, for the type kubernetes.authorization.Authorizer.
Value authorizer_value(std::shared_ptr<const Authorizer> authorizer);
Type authorizer_type();
// `authorizer.requestResource`: a check of the request's own resource.
Value resource_check_value(std::shared_ptr<const Authorizer> authorizer, AuthorizerRequest request);
Type resource_check_type();

}  // namespace caisson::cel
