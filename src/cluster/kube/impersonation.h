// SPDX-License-Identifier: Apache-2.0
// Requests in the name of another user, which needs the right to impersonate. Specification: Kubernetes,
// Authenticating, "User impersonation"; client-go's rest.ImpersonationConfig.
#pragma once
#include <string>
#include <vector>

#include "cluster/kube/http_client.h"

namespace caisson::kube {

struct Impersonation {
  std::string user;
  std::vector<std::string> groups;
  bool empty() const { return user.empty() && groups.empty(); }
  void add_to(http::Headers& headers) const;
};

// Every request carries `as`.
std::unique_ptr<Client> make_http_client(Connection connection, Impersonation as);

}  // namespace caisson::kube
