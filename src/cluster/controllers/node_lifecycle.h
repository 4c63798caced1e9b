// SPDX-License-Identifier: Apache-2.0
// Node lifecycle: a node whose heartbeat stopped is NotReady, and tainted so that nothing new comes to it.
// Its pods are marked as not ready, so that no Service leads to them.
// Source: pkg/controller/nodelifecycle/node_lifecycle_controller.go (v1.33), with its 40 seconds of grace.
#pragma once
#include <optional>

#include "cluster/kube/object.h"
#include "cluster/kube/reconciler.h"

namespace caisson::controllers {

constexpr Duration kNodeGrace = std::chrono::seconds(40);

// When the node was last heard of: by its Lease, else by its own status.
std::optional<Time> last_heartbeat(const kube::Object& node, const std::optional<kube::Object>& lease);
// Its conditions become Unknown. Gives whether something changed.
bool mark_unknown(kube::Object& node, Time now);
// spec.taints as its conditions and spec.unschedulable demand; other taints stay. Gives whether they changed. Without
// `evicts` none of effect NoExecute is set: where no node at all is heard of, the fault is more likely on our side, and
// pods had nowhere to go (upstream's state FullDisruption).
bool set_taints(kube::Object& node, Time now, bool evicts = true);

// `grace`: kube-controller-manager's --node-monitor-grace-period.
void add_node_lifecycle(kube::Runtime& runtime, Duration grace = kNodeGrace);

}  // namespace caisson::controllers
