// SPDX-License-Identifier: Apache-2.0
// What `caisson policy --cluster` reads of a cluster.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "cluster/kube/client.h"
#include "main/cli/session.h"
#include "security/policy/client_lookups.h"
#include "security/policy/evaluate.h"

namespace caisson::cli {

// Namespaces with their labels, for rules that select by them.
Result<void> read_namespaces(kube::Client& client, policy::TestInputs& inputs);
// The objects of the kinds that the policies name, of one namespace or (empty) of all.
Result<std::vector<Value>> read_cluster(kube::Client& client, const policy::PolicySet& policies, const std::string& ns);

}  // namespace caisson::cli
