// SPDX-License-Identifier: Apache-2.0
// Lookups through kube::Client: ConfigMaps, apiCall to the cluster and to services, GlobalContextEntries. Calls to
// services have 5 s and 2 MiB each, and all calls of one Lookups together `time_max`. Any thread; the client must
// outlive it.
#pragma once
#include <memory>

#include "cluster/kube/client.h"
#include "core/base/clock.h"
#include "security/policy/context.h"
#include "security/policy/match.h"

namespace caisson::policy {

// As Kyverno's webhookTimeoutSeconds: what a request waits for its policies' lookups, however many there are.
inline constexpr Duration kRequestLookupsMax = std::chrono::seconds(10);

// `images`: where signatures and manifests are read; may be null, and outlives the lookups. `time_max` counts from now;
// zero: no limit (a scan's).
std::unique_ptr<Lookups> make_client_lookups(kube::Client& client, const ImageSource* images = nullptr,
                                             Duration time_max = Duration(0));
// Roles ("ns:name") and cluster roles that are bound to a user. Errors: those of the client.
Result<void> add_roles(kube::Client& client, UserInfo& user);

}  // namespace caisson::policy
