// SPDX-License-Identifier: Apache-2.0
// AccessRules: rights beside RBAC that lie in objects which a room above this one understands (roles of an AppProject).
// They are asked where RBAC says no, and allow more, never less. What they allow before the body of a request is read
// is only that some such request may be allowed: `may_write` decides when the change is known, `may_see` for each
// object of a list or watch.
//
// Threads: any, several at once. Rules must not write through the API server.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "cluster/apiserver/admission.h"
#include "cluster/apiserver/attributes.h"
#include "cluster/apiserver/user.h"
#include "core/base/result.h"

namespace caisson::apiserver {

class AccessRules {
 public:
  virtual ~AccessRules() = default;
  // Whom a bearer token of these rules' own kind speaks for; nullopt: it is none. Errors: unauthorized, with why (for
  // the log).
  virtual std::optional<Result<User>> user_of(std::string_view token) const = 0;

  struct Verdict {
    bool allowed = false;
    std::string reason;  // of both answers; empty: these rules say nothing of such requests
  };
  virtual Verdict may(const User& user, const Attributes& attributes) const = 0;
  // `verb`: get, list, watch or deletecollection.
  virtual bool may_see(const User& user, std::string_view verb, const Value& object) const = 0;
  // Errors: forbidden. `object` is null for a removal.
  virtual Result<void> may_write(const AdmissionRequest& request, const Value& object) const = 0;
};

}  // namespace caisson::apiserver
