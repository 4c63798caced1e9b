// SPDX-License-Identifier: Apache-2.0
// DaemonSet: one pod on each node that will have it. Source: pkg/controller/daemon (v1.33).
#pragma once
#include <string>
#include <vector>

#include "cluster/controllers/pods.h"
#include "cluster/kube/reconciler.h"

namespace caisson::controllers {

struct DaemonSetPlan {
  std::vector<std::string> create;  // on these nodes
  std::vector<Object> remove;
  Value status;
};
// `pods`: all of the set; `hash`: of its present template.
DaemonSetPlan plan_daemon_set(const Object& set, const std::vector<Object>& nodes, const std::vector<Object>& pods,
                              const std::string& hash, Time now);
// Bound to its node by affinity, tolerating what a daemon must.
Object daemon_pod(const Object& set, const std::string& node, const std::string& hash);

void add_daemon_set(kube::Runtime& runtime);

}  // namespace caisson::controllers
