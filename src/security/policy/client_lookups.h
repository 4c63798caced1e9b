// SPDX-License-Identifier: Apache-2.0
// Lookups through kube::Client: ConfigMaps, apiCall to the cluster and to services, GlobalContextEntries. Calls to
// services have 5 s and 2 MiB. Any thread; the client must outlive it.
#pragma once
#include <memory>

#include "cluster/kube/client.h"
#include "security/policy/context.h"
#include "security/policy/match.h"

namespace caisson::policy {

std::unique_ptr<Lookups> make_client_lookups(kube::Client& client);
// Roles ("ns:name") and cluster roles that are bound to a user. Errors: those of the client.
Result<void> add_roles(kube::Client& client, UserInfo& user);

}  // namespace caisson::policy
