// SPDX-License-Identifier: Apache-2.0
// What a ServiceAccount may do, asked of the API: a listener or a run must not be a way to this controller's rights.
// Internal to the room. Any thread.
#pragma once
#include <string>

#include "cluster/kube/client.h"

namespace caisson::pipeline {

struct Action {
  std::string verb, group, resource, ns;  // an empty namespace: the cluster
};

// Errors: forbidden, "system:serviceaccount:NS:ACCOUNT may not VERB RESOURCE in NS".
Result<void> check_right(kube::Client& client, const std::string& ns, const std::string& account,
                         const Action& action);

}  // namespace caisson::pipeline
