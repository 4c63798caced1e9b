// SPDX-License-Identifier: Apache-2.0
// Who sends a git request and what they may do: credentials by TokenReview, rights by SubjectAccessReview on
// repositories.caisson.dev. Internal to the room. Any thread; calls block.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "cluster/kube/client.h"
#include "core/http/message.h"

namespace caisson::git {

struct User {
  std::string name, uid;
  std::vector<std::string> groups;
};

class Authorizer {
 public:
  explicit Authorizer(kube::Client& client) : client_(client) {}
  // Basic (any user name, the token as password, as on other forges) or Bearer. Errors: unauthorized.
  Result<User> authenticate(const http::Headers& headers) const;
  Result<bool> may(const User& user, std::string_view verb, std::string_view org, std::string_view repository) const;

 private:
  kube::Client& client_;
};

}  // namespace caisson::git
