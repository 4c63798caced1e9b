// SPDX-License-Identifier: Apache-2.0
// StatefulSet: pods with a name and a volume of their own, one after the other. Source: pkg/controller/statefulset
// (v1.33).
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "cluster/controllers/pods.h"
#include "cluster/kube/reconciler.h"

namespace caisson::controllers {

struct StatefulSetPlan {
  std::vector<Object> create;  // pods; their claims come first
  std::vector<Object> remove;
  std::vector<Object> condemned;  // of `remove`: beyond the replicas
  Value status;
};
// `current` and `update`: the ControllerRevisions that pods had and shall have.
StatefulSetPlan plan_stateful_set(const Object& set, const std::vector<Object>& pods, const Object& current,
                                  const Object& update, Time now);
// "web-2" is 2; -1 when it is no pod of the set.
std::int64_t ordinal_of(const Object& set, std::string_view pod_name);
std::vector<Object> claims_for(const Object& set, std::int64_t ordinal);

void add_stateful_set(kube::Runtime& runtime);

}  // namespace caisson::controllers
