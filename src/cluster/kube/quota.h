// SPDX-License-Identifier: Apache-2.0
// What objects count for in a ResourceQuota, and which quotas they fall under (pkg/quota/v1/evaluator/core of
// Kubernetes 1.33). Shared by admission, which refuses, and by the controller, which counts anew. Pure; any thread.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "cluster/kube/resource_usage.h"
#include "cluster/schema/resource.h"
#include "core/base/clock.h"

namespace caisson::kube {

// By the names that a quota's `hard` has: "pods", "requests.cpu", "count/deployments.apps",
// "gold.storageclass.storage.k8s.io/requests.storage".
Amounts quota_usage(const schema::Resource& resource, const Value& object, Time now);

// Does the quota name anything that objects of this resource use?
bool quota_concerns(const Value& hard, const schema::Resource& resource);
// Does the object fall under the quota's scopes? Only Pods (and, of PriorityClass and VolumeAttributesClass, no others
// here) have scopes; a quota with scopes counts nothing else.
bool quota_selects(const Value& quota, const schema::Resource& resource, const Value& object);

// Of a Pod: what the quota wants each container to state and which do not: "must specify limits.memory for: app;
// requests.cpu for: app". Nothing: all stated.
std::optional<std::string> quota_unstated(const Value& hard, const schema::Resource& resource, const Value& object);

// `amounts` reduced to the names of `hard`.
Amounts restricted_to(const Amounts& amounts, const Value& hard);

}  // namespace caisson::kube
